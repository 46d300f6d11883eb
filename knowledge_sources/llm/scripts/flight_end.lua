-- flight_end: keep the answer, if there is one; give the leave to ask back; wake whoever waits
-- keys: answer flight landed
-- args: name token answer_ms bytes
-- answers: 1 | 0, there was nothing to give back or to keep
local answer, flight, landed = unpack(KEYS)
local name, token, answer_ms, bytes = unpack(ARGV)
local ended = 0
if bytes ~= '' then
  redis.call('SET', answer, bytes, 'PX', answer_ms)
  ended = 1
end
if redis.call('GET', flight) == token then
  redis.call('DEL', flight)
  ended = 1
end
if ended == 1 then
  redis.call('XADD', landed, 'MAXLEN', '~', 1000, '*', 'k', name)
  redis.call('PEXPIRE', landed, 3600000)
end
return ended

-- depths: how much waits in each of several queues, and since when
-- keys: queues
-- args:
-- answers: for each queue that is not empty: its number (from 1), its length, and milliseconds that its oldest has been due
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local found = {}
for at = 1, #KEYS do
  local first = redis.call('ZRANGE', KEYS[at], 0, 0, 'WITHSCORES')
  if first[2] then
    found[#found + 1] = at
    found[#found + 1] = redis.call('ZCARD', KEYS[at])
    found[#found + 1] = math.max(0, math.floor(now - tonumber(first[2])))
  end
end
return found

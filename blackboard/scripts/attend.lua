-- attend: say what a worker serves, and read who serves what
-- keys: present served
-- args: worker ttl_ms serves
--       worker: "" only reads; ttl_ms: 0 when it leaves; serves: `source@version`, one a line
-- answers: the time; workers that are there, each its name and what it serves, one a line;
--          `source@version` and when somebody serving it was last heard of
local present, served = unpack(KEYS)
local worker, ttl_ms, serves = unpack(ARGV)
local KEEP = 2592000000
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function whole(number) return string.format('%.0f', number) end
if worker ~= '' then
  local member = worker .. '\n' .. serves
  redis.call('ZREMRANGEBYSCORE', present, '-inf', whole(now))
  redis.call('ZREMRANGEBYSCORE', served, '-inf', whole(now - KEEP))
  if tonumber(ttl_ms) > 0 then
    redis.call('ZADD', present, whole(now + ttl_ms), member)
    redis.call('PEXPIRE', present, whole(KEEP))
  else
    redis.call('ZREM', present, member)
  end
  for word in string.gmatch(serves, '[^\n]+') do
    redis.call('ZADD', served, whole(now), word)
  end
  redis.call('PEXPIRE', served, whole(KEEP))
end
return {
  whole(now),
  redis.call('ZRANGEBYSCORE', present, '(' .. whole(now), '+inf'),
  redis.call('ZRANGE', served, 0, -1, 'WITHSCORES'),
}

-- snooze: look at some due members later; what is no longer in the list stays out of it
-- keys: due
-- args: delay_ms members
--       members: a count, then that many of member
-- answers: how many were there
local due = unpack(KEYS)
local clock = redis.call('TIME')
local at = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000) + tonumber(ARGV[1]))
local moved = 0
for row = 1, tonumber(ARGV[2]) do
  if redis.call('ZSCORE', due, ARGV[2 + row]) then
    redis.call('ZADD', due, at, ARGV[2 + row])
    moved = moved + 1
  end
end
return moved

-- streams: how many streams of one caller a process has open, unless all processes together would have too many
-- keys: streams
-- args: process count limit ttl_ms
-- answers: 1, or 0 where nothing was changed because it would be too many; no limit: 0
local streams = KEYS[1]
local process, count, limit, ttl = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local rows = redis.call('HGETALL', streams)
local others = 0
for at = 1, #rows, 2 do
  local open, expiry = string.match(rows[at + 1], '^(%d+)|(%d+)$')
  if tonumber(expiry) <= now then
    -- The process that said so is no more, and neither are its streams.
    redis.call('HDEL', streams, rows[at])
  elseif rows[at] ~= process then
    others = others + tonumber(open)
  end
end
if limit > 0 and others + count > limit then return 0 end
if count == 0 then
  redis.call('HDEL', streams, process)
else
  redis.call('HSET', streams, process, string.format('%d|%.0f', count, now + ttl))
  redis.call('PEXPIRE', streams, ttl)
end
return 1

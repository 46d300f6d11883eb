-- due: what a partition's sweeper must look at by now
-- keys: due
-- args: limit
-- answers: the server's milliseconds, then member and time of each, earliest first
local due = unpack(KEYS)
local limit = ARGV[1]
local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
local found = redis.call('ZRANGE', due, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
table.insert(found, 1, now)
return found

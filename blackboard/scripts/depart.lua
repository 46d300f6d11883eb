-- depart: count a board among those that a tenant has under way, if there is room for it
-- keys: flight
-- args: board limit keep_ms
-- answers: 1 counted, now or before | 0 there are as many as there may be
local flight = unpack(KEYS)
local board, limit, keep_ms = unpack(ARGV)

if redis.call('ZCARD', flight) >= tonumber(limit) and not redis.call('ZSCORE', flight, board) then return 0 end
local clock = redis.call('TIME')
redis.call('ZADD', flight, 'NX', string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000)), board)
redis.call('PEXPIRE', flight, keep_ms)
return 1

-- renew: a running activation keeps its lease
-- keys: head agenda leases due
-- args: board activation epoch lease_ms
-- answers: ok fenced cancelled
local head, agenda, leases, due = unpack(KEYS)
local board, activation, epoch, lease_ms = unpack(ARGV)
local ENDED = { completed = true, failed = true, cancelled = true }
local status = redis.call('HGET', head, 'status')
if not status then return 'fenced' end
if ENDED[status] then return 'cancelled' end
local record = redis.call('HGET', agenda, activation)
if not record then return 'fenced' end
local word, number = string.match(record, '^(%a+)|(%d+)|')
if word == 'cancelled' then return 'cancelled' end
if word ~= 'running' or number ~= epoch then return 'fenced' end
local clock = redis.call('TIME')
local expiry = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000) + tonumber(lease_ms))
local tail = string.match(redis.call('HGET', leases, activation) or '', '^%d+(|.*)$') or '||0|0'
redis.call('HSET', leases, activation, expiry .. tail)
redis.call('ZADD', due, expiry, board .. '|' .. activation)
return 'ok'

-- hook_take: take what is due in a lane; it is due again when the lease runs out
-- keys: lane lanes
-- args: lane_name limit lease_ms
-- answers: ids
local lane, lanes = unpack(KEYS)
local lane_name, limit, lease = unpack(ARGV)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local found = redis.call('ZRANGE', lane, '-inf', string.format('%.0f', now), 'BYSCORE', 'LIMIT', 0, limit)
for _, id in ipairs(found) do redis.call('ZADD', lane, string.format('%.0f', now + lease), id) end
local first = redis.call('ZRANGE', lane, 0, 0, 'WITHSCORES')
if first[1] then redis.call('ZADD', lanes, first[2], lane_name) else redis.call('ZREM', lanes, lane_name) end
return found

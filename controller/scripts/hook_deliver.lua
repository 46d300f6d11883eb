-- hook_deliver: something to deliver to a webhook, once for each id
-- keys: hook delivery lane lanes log
-- args: id lane_name keep_ms most fields
--       fields: a count, then that many of name value
-- answers: 1 | 0, it is there already, or the webhook is gone
local hook, delivery, lane, lanes, log = unpack(KEYS)
local id, lane_name, keep, most = unpack(ARGV, 1, 4)
if redis.call('EXISTS', hook) == 0 or redis.call('EXISTS', delivery) == 1 then return 0 end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local at = string.format('%.0f', now)
redis.call('HSET', delivery, 'status', 'pending', 'attempts', 0, 'round', 0, 'created', at, 'next', at)
for row = 1, tonumber(ARGV[5]) do redis.call('HSET', delivery, ARGV[4 + 2 * row], ARGV[5 + 2 * row]) end
redis.call('PEXPIRE', delivery, keep)
redis.call('ZADD', lane, at, id)
redis.call('ZADD', lanes, 'LT', at, lane_name)
redis.call('ZADD', log, at, id)
redis.call('ZREMRANGEBYSCORE', log, '-inf', string.format('%.0f', now - keep))
redis.call('ZREMRANGEBYRANK', log, 0, -1 - tonumber(most))
redis.call('PEXPIRE', log, keep)
return 1

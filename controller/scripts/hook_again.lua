-- hook_again: deliver something once more, now, with a whole schedule before it
-- keys: hook delivery lane lanes log
-- args: id lane_name keep_ms
-- answers: 1 | 0, it is gone
local hook, delivery, lane, lanes, log = unpack(KEYS)
local id, lane_name, keep = unpack(ARGV)
local attempts = redis.call('HGET', delivery, 'attempts')
if not attempts or redis.call('EXISTS', hook) == 0 then return 0 end
local clock = redis.call('TIME')
local at = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
redis.call('HSET', delivery, 'status', 'pending', 'round', attempts, 'next', at)
redis.call('PEXPIRE', delivery, keep)
redis.call('PEXPIRE', log, keep)
redis.call('ZADD', lane, at, id)
redis.call('ZADD', lanes, 'LT', at, lane_name)
return 1

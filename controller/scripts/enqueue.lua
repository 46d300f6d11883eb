-- enqueue: one arq job on its queue, and a token that wakes a worker which blocks on it
-- keys: queue job replaced wake
-- args: id payload ttl_ms replaced_id tokens
-- answers: 1
local queue, job, replaced, wake = unpack(KEYS)
local id, payload, ttl_ms, replaced_id, tokens = unpack(ARGV)
local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
if replaced_id ~= '' then
  redis.call('DEL', replaced)
  redis.call('ZREM', queue, replaced_id)
end
redis.call('SET', job, payload, 'PX', ttl_ms)
redis.call('ZADD', queue, now, id)
if tokens == '1' then
  -- Bounded and short-lived: a token is worth nothing once every worker has looked.
  redis.call('LPUSH', wake, '1')
  redis.call('LTRIM', wake, 0, 63)
  redis.call('PEXPIRE', wake, 10000)
end
return 1

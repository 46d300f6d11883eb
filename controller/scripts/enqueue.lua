-- enqueue: arq jobs on their queues, and tokens that wake workers which block on them
-- keys: jobs
--       for each job its queue, its job key, the job key it replaces and its wake list
-- args: ttl_ms rows
--       rows: for each job its id, payload, the id it replaces ("" for none), and 1 where a token is to be left
-- answers: 1
local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
for row = 0, #KEYS / 4 - 1 do
  local queue, job, replaced, wake = unpack(KEYS, row * 4 + 1, row * 4 + 4)
  local id, payload, replaced_id, token = unpack(ARGV, row * 4 + 2, row * 4 + 5)
  local since = now
  if replaced_id ~= '' then
    -- What is sent again while it still waits keeps its place: else it would never be the oldest, nor ever look old.
    since = redis.call('ZSCORE', queue, replaced_id) or now
    redis.call('DEL', replaced)
    redis.call('ZREM', queue, replaced_id)
  end
  redis.call('SET', job, payload, 'PX', ARGV[1])
  redis.call('ZADD', queue, since, id)
  -- Of a version nobody has any more, the queue ends with its last job.
  redis.call('PEXPIRE', queue, ARGV[1])
  if token == '1' then
    -- Bounded and short-lived: a token is worth nothing once every worker has looked.
    redis.call('LPUSH', wake, '1')
    redis.call('LTRIM', wake, 0, 63)
    redis.call('PEXPIRE', wake, 10000)
  end
end
return 1

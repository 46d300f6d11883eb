-- pop: due jobs of several queues leave arq altogether; a wake-up that is lost after this is sent again by the sweeper
-- keys: queues
--       each followed by its wake list
-- args: job_prefix total groups
--       groups: for each queue the number of its source and how many of it may be taken; queues of one source share
-- answers: for each job: number of its queue (from 1), id, payload or false where it had expired
local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
local prefix, total = ARGV[1], tonumber(ARGV[2])
local free, found = {}, {}
for at = 1, #KEYS / 2 do
  local queue, wake = KEYS[2 * at - 1], KEYS[2 * at]
  local group = ARGV[at * 2 + 1]
  free[group] = free[group] or tonumber(ARGV[at * 2 + 2])
  local most = math.min(free[group], total)
  if most > 0 then
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', queue, '-inf', now, 'LIMIT', 0, most)) do
      local job = prefix .. id
      found[#found + 1] = at
      found[#found + 1] = id
      found[#found + 1] = redis.call('GET', job)
      redis.call('DEL', job)
      redis.call('ZREM', queue, id)
      free[group] = free[group] - 1
      total = total - 1
    end
  end
  -- Whoever took the tokens may not have had room for all the jobs they spoke of: the rest is for somebody else.
  if (free[group] <= 0 or total <= 0) and redis.call('EXISTS', queue) == 1 and redis.call('EXISTS', wake) == 0 then
    redis.call('LPUSH', wake, '1')
    redis.call('PEXPIRE', wake, 10000)
  end
end
return found

-- pop: due jobs of several queues leave arq altogether; a wake-up that is lost after this is sent again by the sweeper
-- keys: queues
-- args: job_prefix total groups
--       groups: for each queue the number of its source and how many of it may be taken; queues of one source share
-- answers: for each job: number of its queue (from 1), id, payload or false where it had expired
local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
local prefix, total = ARGV[1], tonumber(ARGV[2])
local free, found = {}, {}
for at, queue in ipairs(KEYS) do
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
end
return found

-- hook_settle: what an attempt came to; a delivery that has succeeded stays so
-- keys: hook delivery lane lanes
-- args: id lane_name attempt status delay_ms healthy most
--       attempt: JSON | status: pending (again after the delay), delivered, failed | healthy: 1, 0, or "" to say nothing
--       most: attempts that are kept
-- answers: since when nothing was delivered to the webhook, ms; 0: not so
local hook, delivery, lane, lanes = unpack(KEYS)
local id, lane_name, attempt, status, delay, healthy, most = unpack(ARGV)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local state = redis.call('HMGET', delivery, 'status', 'attempts')
if not state[1] then
  redis.call('ZREM', lane, id)
elseif redis.call('HGET', delivery, 'a:' .. state[2]) ~= attempt then
  local number = tonumber(state[2]) + 1
  redis.call('HSET', delivery, 'a:' .. number, attempt, 'attempts', number)
  redis.call('HDEL', delivery, 'a:' .. (number - tonumber(most)))
  if status == 'pending' and state[1] == 'pending' then
    local at = string.format('%.0f', now + delay)
    redis.call('HSET', delivery, 'next', at)
    redis.call('ZADD', lane, at, id)
  else
    if state[1] == 'pending' or status == 'delivered' then redis.call('HSET', delivery, 'status', status) end
    redis.call('HDEL', delivery, 'next')
    redis.call('ZREM', lane, id)
  end
  if healthy ~= '' and redis.call('EXISTS', hook) == 1 then
    if healthy == '1' then
      redis.call('HSET', hook, 'delivered', string.format('%.0f', now))
      redis.call('HDEL', hook, 'failing')
    else
      redis.call('HSETNX', hook, 'failing', string.format('%.0f', now))
    end
  end
end
local first = redis.call('ZRANGE', lane, 0, 0, 'WITHSCORES')
if first[1] then redis.call('ZADD', lanes, first[2], lane_name) else redis.call('ZREM', lanes, lane_name) end
local failing = redis.call('HGET', hook, 'failing') or 0
return tonumber(failing)

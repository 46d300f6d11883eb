-- reserve: set money aside for one call at three levels, or say which level forbids it
-- keys: board tenant day rate pauses
-- args: reservation nano now_ms lease_ms whom board_cap tenant_cap day_cap board_keep_ms day_keep_ms alert pause_ms
--       reservation: its id, for once only; nano: the most the call may cost; whom: the tenant's name;
--       board_cap: "" where there is no board; alert: the most nano-dollars in 60 minutes, 0 for any
-- answers: reserved | paused, until, 0 | capped, level, cap, settled, open | busy, level, cap, settled, open, next
--          alert, until, spent in 60 minutes: the tenant is paused; who hears of it tells people, and then removes
--          `untold` from `rate`, so that nobody else does
-- rate: minute since 1970 -> nano-dollars; untold: the hour's sum that nobody was told of yet. pauses: tenant -> until, ms.
-- A level's hash: settled, open (sums), next (when a reservation lapses, not later than the first does),
-- r:<id> `nano|lapses` of a reservation, o:<id> nano of one that lapsed: it counts as settled until somebody knows better.
local board, tenant, day, rate, pauses = unpack(KEYS)
local reservation, nano, now_ms, lease_ms, whom, board_cap, tenant_cap, day_cap, board_keep_ms, day_keep_ms, alert, pause_ms = unpack(ARGV)
local HOUR, RATE_KEEP, PATIENCE = 60, 86400000, 5000
local now, asked = tonumber(now_ms), tonumber(nano)
local field = 'r:' .. reservation
-- Plus 0: HINCRBY takes no "-0".
local function whole(number) return string.format('%.0f', number + 0) end
local function figure(key, name) return tonumber(redis.call('HGET', key, name) or '0') end

-- What lapsed is spent: whoever asked for it may have been billed before they died.
local function sweep(key)
  local due = redis.call('HGET', key, 'next')
  if not due or tonumber(due) > now then return 0 end
  local next, lapsed = nil, 0
  local flat = redis.call('HGETALL', key)
  for i = 1, #flat, 2 do
    local id = string.match(flat[i], '^r:(.+)$')
    if id then
      local amount, lapses = string.match(flat[i + 1], '^(%d+)|(%d+)$')
      if tonumber(lapses) <= now then
        redis.call('HDEL', key, flat[i])
        redis.call('HSET', key, 'o:' .. id, amount)
        redis.call('HINCRBY', key, 'open', whole(-amount))
        redis.call('HINCRBY', key, 'settled', amount)
        lapsed = lapsed + amount
      elseif not next or tonumber(lapses) < next then
        next = tonumber(lapses)
      end
    end
  end
  if next then redis.call('HSET', key, 'next', whole(next)) else redis.call('HDEL', key, 'next') end
  return lapsed
end

-- Adds to the minute; the hour's sum where it is over what raises an alert.
local function jumped(spent)
  local minute, sum = math.floor(now / 60000), 0
  redis.call('HINCRBY', rate, whole(minute), whole(spent))
  local flat = redis.call('HGETALL', rate)
  for i = 1, #flat, 2 do
    local at = tonumber(flat[i])
    if at and at <= minute - HOUR then redis.call('HDEL', rate, flat[i]) elseif at then sum = sum + flat[i + 1] end
  end
  redis.call('PEXPIRE', rate, RATE_KEEP)
  if tonumber(alert) > 0 and sum > tonumber(alert) then return sum end
  return nil
end

if redis.call('HEXISTS', day, field) == 1 then return {'reserved'} end
local paused = redis.call('ZSCORE', pauses, whom)
if paused and tonumber(paused) > now then
  local untold = redis.call('HGET', rate, 'untold')
  if not untold or tonumber(paused) - pause_ms > now - PATIENCE then return {'paused', whole(tonumber(paused)), '0'} end
  -- Whoever was to tell of it died, or never got the answer.
  return {'alert', whole(tonumber(paused)), untold}
end

sweep(board)
sweep(day)
local lapsed = sweep(tenant)
local sum = lapsed > 0 and jumped(lapsed) or nil
if sum then
  redis.call('DEL', rate)
  redis.call('HSET', rate, 'untold', whole(sum))
  redis.call('PEXPIRE', rate, whole(RATE_KEEP + pause_ms))
  redis.call('ZREMRANGEBYSCORE', pauses, '-inf', now_ms)
  redis.call('ZADD', pauses, whole(now + pause_ms), whom)
  redis.call('PEXPIRE', pauses, whole(math.max(redis.call('PTTL', pauses), tonumber(pause_ms) + RATE_KEEP)))
  return {'alert', whole(now + pause_ms), whole(sum)}
end

local levels = {
  {'board', board, board_cap, board_keep_ms},
  {'tenant_day', tenant, tenant_cap, day_keep_ms},
  {'day', day, day_cap, day_keep_ms},
}
local busy = nil
for _, level in ipairs(levels) do
  local name, key, cap = level[1], level[2], tonumber(level[3])
  if cap then
    local settled, open = figure(key, 'settled'), figure(key, 'open')
    if settled + asked > cap then return {'capped', name, level[3], whole(settled), whole(open)} end
    if not busy and settled + open + asked > cap then
      busy = {'busy', name, level[3], whole(settled), whole(open), redis.call('HGET', key, 'next') or '0'}
    end
  end
end
if busy then return busy end
for _, level in ipairs(levels) do
  local key, lapses = level[2], now + lease_ms
  local next = redis.call('HGET', key, 'next')
  redis.call('HSET', key, field, nano .. '|' .. whole(lapses))
  redis.call('HINCRBY', key, 'open', nano)
  if not next or lapses < tonumber(next) then redis.call('HSET', key, 'next', whole(lapses)) end
  redis.call('PEXPIRE', key, level[4])
end
return {'reserved'}

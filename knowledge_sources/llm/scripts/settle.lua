-- settle: a reservation's call is over; what it came to takes the reservation's place
-- keys: board tenant day rate pauses
-- args: reservation nano now_ms whom alert pause_ms
--       nano: what it came to; alert: the most nano-dollars in 60 minutes, 0 for any
-- answers: settled, amount | unknown (settled before, or too long ago)
--          alert, until, spent in 60 minutes: this step paused the tenant; who hears of it tells people, and then
--          removes `untold` from `rate`, so that nobody else does
-- `reserve` says what the keys hold.
local board, tenant, day, rate, pauses = unpack(KEYS)
local reservation, nano, now_ms, whom, alert, pause_ms = unpack(ARGV)
local HOUR, RATE_KEEP = 60, 86400000
local now, cost = tonumber(now_ms), tonumber(nano)
-- Plus 0: HINCRBY takes no "-0".
local function whole(number) return string.format('%.0f', number + 0) end

-- Never more than was set aside: a cap that was kept when it was reserved must still be.
local function settle(key)
  local kept = redis.call('HGET', key, 'r:' .. reservation)
  if kept then
    local amount = tonumber(string.match(kept, '^(%d+)|'))
    local spent = math.min(amount, cost)
    redis.call('HDEL', key, 'r:' .. reservation)
    redis.call('HINCRBY', key, 'open', whole(-amount))
    redis.call('HINCRBY', key, 'settled', whole(spent))
    return spent, true
  end
  local lapsed = tonumber(redis.call('HGET', key, 'o:' .. reservation))
  if not lapsed then return nil, false end
  local spent = math.min(lapsed, cost)
  redis.call('HDEL', key, 'o:' .. reservation)
  redis.call('HINCRBY', key, 'settled', whole(spent - lapsed))
  return spent, false
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

local of_board = settle(board)
local of_day = settle(day)
local spent, fresh = settle(tenant)
local amount = spent or of_day or of_board
if not amount then return {'unknown'} end
-- What had lapsed was counted when it did.
local sum = fresh and spent > 0 and jumped(spent) or nil
local paused = redis.call('ZSCORE', pauses, whom)
if not sum or (paused and tonumber(paused) > now) then return {'settled', whole(amount)} end
redis.call('DEL', rate)
redis.call('HSET', rate, 'untold', whole(sum))
redis.call('PEXPIRE', rate, whole(RATE_KEEP + pause_ms))
redis.call('ZREMRANGEBYSCORE', pauses, '-inf', now_ms)
redis.call('ZADD', pauses, whole(now + pause_ms), whom)
redis.call('PEXPIRE', pauses, whole(math.max(redis.call('PTTL', pauses), tonumber(pause_ms) + RATE_KEEP)))
return {'alert', whole(now + pause_ms), whole(sum)}

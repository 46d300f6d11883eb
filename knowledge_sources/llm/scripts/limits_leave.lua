-- limits_leave: whoever waited for room goes; its place is kept for a while, or it never sent a call it had room for
-- keys: limits permits queue tickets
-- args: permit away_ms window_ms now
--       away_ms: how long its place is kept, 0: not at all; now: ms, "" for the server's clock
-- answers: 1 it had a place or a permit | 0 it had none
local limits, permits, queue, tickets = unpack(KEYS)
local permit, away_ms, window_ms, now = unpack(ARGV)
local LIFE, SLOTS = 700000, 60
local function whole(number) return string.format('%.0f', number) end
now = tonumber(now)
if not now then
  local clock = redis.call('TIME')
  now = clock[1] * 1000 + math.floor(clock[2] / 1000)
end
local ends = tonumber(redis.call('ZSCORE', permits, permit))
if ends then
  local input, output = string.match(permit, ':(%d+):(%d+)$')
  local slot = whole(math.floor((ends - LIFE) / (window_ms / SLOTS)))
  redis.call('ZREM', permits, permit)
  if redis.call('HEXISTS', limits, 'r:' .. slot) == 1 then
    redis.call('HINCRBY', limits, 'r:' .. slot, -1)
    redis.call('HINCRBY', limits, 'i:' .. slot, whole(0 - input))
  end
  if redis.call('HEXISTS', limits, 'held') == 1 then redis.call('HINCRBY', limits, 'held', whole(0 - output)) end
end
local waited = redis.call('ZSCORE', queue, permit)
if waited then
  if tonumber(away_ms) > 0 then
    local returns = string.match(redis.call('HGET', tickets, permit) or '', '|(%d+)$') or '0'
    redis.call('HSET', tickets, permit, whole(now + away_ms) .. '|away|' .. returns)
  else
    redis.call('ZREM', queue, permit)
    redis.call('HDEL', tickets, permit)
  end
end
return (ends or waited) and 1 or 0

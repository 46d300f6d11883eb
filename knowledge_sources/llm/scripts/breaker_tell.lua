-- breaker_tell: how a call went: it counts, opens the breaker, closes it, or gives the probe's lease back
-- keys: breaker
-- args: token probe outcome window_ms calls percent open_ms most_ms now
--       token: the probe's name, or the generation in which an ordinary call began; probe: 1 or 0; outcome: ok failed unknown
--       window_ms, calls, percent: what opens it; open_ms, most_ms: for how long at first, and at most
--       now: ms, "" for the server's clock
-- answers: closed open ignored, the generation, ms to wait (open only), how often in a row it has opened
local breaker = unpack(KEYS)
local token, probe, outcome, window_ms, calls, percent, open_ms, most_ms, now = unpack(ARGV)
local KEEP, SLOTS = 3600000, 30
local function whole(number) return string.format('%.0f', number) end
now = tonumber(now)
if not now then
  local clock = redis.call('TIME')
  now = clock[1] * 1000 + math.floor(clock[2] / 1000)
end

local all = redis.call('HGETALL', breaker)
local said = {}
for at = 1, #all, 2 do said[all[at]] = all[at + 1] end
local generation, times, ends = said.generation or '0', tonumber(said.times) or 0, tonumber(said['until'])

local function forget(fields)
  if #fields > 0 then redis.call('HDEL', breaker, unpack(fields)) end
end
local function counted()
  local fields = { 'streak', 'streak_at', 'probe', 'probe_until' }
  for field in pairs(said) do
    if string.match(field, '^[of]:') then fields[#fields + 1] = field end
  end
  return fields
end
local function turn(change)
  forget(counted())
  redis.call('HSET', breaker, 'since', whole(now), 'generation', whole(tonumber(generation) + 1), unpack(change))
  redis.call('PEXPIRE', breaker, whole(KEEP))
  return whole(tonumber(generation) + 1)
end
local function open()
  times = times + 1
  local length = math.min(open_ms * 2 ^ math.min(times - 1, 30), tonumber(most_ms))
  local next = turn({ 'until', whole(now + length), 'times', whole(times) })
  return { 'open', next, whole(length), whole(times) }
end
local function unchanged(word)
  local rest = ends and math.max(0, ends - now) or 0
  return { word, generation, whole(rest), whole(times) }
end

if probe == '1' then
  -- One whose lease ran out may have been followed by another: what it found out is the other's to say.
  if not ends or said.probe ~= token then return unchanged('ignored') end
  if outcome == 'failed' then return open() end
  if outcome == 'unknown' then
    forget({ 'probe', 'probe_until' })
    return unchanged('open')
  end
  forget({ 'until', 'times' })
  return { 'closed', turn({}), '0', '0' }
end

-- What began before the breaker opened or closed says nothing of the time after it.
if outcome == 'unknown' or ends or token ~= generation then return unchanged('ignored') end
local slot = math.floor(now * SLOTS / window_ms)
local good, bad, stale = outcome == 'ok' and 1 or 0, outcome == 'failed' and 1 or 0, {}
for field, amount in pairs(said) do
  local kind, number = string.match(field, '^([of]):(%d+)$')
  if kind and tonumber(number) <= slot - SLOTS then
    stale[#stale + 1] = field
  elseif kind == 'o' then
    good = good + amount
  elseif kind == 'f' then
    bad = bad + amount
  end
end
forget(stale)
redis.call('HINCRBY', breaker, (outcome == 'ok' and 'o:' or 'f:') .. whole(slot), 1)
local streak, streak_at = 0, now
if outcome == 'failed' then
  streak, streak_at = tonumber(said.streak) or 0, tonumber(said.streak_at) or now
  if streak == 0 or now - streak_at >= tonumber(window_ms) then streak, streak_at = 0, now end
  streak = streak + 1
end
redis.call('HSET', breaker, 'streak', whole(streak), 'streak_at', whole(streak_at))
redis.call('PEXPIRE', breaker, whole(KEEP))
local many = tonumber(calls)
if bad > 0 and (good + bad >= many and bad * 100 >= (good + bad) * percent or streak >= many) then
  all = redis.call('HGETALL', breaker)
  for at = 1, #all, 2 do said[all[at]] = all[at + 1] end
  return open()
end
return unchanged('closed')

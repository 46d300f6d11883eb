-- breaker_enter: whether a call may go out; the one probe of an open breaker is leased here, and kept by asking again
-- keys: breaker
-- args: probe lease_ms now
--       probe: names the caller, should it become the probe; now: ms, "" for the server's clock
-- answers: closed open probe, the generation, ms to wait (open only), how often in a row it has opened
local breaker = unpack(KEYS)
local probe, lease_ms, now = unpack(ARGV)
local KEEP = 3600000
local function whole(number) return string.format('%.0f', number) end
now = tonumber(now)
if not now then
  local clock = redis.call('TIME')
  now = clock[1] * 1000 + math.floor(clock[2] / 1000)
end

local found = redis.call('HMGET', breaker, 'until', 'generation', 'probe', 'probe_until', 'times')
local ends, generation, times = tonumber(found[1]), found[2] or '0', found[5] or '0'
if not ends then return { 'closed', generation, '0', '0' } end
if now < ends then return { 'open', generation, whole(ends - now), times } end
-- A lease that ran out is anybody's: whoever held it was killed, or has not been heard of since.
local leased = tonumber(found[4]) or 0
if found[3] and found[3] ~= probe and now < leased then return { 'open', generation, whole(leased - now), times } end
redis.call('HSET', breaker, 'probe', probe, 'probe_until', whole(now + lease_ms))
redis.call('PEXPIRE', breaker, whole(KEEP))
return { 'probe', generation, '0', times }

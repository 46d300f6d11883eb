-- admit: look a key up, and take a request from its bucket if it is the right one
-- keys: key bucket asked
-- args: digest rate
--       digest: of what was shown; rate: requests a minute where the key says nothing of its own, 0: any number
-- answers: 1 keys are asked for | 0, the time (ms), 1 a request was taken | 0 there is none, how many are left,
--          ms until all are there again, ms until the next is, the rate, the key's fields and values
local key, bucket, asked = unpack(KEYS)
local digest, rate = unpack(ARGV)
local MINUTE = 60000000
local FRESH = 60000
local clock = redis.call('TIME')
local micros = clock[1] * 1000000 + clock[2]
local now = math.floor(micros / 1000)
local function whole(number) return string.format('%.0f', number) end
local fields = redis.call('HGETALL', key)
local found = {}
for at = 1, #fields, 2 do found[fields[at]] = fields[at + 1] end
local function number(name) return tonumber(found[name] or '0') end
-- Whoever knows an id without its secret must not empty its bucket. Who is admitted is decided where this is read.
local right = found.digest == digest or (found.older == digest and number('older_until') > now)
local ended = number('revoked') > 0 or (number('expires') > 0 and number('expires') <= now)
local asks = redis.call('EXISTS', asked)
rate = tonumber(found.rate or rate)
if not right or ended or rate == 0 then
  return {asks, whole(now), 1, 0, 0, 0, 0, fields}
end
-- Not at every request: a figure that a minute is enough for must not cost a write each.
if now - number('used') > FRESH then redis.call('HSET', key, 'used', whole(now)) end
-- The generic cell rate algorithm: one number, when the bucket is full again, says all there is to know of it.
local each = MINUTE / rate
local full = math.max(tonumber(redis.call('GET', bucket) or '0'), micros)
local taken = 1
local wait = full + each - micros - MINUTE
if wait > 1 then
  taken = 0
else
  wait = 0
  full = full + each
  redis.call('SET', bucket, whole(full), 'PX', whole(math.ceil((full - micros) / 1000)))
end
local left = math.max(0, math.floor((MINUTE - (full - micros) + 1) / each))
return {asks, whole(now), taken, left, whole(math.ceil((full - micros) / 1000)), whole(math.ceil(wait / 1000)), rate, fields}

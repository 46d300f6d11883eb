-- doom: a blob that no board of the partition refers to is about to be removed: none may refer to it from now on
-- keys: blobs doomed
-- args: sha256 token ttl_ms keep_ms
--       token: whose mark it is; ttl_ms: when it lapses, should its owner die; keep_ms: how long, from now on, whoever
--       refers to the blob must show that it was looked for after this
-- answers: doomed (now or before) | referred, it stays | busy, somebody else is removing it
local blobs, doomed = unpack(KEYS)
local sha256, token, ttl_ms, keep_ms = unpack(ARGV)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function whole(number) return string.format('%.0f', number) end
redis.call('ZREMRANGEBYSCORE', doomed, '-inf', whole(now))
if redis.call('HEXISTS', blobs, sha256) == 1 then return 'referred' end
local going, own, gone = 'going ' .. sha256, 'by ' .. sha256 .. ' ' .. token, 'gone ' .. sha256
if redis.call('ZSCORE', doomed, own) then return 'doomed' end
if redis.call('ZSCORE', doomed, going) then return 'busy' end
-- Each removal has a mark of its own, and a later one a higher.
local mark = math.max(now + keep_ms, tonumber(redis.call('ZSCORE', doomed, gone) or '0') + 1)
redis.call('ZADD', doomed, whole(now + ttl_ms), going, whole(now + ttl_ms), own, whole(mark), gone)
redis.call('PEXPIRE', doomed, whole(mark - now + 1000))
return 'doomed'

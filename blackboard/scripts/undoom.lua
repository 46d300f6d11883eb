-- undoom: a blob that was about to be removed is gone now, or stays after all
-- keys: orphans doomed
-- args: sha256 token removed
--       removed: 1, or "" where it stays
-- answers: 1 | 0, the mark had lapsed
local orphans, doomed = unpack(KEYS)
local sha256, token, removed = unpack(ARGV)
local own = 'by ' .. sha256 .. ' ' .. token
if removed == '1' then redis.call('ZREM', orphans, sha256) end
if not redis.call('ZSCORE', doomed, own) then return 0 end
-- That it was about to go (`gone`) stays said: to look once more does no harm.
redis.call('ZREM', doomed, own, 'going ' .. sha256)
return 1

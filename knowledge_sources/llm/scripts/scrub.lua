-- scrub: of a line of the ledger keep the figures alone
-- keys: rows
-- args: id found bare
--       found: the line as it was read
-- answers: 1 | 0, there is none, or its call ended meanwhile: it was kept bare then
local rows = unpack(KEYS)
local id, found, bare = unpack(ARGV)
if redis.call('HGET', rows, id) ~= found then return 0 end
local figures, cells = string.match(found, '^([^\29]*)\29([^\29]*)\29')
redis.call('HSET', rows, id, figures .. '\29' .. cells .. '\29' .. bare)
return 1

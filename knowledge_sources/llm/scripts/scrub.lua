-- scrub: of a line of the ledger keep the figures alone
-- keys: rows
-- args: id bare
-- answers: 1 | 0, there is none
local rows = unpack(KEYS)
local id, bare = unpack(ARGV)
local before = redis.call('HGET', rows, id)
if not before then return 0 end
local figures, cells = string.match(before, '^([^\29]*)\29([^\29]*)\29')
redis.call('HSET', rows, id, figures .. '\29' .. cells .. '\29' .. bare)
return 1

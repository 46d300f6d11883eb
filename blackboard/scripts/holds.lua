-- holds: whether everything behind a cursor of a stream is still there
-- keys: activity
-- args: cursor
-- answers: 1 or 0
local activity = unpack(KEYS)
local cursor = unpack(ARGV)
if cursor ~= '0-0' then return #redis.call('XRANGE', activity, cursor, cursor) end
if redis.call('EXISTS', activity) == 0 then return 1 end
local section = 'STREAM'
local info = redis.call('XINFO', section, activity)
local facts = {}
for at = 1, #info, 2 do facts[info[at]] = info[at + 1] end
return facts['entries-added'] == facts['length'] and 1 or 0

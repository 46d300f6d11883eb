-- adopt: a place among the boards below a top-level board for one more child, unless a limit is reached
-- keys: head kin
-- args: child parent most_children most_below
-- answers: adopted (now or before) | children, the parent has as many as it may | below, the top-level board has | closed | gone
local head, kin = unpack(KEYS)
local child, parent, most_children, most_below = unpack(ARGV)
local ENDED = { completed = true, failed = true, cancelled = true }
local status = redis.call('HGET', head, 'status')
if not status then return 'gone' end
if ENDED[status] then return 'closed' end
if redis.call('HEXISTS', kin, child) == 1 then return 'adopted' end
local counts = redis.call('HMGET', kin, '#' .. parent, '#below')
if tonumber(counts[1] or '0') >= tonumber(most_children) then return 'children' end
if tonumber(counts[2] or '0') >= tonumber(most_below) then return 'below' end
redis.call('HSET', kin, child, parent)
redis.call('HINCRBY', kin, '#' .. parent, 1)
redis.call('HINCRBY', kin, '#below', 1)
return 'adopted'

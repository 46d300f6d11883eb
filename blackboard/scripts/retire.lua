-- retire: an ended board goes with all its keys; blobs that no board of the partition refers to become orphans
-- keys: head entries values agenda leases commits log refs kin due blobs orphans boards
-- args: board
-- answers: 1 | 0, it has not ended | -1, there is none
local head, entries, values, agenda, leases, commits, log, refs, kin, due, blobs, orphans, boards = unpack(KEYS)
local board = ARGV[1]
local ENDED = { completed = true, failed = true, cancelled = true }
local status = redis.call('HGET', head, 'status')
if not status then return -1 end
if not ENDED[status] then return 0 end
local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
for name in string.gmatch(redis.call('HGET', commits, '#due') or '', '%S+') do redis.call('ZREM', due, board .. '|' .. name) end
for _, name in ipairs(redis.call('HKEYS', agenda)) do redis.call('ZREM', due, board .. '|' .. name) end
for _, blob in ipairs(redis.call('SMEMBERS', refs)) do
  if redis.call('HINCRBY', blobs, blob, -1) <= 0 then
    redis.call('HDEL', blobs, blob)
    redis.call('ZADD', orphans, now, blob)
  end
end
redis.call('ZREM', boards, board)
redis.call('UNLINK', head, entries, values, agenda, leases, commits, log, refs, kin)
return 1

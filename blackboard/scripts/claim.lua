-- claim: a pending activation, or a running one whose lease has expired, becomes this worker's
-- keys: head entries values agenda leases log activity due
-- args: board activation nonce lease_ms worker body_first body_lost
-- answers: claimed already (with incarnation, revision, at, record, whether it was lost, reads as key header value, keys an
--          earlier epoch wrote) | busy stale finished closed gone
local head, entries, values, agenda, leases, log, activity, due = unpack(KEYS)
local board, activation, nonce, lease_ms, worker, body_first, body_lost = unpack(ARGV)

local ENDED = { completed = true, failed = true, cancelled = true }
local state = redis.call('HMGET', head, 'revision', 'status', 'incarnation', 'tenant')
if not state[1] then return { 'gone' } end
if ENDED[state[2]] then return { 'closed' } end
local record = redis.call('HGET', agenda, activation)
if not record then return { 'gone' } end
local status, epoch, inputs, data = string.match(record, '^(%a+)|(%d+)|([^|]*)|(.*)$')
if status ~= 'pending' and status ~= 'running' then return { 'finished' } end

local clock = redis.call('TIME')
local time = clock[1] * 1000 + math.floor(clock[2] / 1000)
local now = string.format('%.0f', time)

local lost, again = false, nil
if status == 'running' then
  local lease = redis.call('HGET', leases, activation)
  local expiry, holder, revision, at
  if lease then expiry, holder, revision, at = string.match(lease, '^(%d+)|([^|]*)|(%d+)|(%d+)$') end
  if lease and tonumber(expiry) > time then
    if holder ~= nonce then return { 'busy' } end
    again = { revision, at }
  else
    lost = true
  end
end

local keys, marks, versions = {}, {}, {}
for mark, key, version in string.gmatch(inputs, '(=?)([^%s@]+)@(%d+)') do
  keys[#keys + 1], marks[#marks + 1], versions[#versions + 1] = key, mark, version
end
-- In portions: Lua cannot pass more than 8,000 arguments.
local PORTION = 4000
local function fetch(hash)
  local found = {}
  for first = 1, #keys, PORTION do
    local part = redis.call('HMGET', hash, unpack(keys, first, math.min(first + PORTION - 1, #keys)))
    for at = 1, #part do found[first + at - 1] = part[at] end
  end
  return found
end
local headers = fetch(entries)
local reads, words = {}, {}
for at, key in ipairs(keys) do
  local text, current, life = headers[at], '0', 'none'
  if text then current, life = string.match(text, '^(%d+)|(%a+)|') end
  if marks[at] == '=' and not again and (current ~= versions[at] or life == 'gone') then
    -- What an earlier epoch wrote itself is no move: else nobody could ever take a reviser over.
    local writer = life == 'live' and string.match(text, '|([^|]*)|[^|]*$')
    if writer ~= activation then return { 'stale' } end
  end
  -- An unchecked input that is gone was not read: the record says so, or the run would look outdated at once.
  if life == 'gone' and marks[at] ~= '=' then current = '0' end
  words[at] = marks[at] .. key .. '@' .. current
end
local bodies = fetch(values)
for at, key in ipairs(keys) do
  reads[3 * at - 2] = key
  reads[3 * at - 1] = headers[at] or ''
  reads[3 * at] = bodies[at]
end

if not again then epoch = string.format('%d', tonumber(epoch) + 1) end
local wrote = {}
if tonumber(epoch) > 1 then
  local all = redis.call('HGETALL', entries)
  for at = 1, #all, 2 do
    local writer = string.match(all[at + 1], '^%d+|live|.*|([^|]*)|[^|]*$')
    if writer == activation then wrote[#wrote + 1] = all[at] end
  end
  table.sort(wrote)
end
if again then return { 'already', state[3], again[1], again[2], record, 0, reads, wrote } end

-- Nothing below may fail: there is no way back from here.
record = 'running|' .. epoch .. '|' .. table.concat(words, ' ') .. '|' .. data
local revision = string.format('%d', tonumber(state[1]) + 1)
local expiry = string.format('%.0f', time + tonumber(lease_ms))
redis.call('HSET', agenda, activation, record)
redis.call('HSET', leases, activation, expiry .. '|' .. nonce .. '|' .. revision .. '|' .. now)
redis.call('ZADD', due, expiry, board .. '|' .. activation)
redis.call('HSET', head, 'revision', revision)
redis.call('XADD', log, revision .. '-0', 'type', 'activation.claimed', 'by', worker, 'at', now, 'inc', state[3],
  'epoch', epoch, 'body', lost and body_lost or body_first, 'a:' .. activation, record)
redis.call('XADD', activity, 'MAXLEN', '~', 10000, '*', 'b', board, 'r', revision, 't', 'activation.claimed',
  'n', state[4] or '')
return { 'claimed', state[3], revision, now, record, lost and 1 or 0, reads, wrote }

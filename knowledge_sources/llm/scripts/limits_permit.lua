-- limits_permit: room for one call under the limits of an account and class of models, or a place in the queue for it
-- keys: limits permits queue tickets
-- args: permit process requests input_tokens output_tokens concurrency window_ms ticket_ms now
--       permit: `<name>:<input tokens>:<most output tokens>`; process: who asks; the next three: set limits a window, 0 for none
--       ticket_ms: how long a place in the queue outlives its last ask; now: ms, "" for the server's clock
-- answers: granted wait closed never, ms to wait (-1: until others end), how many are ahead, calls under way, processes heard of,
--          the limits of requests, input tokens, output tokens and tokens a window (0: none known)
local limits, permits, queue, tickets = unpack(KEYS)
local permit, process, requests, input_tokens, output_tokens, concurrency, window_ms, ticket_ms, now = unpack(ARGV)
local LIFE, KEEP, SLOTS, SLACK, HEARD, LOOK = 700000, 3600000, 60, 2, 600000, 64
local DIMS = { 'r', 'i', 'o', 't' }
local function whole(number) return string.format('%.0f', number) end
now = tonumber(now)
if not now then
  local clock = redis.call('TIME')
  now = clock[1] * 1000 + math.floor(clock[2] / 1000)
end
local slot_ms = window_ms / SLOTS
local slot = math.floor(now / slot_ms)
-- A window reaches into one slot more than it is long; SLACK more are for calls that travel.
local span = SLOTS + SLACK + 1
local oldest = slot - span + 1

-- What is written down: use by slot, what was said about limits, who was heard of.
local slots, said, gone, heard = { r = {}, i = {}, o = {} }, {}, {}, 1
local all = redis.call('HGETALL', limits)
for at = 1, #all, 2 do
  local kind, name = string.match(all[at], '^([riop]):(.+)$')
  local amount = tonumber(all[at + 1])
  if kind == 'p' then
    if amount < now - HEARD then gone[#gone + 1] = all[at] elseif name ~= process then heard = heard + 1 end
  elseif kind then
    if tonumber(name) < oldest then gone[#gone + 1] = all[at] else slots[kind][tonumber(name)] = amount end
  else
    said[all[at]] = all[at + 1]
  end
end
for first = 1, #gone, 4000 do redis.call('HDEL', limits, unpack(gone, first, math.min(first + 3999, #gone))) end

local function sizes(word)
  local input, output = string.match(word, ':(%d+):(%d+)$')
  return tonumber(input), tonumber(output)
end
-- Output that calls under way may still produce. A permit whose process died comes back here.
local held = tonumber(said.held)
for _, word in ipairs(redis.call('ZRANGEBYSCORE', permits, '-inf', whole(now))) do
  redis.call('ZREM', permits, word)
  local _, output = sizes(word)
  if held then held = held - output end
end
if not held then
  held = 0
  for _, word in ipairs(redis.call('ZRANGE', permits, 0, -1)) do
    local _, output = sizes(word)
    held = held + output
  end
end

local most, debts = {}, {}
local set = { r = tonumber(requests), i = tonumber(input_tokens), o = tonumber(output_tokens), t = 0 }
for _, dim in ipairs(DIMS) do
  most[dim] = tonumber(said['limit:' .. dim])
  if set[dim] > 0 then most[dim] = math.min(set[dim], most[dim] or set[dim]) end
  local amount, until_ = string.match(said['debt:' .. dim] or '', '^(%d+)|(%d+)$')
  debts[dim] = { amount = tonumber(amount) or 0, ends = tonumber(until_) or 0 }
end
local under_way = redis.call('ZCARD', permits)

local function used(dim, ahead)
  if dim == 't' then return used('i', ahead) + used('o', ahead) end
  local sum = dim == 'o' and held or 0
  for number, amount in pairs(slots[dim]) do
    if number >= oldest + ahead then sum = sum + amount end
  end
  return sum
end
local function when(ahead) return ahead == 0 and now or (slot + ahead) * slot_ms end
-- Whether there is room, `ahead` slots from now, if nothing is granted or given back meanwhile.
local function fits(cost, ahead)
  for _, dim in ipairs(DIMS) do
    if most[dim] then
      local debt = when(ahead) < debts[dim].ends and debts[dim].amount or 0
      if used(dim, ahead) + debt + cost[dim] > most[dim] then return false end
    end
  end
  return true
end
local function earliest(cost)
  if fits(cost, 0) then return 0 end
  if not fits(cost, span) then return nil end
  local no, yes = 0, span
  while yes - no > 1 do
    local middle = math.floor((no + yes) / 2)
    if fits(cost, middle) then yes = middle else no = middle end
  end
  return yes
end
-- An answer that may be longer than a whole window allows goes out when nothing else is under way: it will hardly be.
local function cost_of(word)
  local input, output = sizes(word)
  return {
    r = 1, i = math.min(input, most.i or input), o = math.min(output, most.o or output),
    t = math.min(input + output, most.t or input + output),
  }
end

local function answer(word, wait, ahead)
  redis.call('HSET', limits, 'p:' .. process, whole(now), 'held', whole(held))
  for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, whole(KEEP)) end
  return {
    word, whole(wait), whole(ahead), whole(under_way), whole(heard),
    whole(most.r or 0), whole(most.i or 0), whole(most.o or 0), whole(most.t or 0),
  }
end
if redis.call('ZSCORE', permits, permit) then return answer('granted', 0, 0) end
local input = sizes(permit)
if most.i and input > most.i or most.t and input > most.t then return answer('never', 0, 0) end

-- A ticket is `until|here or away|how often it was taken up again`. Who comes back takes up an equal one that is away.
local function ticket(word)
  local ends, place, returns = string.match(redis.call('HGET', tickets, word) or '', '^(%d+)|(%a+)|(%d+)$')
  return tonumber(ends) or 0, place, tonumber(returns) or 0
end
local function drop(word)
  redis.call('ZREM', queue, word)
  redis.call('HDEL', tickets, word)
end
local returns, since = 0, redis.call('ZSCORE', queue, permit)
if since then
  local _, _, again = ticket(permit)
  returns = again
else
  local size = string.match(permit, ':%d+:%d+$')
  for _, word in ipairs(redis.call('ZRANGE', queue, 0, LOOK - 1)) do
    if string.sub(word, -#size) == size then
      local ends, place, again = ticket(word)
      if place == 'away' and ends > now then
        returns, since = again + 1, redis.call('ZSCORE', queue, word)
        drop(word)
        redis.call('ZADD', queue, since, permit)
        break
      end
    end
  end
end

-- The first in the queue whose room is kept: who waits here, or who went away but came back once before.
local first
for _, word in ipairs(redis.call('ZRANGE', queue, 0, LOOK - 1)) do
  if word == permit then break end
  local ends, place, again = ticket(word)
  if ends <= now then
    drop(word)
  elseif place == 'here' or again > 0 then
    first = word
    break
  end
end

local cost, free, closed = cost_of(permit), tonumber(concurrency) - under_way, tonumber(said.closed) or 0
local wait = -1
if closed > now then
  wait = closed - now
elseif free > 0 then
  local ahead = earliest(cost)
  local may = ahead == 0
  if ahead and ahead > 0 then wait = when(ahead) - now end
  if may and first then
    -- Pass it only where that does not make it wait longer: room for both when its own is there, and one more call at a time.
    local its = cost_of(first)
    local start = earliest(its)
    for _, dim in ipairs(DIMS) do its[dim] = its[dim] + cost[dim] end
    may = free > 1 and start ~= nil and fits(its, start)
  end
  if may then
    redis.call('ZADD', permits, whole(now + LIFE), permit)
    redis.call('HINCRBY', limits, 'r:' .. whole(slot), 1)
    redis.call('HINCRBY', limits, 'i:' .. whole(slot), whole(input))
    local _, output = sizes(permit)
    held, under_way = held + output, under_way + 1
    drop(permit)
    return answer('granted', 0, 0)
  end
end
if not since then redis.call('ZADD', queue, redis.call('HINCRBY', limits, 'came', 1), permit) end
redis.call('HSET', tickets, permit, whole(now + ticket_ms) .. '|here|' .. whole(returns))
return answer(closed > now and 'closed' or 'wait', wait, redis.call('ZRANK', queue, permit))

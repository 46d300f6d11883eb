-- limits_settle: a call is over: what it did not use comes back, and what the server said of its limits lowers what is left
-- keys: limits permits
-- args: permit input output closed_ms date requests input_tokens output_tokens window_ms now said
--       permit: as granted; input, output: tokens it came to, "" where nobody knows; closed_ms: nothing more for so long, or 0
--       date: when the server answered, ms on its clock, "" unsaid; the next three: set limits a window, 0 for none
--       now: ms, "" for the server's clock
--       said: limit remaining reset, "" where unsaid, of requests, input tokens, output tokens and tokens;
--       reset: ms from the answer until nothing of the limit is used
-- answers: 1 settled | 0 it was before, or had run out; then whether what the server said was looked at
local limits, permits = unpack(KEYS)
local permit, input, output, closed_ms, date = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local requests, input_tokens, output_tokens = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local window_ms, now, SAID = tonumber(ARGV[9]), tonumber(ARGV[10]), 10
local LIFE, KEEP, SLOTS, SLACK, MOST = 700000, 3600000, 60, 2, 3600000
local DIMS = { 'r', 'i', 'o', 't' }
local function whole(number) return string.format('%.0f', number) end
if not now then
  local clock = redis.call('TIME')
  now = clock[1] * 1000 + math.floor(clock[2] / 1000)
end
local slot_ms = window_ms / SLOTS
local slot = math.floor(now / slot_ms)
local oldest = slot - SLOTS - SLACK
local function sizes(word)
  local most_input, most_output = string.match(word, ':(%d+):(%d+)$')
  return tonumber(most_input), tonumber(most_output)
end

local ends = tonumber(redis.call('ZSCORE', permits, permit))
if ends then
  local reserved, held = sizes(permit)
  redis.call('ZREM', permits, permit)
  -- Input counts from the grant on, output from the end of the call on: the server counted either no later than that.
  local granted = math.floor((ends - LIFE) / slot_ms)
  if input and granted >= oldest then redis.call('HINCRBY', limits, 'i:' .. whole(granted), whole(input - reserved)) end
  redis.call('HINCRBY', limits, 'o:' .. whole(slot), whole(output or held))
  if redis.call('HEXISTS', limits, 'held') == 1 then redis.call('HINCRBY', limits, 'held', whole(0 - held)) end
end
if closed_ms > 0 then
  local closed = tonumber(redis.call('HGET', limits, 'closed')) or 0
  redis.call('HSET', limits, 'closed', whole(math.max(closed, now + math.min(closed_ms, MOST))))
end
redis.call('PEXPIRE', limits, whole(KEEP))
redis.call('PEXPIRE', permits, whole(KEEP))
local settled = ends and 1 or 0

local any = false
for at = SAID + 1, #ARGV do any = any or ARGV[at] ~= '' end
if not any then return { settled, 0 } end
-- Answers overtake each other; but none is older than a call may take: then the server's clock was set back.
local as_of = tonumber(redis.call('HGET', limits, 'as_of'))
if date and as_of and date < as_of and as_of - date <= LIFE then return { settled, 0 } end
if date then redis.call('HSET', limits, 'as_of', whole(date)) end

local used, said = { r = 0, i = 0, o = 0 }, {}
local all = redis.call('HGETALL', limits)
for at = 1, #all, 2 do
  local dim, number = string.match(all[at], '^([rio]):(%d+)$')
  if not dim then
    said[all[at]] = all[at + 1]
  elseif tonumber(number) >= oldest then
    used[dim] = used[dim] + tonumber(all[at + 1])
  end
end
-- Reserved still: requests and input of calls that the server may not have met when it answered, output of all under way.
local reserved = { r = 0, i = 0, o = tonumber(said.held) or 0 }
local since = ends and '(' .. whole(ends - SLACK * slot_ms) or '-inf'
for _, word in ipairs(redis.call('ZRANGEBYSCORE', permits, since, '+inf')) do
  local most_input = sizes(word)
  reserved.r, reserved.i = reserved.r + 1, reserved.i + most_input
end
used.o = used.o + reserved.o
used.t, reserved.t = used.i + used.o, reserved.i + reserved.o

local set = { r = requests, i = input_tokens, o = output_tokens, t = 0 }
for at, dim in ipairs(DIMS) do
  local limit, remaining, reset = unpack(ARGV, SAID + at * 3 - 2, SAID + at * 3)
  limit, remaining, reset = tonumber(limit), tonumber(remaining), tonumber(reset) or window_ms
  local known, known_at = tonumber(said['limit:' .. dim]), tonumber(said['limit_at:' .. dim]) or 0
  -- A limit is lowered at once, and raised when nobody has said the lower one for a window.
  if limit and (not known or limit <= known or now - known_at >= window_ms) then
    known = limit
    redis.call('HSET', limits, 'limit:' .. dim, whole(limit), 'limit_at:' .. dim, whole(now))
  end
  local most = known
  if set[dim] > 0 then most = math.min(set[dim], known or set[dim]) end
  if most and remaining then
    local debt, until_ = string.match(said['debt:' .. dim] or '', '^(%d+)|(%d+)$')
    debt, until_ = tonumber(debt) or 0, tonumber(until_) or 0
    if until_ <= now then debt, until_ = 0, 0 end
    local level, said_level = most - used[dim] - debt, math.max(0, remaining - reserved[dim])
    local lasts = now + math.max(0, math.min(reset, MOST))
    if said_level < level and lasts > now then
      redis.call('HSET', limits, 'debt:' .. dim, whole(debt + level - said_level) .. '|' .. whole(math.max(until_, lasts)))
    end
  end
end
return { settled, 1 }

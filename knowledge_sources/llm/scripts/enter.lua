-- enter: write a line of the ledger, put another in its place, or strike it; sums follow
-- keys: rows order board_order sums board_sums erased
-- args: id at place keep_ms mode figures cells line bare
--       at: ms; place: `day|id` in the board's order, "" where there is no board; mode: begin never replaces a line;
--       end does; strike removes; figures: whole numbers with commas, the first of them 1;
--       cells: what the figures are added to, with 0x1e between; line: opaque;
--       bare: what takes the line's place where its board was erased
-- answers: 1 written | 0 as it was
-- A line is kept as `figures 0x1d cells 0x1d line`, so that its figures can be taken out of the sums again.
local rows, order, board_order, sums, board_sums, erased = unpack(KEYS)
local id, at, place, keep_ms, mode, figures, cells, line, bare = unpack(ARGV)
if place ~= '' and redis.call('EXISTS', erased) == 1 then line, place = bare, '' end

local function numbers(text)
  local found = {}
  for word in string.gmatch(text, '[^,]+') do found[#found + 1] = tonumber(word) end
  return found
end

local function add(key, cell, more, sign)
  local sum = numbers(redis.call('HGET', key, cell) or '')
  for i = 1, #more do sum[i] = (sum[i] or 0) + sign * more[i] end
  if sum[1] == 0 then redis.call('HDEL', key, cell) return end
  local words = {}
  for i = 1, #sum do words[i] = string.format('%.0f', sum[i] + 0) end
  redis.call('HSET', key, cell, table.concat(words, ','))
end

local function count(text, places, sign)
  local more = numbers(text)
  for cell in string.gmatch(places, '[^\30]+') do
    add(sums, cell, more, sign)
    -- A board's own sums need no cell that tells boards apart.
    if place ~= '' and string.sub(cell, 1, 1) == 'c' then add(board_sums, cell, more, sign) end
  end
end

local before = redis.call('HGET', rows, id)
if before and mode == 'begin' then return 0 end
if not before and mode == 'strike' then return 0 end
if before then
  local old, old_cells = string.match(before, '^([^\29]*)\29([^\29]*)\29')
  count(old, old_cells, -1)
end
if mode == 'strike' then
  redis.call('HDEL', rows, id)
  redis.call('ZREM', order, id)
  if place ~= '' then redis.call('ZREM', board_order, place) end
  return 1
end
count(figures, cells, 1)
redis.call('HSET', rows, id, figures .. '\29' .. cells .. '\29' .. line)
redis.call('ZADD', order, at, id)
for _, key in ipairs({rows, order, sums}) do redis.call('PEXPIRE', key, keep_ms) end
if place ~= '' then
  redis.call('ZADD', board_order, at, place)
  for _, key in ipairs({board_order, board_sums}) do redis.call('PEXPIRE', key, keep_ms) end
end
return 1

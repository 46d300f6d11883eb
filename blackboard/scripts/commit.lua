-- commit: checks, writes and one log record of a board, all or nothing
-- keys: head entries values agenda leases commits log refs activity due blobs doomed boards once
-- args: board commit type by mode activation revision fence epoch note create body once_for checks agenda_checks writes agenda_writes head_fields dues blob_refs fork_fields
--       once_for: "", or nonce|fingerprint|milliseconds: the request that is answered, see once.lua
--       the last eight are lists: a count, then that many of
--       checks: key version | agenda_checks: activation status epoch | writes: "p" key value digest size confidence pin, or "r" key owner
--       agenda_writes: activation record due, "" for none | head_fields: name value | dues: name delay, "" to remove
--       blob_refs: sha256 mark, of the removal that it was put after, or "" | fork_fields: field bytes, fields named as in the log: e:key v:key a:activation
-- answers: committed conflict fenced closed gone, each as `status|revision|at|incarnation` and a line per write or mismatch;
--          doomed, with a line `going|sha256|` or `gone|sha256|mark` for each blob that is not known to be there;
--          a remembered one begins with `already|`
local head, entries, values, agenda, leases, commits, log, refs, activity, due, blobs, doomed, boards, once = unpack(KEYS)
local MOST_NOTES, MOST_FIELDS = 100, 7000
local ENDED = { completed = true, failed = true, cancelled = true }

local cursor = 0
local function take()
  cursor = cursor + 1
  return ARGV[cursor]
end
local function list(width)
  local rows = {}
  for row = 1, tonumber(take()) do
    rows[row] = { unpack(ARGV, cursor + 1, cursor + width) }
    cursor = cursor + width
  end
  return rows
end

local board, commit, type_, by, mode = take(), take(), take(), take(), take()
local activation, revision_check, fence, epoch = take(), take(), take(), take()
local note, create, body, once_for = take(), take(), take(), take()

local remembered = commit ~= '' and redis.call('HMGET', commits, commit, '#due')
if remembered and remembered[1] then return 'already|' .. remembered[1] end

local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
local state = redis.call('HMGET', head, 'revision', 'status', 'incarnation', 'tenant')
local revision, status, incarnation, tenant = state[1] or '0', state[2] or '', state[3] or '', state[4] or ''

local function answer(word, lines)
  table.insert(lines, 1, word .. '|' .. revision .. '|' .. now .. '|' .. incarnation)
  return table.concat(lines, '\n')
end

local function refuse(word, mismatches)
  local lines, shown = {}, {}
  for at, m in ipairs(mismatches) do
    lines[at] = m[1] .. '|' .. m[2] .. '|' .. m[3]
    shown[at] = '{"key":"' .. m[1] .. '","expected":"' .. m[2] .. '","actual":"' .. m[3] .. '"}'
  end
  local text = answer(word, lines)
  if commit ~= '' then redis.call('HSET', commits, commit, text) end
  if note == '1' and tonumber(redis.call('HGET', commits, '#notes') or '0') < MOST_NOTES then
    redis.call('HINCRBY', commits, '#notes', 1)
    redis.call('XADD', log, revision .. '-*', 'type', 'contribution.refused', 'by', by, 'commit', commit, 'at', now,
      'inc', incarnation, 'epoch', epoch,
      'body', '{"refused":"' .. word .. '","type":"' .. type_ .. '","mismatches":[' .. table.concat(shown, ',') .. ']}')
    redis.call('XADD', activity, 'MAXLEN', '~', 10000, '*', 'b', board, 'r', revision, 't', 'contribution.refused',
      'n', tenant)
  end
  return text
end

local nonce, fingerprint, keep_ms = string.match(once_for, '^(%w+)|(%x+)|(%d+)$')
if nonce then
  -- Its reservation may have lapsed; then whoever took it next decides.
  local held = redis.call('GET', once)
  if held and held ~= 'busy|' .. nonce then return answer('conflict', { 'once||' }) end
end
if create == '1' then
  if state[1] then return answer('conflict', { 'revision|0|' .. revision }) end
else
  if not state[1] then return answer('gone', {}) end
  if ENDED[status] then return answer('closed', {}) end
end

-- One call for many fields, in portions: Lua cannot pass more than 8,000 arguments.
local PORTION = 3000
local function fetch(hash, fields)
  local found = {}
  for first = 1, #fields, PORTION do
    local last = math.min(first + PORTION - 1, #fields)
    local values_ = redis.call('HMGET', hash, unpack(fields, first, last))
    for at = first, last do found[fields[at]] = values_[at - first + 1] end
  end
  return found
end
local function each(command, key, arguments)
  for first = 1, #arguments, 2 * PORTION do
    redis.call(command, key, unpack(arguments, first, math.min(first + 2 * PORTION - 1, #arguments)))
  end
end

local checks, agenda_checks = list(2), list(3)
local ids = {}
if fence ~= '' then ids[1] = fence end
for _, check in ipairs(agenda_checks) do ids[#ids + 1] = check[1] end
local records = fetch(agenda, ids)
if fence ~= '' then
  local record = records[fence]
  if not record or string.match(record, '^running|(%d+)|') ~= epoch then return refuse('fenced', {}) end
end

local writes, wanted = {}, {}
for _, check in ipairs(checks) do wanted[#wanted + 1] = check[1] end
for row = 1, tonumber(take()) do
  local width = ARGV[cursor + 1] == 'p' and 7 or 3
  writes[row] = { unpack(ARGV, cursor + 1, cursor + width) }
  cursor = cursor + width
  wanted[#wanted + 1] = writes[row][2]
  if width == 7 and (mode == 'source' or mode == 'reviser') then wanted[#wanted + 1] = writes[row][2] .. '~' .. by end
end
local agenda_writes, head_fields, dues, blob_refs, fork_fields = list(3), list(2), list(2), list(2), list(2)
local headers = create == '1' and {} or fetch(entries, wanted)

local mismatches = {}
if revision_check ~= '' and revision_check ~= revision then
  mismatches[1] = { 'revision', revision_check, revision }
end
for _, check in ipairs(checks) do
  local text = headers[check[1]]
  local actual = text and string.match(text, '^(%d+)|') or '0'
  if actual ~= check[2] then table.insert(mismatches, { check[1], check[2], actual }) end
end
for _, check in ipairs(agenda_checks) do
  local record = records[check[1]]
  local actual = 'absent'
  if record then
    local word, number = string.match(record, '^(%a+)|(%d+)|')
    actual = word .. '@' .. number
  end
  local expected = check[2] == '' and 'absent' or check[2] .. '@' .. check[3]
  if actual ~= expected then table.insert(mismatches, { 'agenda:' .. check[1], expected, actual }) end
end
if #mismatches > 0 then return refuse('conflict', mismatches) end

-- Whoever put a blob, or found it there, may have done so before it was removed.
local function unsure()
  local names, lines = {}, {}
  for _, blob in ipairs(blob_refs) do
    names[#names + 1] = 'going ' .. blob[1]
    names[#names + 1] = 'gone ' .. blob[1]
  end
  for first = 1, #names, PORTION do
    local marks = redis.call('ZMSCORE', doomed, unpack(names, first, math.min(first + PORTION - 1, #names)))
    for at = 1, #marks, 2 do
      local blob = blob_refs[(first + at) / 2]
      if marks[at] and tonumber(marks[at]) > tonumber(now) then
        lines[#lines + 1] = 'going|' .. blob[1] .. '|'
      elseif marks[at + 1] and tonumber(marks[at + 1]) > tonumber(now) and marks[at + 1] ~= blob[2] then
        lines[#lines + 1] = 'gone|' .. blob[1] .. '|' .. marks[at + 1]
      end
    end
  end
  return lines
end
if #blob_refs > 0 then
  local lines = unsure()
  if #lines > 0 then return answer('doomed', lines) end
end

for _, field in ipairs(fork_fields) do
  if string.sub(field[1], 1, 2) == 'e:' then headers[string.sub(field[1], 3)] = field[2] end
end
local function header(key)
  local text = headers[key]
  if not text then return nil end
  local version, life, pin, digest, owner, base =
    string.match(text, '^(%d+)|(%a+)|(%d)|(%x*)|%d+|[^|]*|([^|]*)|[^|]*|([^|]*)$')
  local found = { version = tonumber(version), live = life == 'live', pinned = pin == '1', digest = digest, owner = owner, base = base }
  found.base_owner, found.base_digest = string.match(base, '^(.*):(%x*)$')
  return found
end
local function is_person(owner) return string.sub(owner, 1, 7) == 'person:' end

-- Where a put goes: the key asked for, the rival beside it, or nowhere (somebody else pinned that rival).
local function aim(key)
  local found = header(key)
  if not found or found.owner == by or mode == 'person' or mode == 'controller' then return key, found end
  if mode == 'source' and found.base_owner == by then return key, found end
  if not found.pinned and (mode == 'reviser' or not found.live or is_person(found.owner)) then return key, found end
  local rival = key .. '~' .. by
  found = header(rival)
  if found and found.pinned and found.owner ~= by then return nil end
  return rival, found
end

local plans, targets = {}, {}
for row, write in ipairs(writes) do
  if write[1] == 'p' then
    local target, found = aim(write[2])
    if target then
      if targets[target] then return redis.error_reply('TWICE ' .. target) end
      targets[target] = true
      plans[row] = { target, 0 }
      local same = found and found.live and found.digest == write[4] and found.owner == by and found.pinned == (write[7] == '1')
      local revised = found and mode == 'source' and found.base_owner == by and found.base_digest == write[4]
      if not same and not revised then
        local version, base = (found and found.version or 0) + 1, ''
        if mode == 'reviser' and found and found.live then
          -- A reviser over another one's revision still stands on what came from outside.
          base = (found.base ~= '' or found.owner == by) and found.base or found.owner .. ':' .. found.digest
        end
        local text = table.concat({ version, 'live', write[7], write[4], write[5], write[6], by, activation, base }, '|')
        plans[row] = { target, version, text, write[3], base }
      end
    end
  end
end
for row, write in ipairs(writes) do
  if write[1] == 'r' and not targets[write[2]] then
    local found = header(write[2])
    local owned = write[3] == '' or (found and found.owner == write[3] and not (found.pinned and is_person(found.owner)))
    if found and found.live and owned then
      targets[write[2]] = true
      local pin = mode == 'person' and '1' or '0'
      local text = table.concat({ found.version + 1, 'gone', pin, '', '0', '0', by, activation, '' }, '|')
      plans[row] = { write[2], found.version + 1, text, nil, '' }
    end
  end
end

-- Nothing below may fail: there is no way back from here.
revision = string.format('%d', tonumber(revision) + 1)
local changes, lines = {}, {}
local function change(field, bytes)
  changes[#changes + 1] = field
  changes[#changes + 1] = bytes
end
local sets = { e = {}, v = {}, a = {}, h = { 'revision', revision } }
local function set(kind, field, bytes)
  local into = sets[kind]
  into[#into + 1] = field
  into[#into + 1] = bytes
  change(kind .. ':' .. field, bytes)
end
local gone, freed, scheduled, unscheduled = {}, {}, {}, {}
local function schedule(name, delay)
  scheduled[#scheduled + 1] = string.format('%.0f', now + delay)
  scheduled[#scheduled + 1] = board .. '|' .. name
end

for _, field in ipairs(fork_fields) do set(string.sub(field[1], 1, 1), string.sub(field[1], 3), field[2]) end
for row, write in ipairs(writes) do
  local plan = plans[row]
  if not plan then
    lines[row] = write[2] .. '@0'
  else
    local target, version, text, value, base = plan[1], plan[2], plan[3], plan[4], plan[5]
    lines[row] = (target == write[2] and target or write[2] .. '>' .. target) .. '@' .. version
    if text then
      if base ~= '' then lines[row] = lines[row] .. '|' .. base end
      set('e', target, text)
      if value then set('v', target, value) else gone[#gone + 1] = target end
    end
  end
end

local ended = false
for _, field in ipairs(head_fields) do
  if field[1] == 'incarnation' then incarnation = field[2] end
  if field[1] == 'tenant' then tenant = field[2] end
  if field[1] == 'status' and ENDED[field[2]] then ended = true end
end
if create == '1' then table.insert(head_fields, { 'created', now }) end
if ended then table.insert(head_fields, { 'ended', now }) end

for _, write in ipairs(agenda_writes) do
  set('a', write[1], write[2])
  local running = string.sub(write[2], 1, 8) == 'running|'
  local before = records[write[1]]
  -- Only what runs has a lease; nil: this commit did not look.
  if not running and (before == nil or (before and string.sub(before, 1, 8) == 'running|')) then freed[#freed + 1] = write[1] end
  if write[3] ~= '' then
    schedule(write[1], write[3])
  elseif not running then
    unscheduled[#unscheduled + 1] = board .. '|' .. write[1]
  end
end
local names, renamed
if ended or #dues > 0 then
  names = (remembered and remembered[2]) or (not remembered and redis.call('HGET', commits, '#due')) or ' '
end
if ended then
  for _, name in ipairs(redis.call('HKEYS', agenda)) do unscheduled[#unscheduled + 1] = board .. '|' .. name end
  for name in string.gmatch(names, '%S+') do
    -- What is still to be announced outlives the board's end.
    if string.sub(name, 1, 9) ~= 'announce.' then unscheduled[#unscheduled + 1] = board .. '|' .. name end
  end
  redis.call('DEL', leases)
else
  each('HDEL', leases, freed)
end
for _, entry in ipairs(dues) do
  if entry[2] == '' then
    unscheduled[#unscheduled + 1] = board .. '|' .. entry[1]
  else
    schedule(entry[1], entry[2])
    if not string.find(names, ' ' .. entry[1] .. ' ', 1, true) then
      names = names .. entry[1] .. ' '
      renamed = true
    end
  end
end
each('ZREM', due, unscheduled)
each('ZADD', due, scheduled)
if create == '1' then redis.call('ZADD', boards, now, board) end
for _, blob in ipairs(blob_refs) do
  if redis.call('SADD', refs, blob[1]) == 1 then redis.call('HINCRBY', blobs, blob[1], 1) end
  -- It was put again: from now on it is referred to, and who comes later will find it.
  if blob[2] ~= '' then redis.call('ZREM', doomed, 'gone ' .. blob[1]) end
end
for _, field in ipairs(head_fields) do set('h', field[1], field[2]) end
each('HSET', entries, sets.e)
each('HSET', values, sets.v)
each('HDEL', values, gone)
each('HSET', agenda, sets.a)
each('HSET', head, sets.h)

local record = { 'type', type_, 'by', by, 'at', now, 'inc', incarnation }
local function say(field, text)
  record[#record + 1] = field
  record[#record + 1] = text
end
if commit ~= '' then say('commit', commit) end
if epoch ~= '' then say('epoch', epoch) end
if body ~= '{}' then say('body', body) end
if #changes > MOST_FIELDS then
  -- Lua cannot pass more than 8,000 arguments in one call: many changes travel in one field, each part behind its length.
  local parts = {}
  for _, part in ipairs(changes) do parts[#parts + 1] = #part .. ':' .. part end
  say('packed', table.concat(parts))
else
  for _, part in ipairs(changes) do record[#record + 1] = part end
end
redis.call('XADD', log, revision .. '-0', unpack(record))
redis.call('XADD', activity, 'MAXLEN', '~', 10000, '*', 'b', board, 'r', revision, 't', type_, 'n', tenant)

if nonce then redis.call('SET', once, table.concat({ 'done', fingerprint, board, revision }, '|'), 'PX', keep_ms) end

local text = answer('committed', lines)
local kept = {}
if commit ~= '' then kept = { commit, text } end
if nonce then
  kept[#kept + 1] = '#once'
  kept[#kept + 1] = (redis.call('HGET', commits, '#once') or '') .. once .. ' '
end
if renamed then
  kept[#kept + 1] = '#due'
  kept[#kept + 1] = names
end
each('HSET', commits, kept)
return text

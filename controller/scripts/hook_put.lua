-- hook_put: make or change a webhook; what its tenant listens for is summed up anew
-- keys: hook tenant edition
-- args: mode id owner url wants most fields
--       mode: new, change, or either | wants: letters, "-" to leave them | url: "-" to leave it, "" for callbacks
--       fields: a count, then that many of name value, a value of "" removes it
-- answers: the new edition | exists, another one has this address | full | gone, there is none to change
local hook, tenant, edition = unpack(KEYS)
local mode, id, owner, url, wants, most = unpack(ARGV, 1, 6)
local there = redis.call('HGET', tenant, id)
if mode == 'change' and not there then return 'gone' end
local old_wants, old_url = '', ''
if there then old_wants, old_url = string.match(there, '^(%a*)|(.*)$') end
if wants == '-' then wants = old_wants end
if url == '-' then url = old_url end
local letters, addresses = wants, 0
local rows = redis.call('HGETALL', tenant)
for at = 1, #rows, 2 do
  if rows[at] ~= id then
    local its_wants, its_url = string.match(rows[at + 1], '^(%a*)|(.*)$')
    if url ~= '' and its_url == url then return 'exists' end
    if its_url ~= '' then addresses = addresses + 1 end
    letters = letters .. its_wants
  end
end
if url ~= '' and not there and addresses >= tonumber(most) then return 'full' end
local sum = ''
for letter in string.gmatch('cek', '%a') do
  if string.find(letters, letter, 1, true) then sum = sum .. letter end
end
redis.call('HSET', tenant, id, wants .. '|' .. url)
for row = 1, tonumber(ARGV[7]) do
  local name, value = ARGV[6 + 2 * row], ARGV[7 + 2 * row]
  if value == '' then redis.call('HDEL', hook, name) else redis.call('HSET', hook, name, value) end
end
redis.call('HSET', edition, 't:' .. owner, sum)
return redis.call('HINCRBY', edition, '#', 1)

-- hook_drop: a webhook goes, with what waits for it and its list of deliveries
-- keys: hook tenant edition lane lanes log
-- args: id owner lane_name
-- answers: the new edition | 0, there was none
local hook, tenant, edition, lane, lanes, log = unpack(KEYS)
local id, owner, lane_name = unpack(ARGV)
if redis.call('HDEL', tenant, id) == 0 then return 0 end
redis.call('UNLINK', hook, lane, log)
redis.call('ZREM', lanes, lane_name)
local letters = table.concat(redis.call('HVALS', tenant), '\n')
local sum = ''
for wants in string.gmatch('\n' .. letters, '\n(%a*)|') do
  for letter in string.gmatch(wants, '%a') do
    if not string.find(sum, letter, 1, true) then sum = sum .. letter end
  end
end
if letters == '' then
  redis.call('HDEL', edition, 't:' .. owner)
else
  redis.call('HSET', edition, 't:' .. owner, sum)
end
return redis.call('HINCRBY', edition, '#', 1)

-- keep_key: make a key, or change one, if nobody did in between
-- keys: key names own all asked
-- args: id name holder named edition forget_at fields
--       holder: id of the key that was found to have the name, "" none; named: "1" the name is the key's, "" it is free;
--       edition: the key's as it was found, 0: there was none; forget_at: ms, 0: never;
--       fields: `name value`, one a line
-- answers: kept | taken the name is another's meanwhile | changed the key is not what it was
local key, names, own, all, asked = unpack(KEYS)
local id, name, holder, named, edition, forget_at, fields = unpack(ARGV)
if (redis.call('HGET', key, 'edition') or '0') ~= edition then return 'changed' end
if (redis.call('HGET', names, name) or '') ~= holder then return 'taken' end
local clock = redis.call('TIME')
local micros = string.format('%.0f', clock[1] * 1000000 + clock[2])
for field, value in string.gmatch(fields, '(%w[%w_]*) ([^\n]*)') do
  redis.call('HSET', key, field, value)
end
redis.call('HINCRBY', key, 'edition', 1)
if forget_at == '0' then redis.call('PERSIST', key) else redis.call('PEXPIREAT', key, forget_at) end
if named == '1' then
  redis.call('HSET', names, name, id)
elseif holder == id then
  redis.call('HDEL', names, name)
end
redis.call('ZADD', own, 'NX', micros, id)
redis.call('ZADD', all, 'NX', micros, id)
redis.call('HSETNX', asked, 'since', micros)
return 'kept'

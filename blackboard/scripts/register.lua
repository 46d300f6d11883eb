-- register: put or remove one registration of a source, if none was changed since
-- keys: sources
-- args: edition source text
-- answers: the new edition | 0 somebody changed one in between
local sources = unpack(KEYS)
local edition, source, text = unpack(ARGV)
if (redis.call('HGET', sources, '#edition') or '0') ~= edition then return 0 end
if text == '' then
  redis.call('HDEL', sources, source)
else
  redis.call('HSET', sources, source, text)
end
return redis.call('HINCRBY', sources, '#edition', 1)

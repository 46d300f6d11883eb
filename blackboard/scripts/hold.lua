-- hold: take or keep a named lease
-- keys: lease
-- args: holder ttl_ms
-- answers: 1 held | 0 somebody else has it
local lease = unpack(KEYS)
local holder, ttl_ms = unpack(ARGV)
local current = redis.call('GET', lease)
if current and current ~= holder then return 0 end
redis.call('SET', lease, holder, 'PX', ttl_ms)
return 1

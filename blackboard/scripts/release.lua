-- release: give a named lease back, if it is still the holder's
-- keys: lease
-- args: holder
-- answers: 1 released | 0 it was not the holder's
local lease = unpack(KEYS)
local holder = ARGV[1]
if redis.call('GET', lease) ~= holder then return 0 end
return redis.call('DEL', lease)

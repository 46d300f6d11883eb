-- flight_renew: keep the leave to ask, also where a server restarted without its data has forgotten it
-- keys: flight
-- args: token ttl_ms
-- answers: 1 | 0, it is somebody else's now
local flight = unpack(KEYS)
local token, ttl_ms = unpack(ARGV)
local holder = redis.call('GET', flight)
if holder and holder ~= token then return 0 end
redis.call('SET', flight, token, 'PX', ttl_ms)
return 1

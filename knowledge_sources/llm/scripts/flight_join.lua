-- flight_join: the answer that is kept; else the leave to ask for it, or how long somebody else has it
-- keys: answer flight
-- args: token ttl_ms
-- answers: { 'kept', the answer } | { 'mine' } | { 'wait', milliseconds left }
local answer, flight = unpack(KEYS)
local token, ttl_ms = unpack(ARGV)
local kept = redis.call('GET', answer)
if kept then return { 'kept', kept } end
-- Joining again with the same token is no wait: the answer to the first time may have been lost.
local holder = redis.call('GET', flight)
if holder and holder ~= token then return { 'wait', redis.call('PTTL', flight) } end
redis.call('SET', flight, token, 'PX', ttl_ms)
return { 'mine' }

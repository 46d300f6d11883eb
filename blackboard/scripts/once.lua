-- once: take, keep or give back the right to answer a request that may be sent again
-- keys: once
-- args: nonce ttl_ms
--       nonce: of who answers; ttl_ms: 0 gives the right back
-- answers: mine | busy, somebody else answers it | what commit.lua kept when it was answered, `done|fingerprint|board|revision`
local once = unpack(KEYS)
local nonce, ttl_ms = unpack(ARGV)

local held = redis.call('GET', once)
if held and held ~= 'busy|' .. nonce then return string.sub(held, 1, 5) == 'done|' and held or 'busy' end
if ttl_ms == '0' then
  redis.call('DEL', once)
else
  redis.call('SET', once, 'busy|' .. nonce, 'PX', ttl_ms)
end
return 'mine'

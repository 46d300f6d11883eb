-- widen: remember the largest number of partitions that ever was
-- keys: partitions
-- args: count
-- answers: that number
local partitions = unpack(KEYS)
local count = ARGV[1]
local known = tonumber(redis.call('GET', partitions) or '0')
if tonumber(count) > known then
  redis.call('SET', partitions, count)
  return tonumber(count)
end
return known

-- entry: header and value of one entry as one step sees them
-- keys: entries values
-- args: key
-- answers: header and value, each nil where there is none
local entries, values = unpack(KEYS)
local key = ARGV[1]
return { redis.call('HGET', entries, key), redis.call('HGET', values, key) }

-- projection: the four hashes of a board as one step sees them
-- keys: head entries values agenda
-- args:
-- answers: four flat lists of field and bytes
local head, entries, values, agenda = unpack(KEYS)
return {
  redis.call('HGETALL', head),
  redis.call('HGETALL', entries),
  redis.call('HGETALL', values),
  redis.call('HGETALL', agenda),
}

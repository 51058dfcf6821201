-- status: one consistent snapshot. It writes nothing.
--
-- KEYS  limits remaining spent pods opens backoffs; each slot queue   of the buckets
-- ARGV
--   places (n)  how many of each line to return
--   listed (n)  of how many shards at most to tell what each has spent; where more have, that is told only of those that back off
-- Reply  now limits remaining ttl shards spent backoffs pods opens; each bucket
--   limits (field, value, ...), ttl that of remaining, how many shards have spent, spent (shard, count, ...), backoffs (shard, until, ...),
--   pods (pod, lease, ...), opens (bucket, time, ...), {slot, PTTL, length, ticket, arrival, ...} for each bucket; '' for what is missing

-- include lib/values.lua
local shards, backoffs, spent = redis.call('HLEN', spent_key), redis.call('HGETALL', backoffs_key), {}
if shards <= listed then
  spent = redis.call('HGETALL', spent_key)
else -- thousands would take milliseconds, and each look at the page or the metrics pays for them
  for i = 1, #backoffs, 2 do
    spent[i], spent[i + 1] = backoffs[i], redis.call('HGET', spent_key, backoffs[i]) or '0'
  end
end
local reply = {
  now,
  redis.call('HGETALL', limits_key),
  redis.call('GET', remaining_key) or '',
  redis.call('PTTL', remaining_key),
  shards,
  spent,
  backoffs,
  redis.call('ZRANGE', pods_key, 0, -1, 'WITHSCORES'),
  redis.call('HGETALL', opens_key),
}
for i = each_key, #KEYS, 2 do
  local slot_key, queue_key = KEYS[i], KEYS[i + 1]
  local bucket = {
    redis.call('GET', slot_key) or '',
    redis.call('PTTL', slot_key),
    redis.call('ZCARD', queue_key),
  }
  if places > 0 then
    for _, v in ipairs(redis.call('ZRANGE', queue_key, 0, places - 1, 'WITHSCORES')) do bucket[#bucket + 1] = v end
  end
  reply[#reply + 1] = bucket
end
return reply

-- status: one consistent snapshot. It writes nothing.
--
-- KEYS  limits remaining spent pods opens backoffs holds out; each slot queue   of the buckets
-- ARGV
--   places (n)  how many of each line to return
--   listed (n)  of how many shards at most to tell what each has spent; where more have, that is told only of those that back off
-- Reply  now limits remaining ttl shards spent backoffs pods opens refused writes; each bucket
--   limits (field, value, ...), ttl that of remaining, how many shards have spent, spent (shard, count, ...), backoffs (shard, until, ...),
--   pods (pod, lease, ...), opens (bucket, time, ...), refused (key, field, value, error), what claims are refused for (lib/refused.lua),
--   writes, why Redis takes no writes, {slot, PTTL, length, ticket, arrival, ...} for each bucket; '' for what is missing

-- include lib/values.lua
-- include lib/limits.lua
-- include lib/period.lua
-- include lib/refused.lua

-- 1. What all share. A key of another type is as one that is missing, and told of.
local limits, left = look_at_all()
local shards, spent = seen(spent_key, redis.pcall('HLEN', spent_key)) or 0, {}
local backoffs = seen(backoffs_key, redis.pcall('HGETALL', backoffs_key)) or {}
if shards <= listed then
  spent = seen(spent_key, redis.pcall('HGETALL', spent_key)) or {}
else -- thousands would take milliseconds, and each look at the page or the metrics pays for them
  for i = 1, #backoffs, 2 do
    spent[i], spent[i + 1] = backoffs[i], redis.call('HGET', spent_key, backoffs[i]) or '0'
  end
end
for i = 1, #spent, 2 do
  if whole(spent[i]) and not whole(spent[i + 1]) then refuse(spent_key, spent[i], spent[i + 1]) end
end
local opens = seen(opens_key, redis.pcall('HGETALL', opens_key)) or {}
for i = 1, #opens, 2 do
  local bucket = whole(opens[i])
  if bucket and bucket < (#KEYS - each_key + 1) / 2 and not decimal(opens[i + 1]) then refuse(opens_key, opens[i], opens[i + 1]) end
end
local reply = {
  now,
  limits and redis.call('HGETALL', limits_key) or {},
  left or '',
  left and redis.call('PTTL', remaining_key) or -2,
  shards,
  spent,
  backoffs,
  seen(pods_key, redis.pcall('ZRANGE', pods_key, 0, -1, 'WITHSCORES')) or {},
  opens,
  refused,
  writes(),
}

-- 2. Each bucket, with the first of its line.
for i = each_key, #KEYS, 2 do
  local slot_key, queue_key = KEYS[i], KEYS[i + 1]
  local bucket = {
    seen(slot_key, redis.pcall('GET', slot_key)) or '',
    redis.call('PTTL', slot_key),
    seen(queue_key, redis.pcall('ZCARD', queue_key)) or 0,
  }
  if places > 0 and bucket[3] > 0 then
    for _, v in ipairs(redis.call('ZRANGE', queue_key, 0, places - 1, 'WITHSCORES')) do bucket[#bucket + 1] = v end
  end
  reply[#reply + 1] = bucket
end
reply[10] = refused -- also what a bucket's claims are refused for
return reply

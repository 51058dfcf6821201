-- status: one consistent snapshot. It writes nothing.
--
-- KEYS  1 limits  2 remaining  3 spent  4 pods  5 opens  6... slot and queue of each bucket
-- ARGV  1 how many places of each line to return
-- Reply {now, limits (field, value, ...), remaining, {its PTTL}, spent (shard, count, ...), pods (pod, lease, ...),
--        opens (bucket, time, ...), {slot, PTTL, length, ticket, arrival, ...} for each bucket}; '' for what is missing

local limits_key, remaining_key, spent_key, pods_key, opens_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local places = ARGV[1]

local clock = redis.call('TIME')
local reply = {
  string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000)),
  redis.call('HGETALL', limits_key),
  redis.call('GET', remaining_key) or '',
  redis.call('PTTL', remaining_key),
  redis.call('HGETALL', spent_key),
  redis.call('ZRANGE', pods_key, 0, -1, 'WITHSCORES'),
  redis.call('HGETALL', opens_key),
}
for i = 6, #KEYS, 2 do
  local slot_key, queue_key = KEYS[i], KEYS[i + 1]
  local bucket = {
    redis.call('GET', slot_key) or '',
    redis.call('PTTL', slot_key),
    redis.call('ZCARD', queue_key),
  }
  if places ~= '0' then
    for _, v in ipairs(redis.call('ZRANGE', queue_key, 0, places - 1, 'WITHSCORES')) do bucket[#bucket + 1] = v end
  end
  reply[#reply + 1] = bucket
end
return reply

-- status: one consistent snapshot. It writes nothing.
--
-- KEYS  1 limits  2 remaining  3 spent  4 pods  5 opens  6... slot and queue of each bucket
-- ARGV  1 how many places of each line to return
-- Reply {now, limits (field, value, ...), remaining, {its PTTL}, spent (shard, count, ...), pods (pod, lease, ...),
--        opens (bucket, time, ...), {slot, PTTL, length, ticket, arrival, ...} for each bucket}; '' for what is missing

local clock = redis.call('TIME')
local reply = {
  string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000)),
  redis.call('HGETALL', KEYS[1]),
  redis.call('GET', KEYS[2]) or '',
  redis.call('PTTL', KEYS[2]),
  redis.call('HGETALL', KEYS[3]),
  redis.call('ZRANGE', KEYS[4], 0, -1, 'WITHSCORES'),
  redis.call('HGETALL', KEYS[5]),
}
for i = 6, #KEYS, 2 do
  local bucket = {
    redis.call('GET', KEYS[i]) or '',
    redis.call('PTTL', KEYS[i]),
    redis.call('ZCARD', KEYS[i + 1]),
  }
  if ARGV[1] ~= '0' then
    for _, v in ipairs(redis.call('ZRANGE', KEYS[i + 1], 0, ARGV[1] - 1, 'WITHSCORES')) do bucket[#bucket + 1] = v end
  end
  reply[#reply + 1] = bucket
end
return reply

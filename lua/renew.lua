-- renew: the pod of a permit lives; its bucket stays closed for another lease.
--
-- KEYS  slot limits opens paid remaining spent out
-- ARGV
--   ticket
--   bucket
--   permit_lease (ms)
--   granted_buckets (n)  max_concurrency at the grant
--   paid_ttl (ms)        least TTL of paid
--   in_time (flag)       the permit is good yet, so that nobody else can have had its bucket
--   latest (ms)          until when the permit may keep its bucket closed at most
--   own_window (ms)
--   usable (ms)          for how long its holder may identify then
--   period (ms)
-- Reply  code now seq
--   renewed   the slot is the permit's for another lease, also where it was lost while the permit was good
--   gone      the permit was settled or announced, is too old, or its bucket has or may have had another holder: it is good no more

local clock = redis.call('TIME')
local exact = clock[1] * 1000 + clock[2] / 1000
local now = math.floor(exact)
local function whole(v) return v and #v < 16 and string.match(v, '^%-?%d+$') and tonumber(v) end
-- include lib/budget.lua

local limits = redis.call('HMGET', limits_key, 'epoch', 'seq', 'max_concurrency', 'closed_until', 'window',
  'reset_at', 'period', 'counted')
local slot, paid = redis.call('GET', slot_key), redis.call('GET', paid_key)
local seq, reset, era = whole(limits[2]), whole(limits[6] or '0') or 0, limits[7] or '0'
local entry, left = out_of(ticket), whole(redis.call('GET', remaining_key))
local longer = math.max(0, tonumber(string.match(limits[5] or '', '^%d+') or '0') - own_window) -- other pods' window
local lease = math.min(permit_lease, latest - now)
local mine = not slot and in_time or slot == ticket or slot == ticket .. ' permit'
if not mine or lease <= 0 or over_with(paid) then return {'gone', now, seq or 0} end
-- Not sooner than it was to open: a pod with a longer lease may have told the holder so.
lease = math.min(math.max(permit_lease + longer, redis.call('PTTL', slot_key)), latest + longer - now)

redis.call('SET', slot_key, ticket .. ' permit', 'PX', lease)
redis.call('HSET', opens_key, bucket, string.format('%.3f', exact + lease))
local over = reset > 0 and reset <= now
if limits[1] and left and not over and not redis.call('ZSCORE', out_key, entry) and not charged(paid, limits[1], era, now) then
  redis.call('SET', remaining_key, math.max(left - 1, 0), 'KEEPTTL') -- what has paid for it was lost, or another period
  if not in_spent(spent_key, ticket, paid, limits[1], era, limits[8]) then redis.call('HINCRBY', spent_key, shard_of(ticket), 1) end
  paid = 'granted ' .. limits[1] .. ' ' .. era
end
redis.call('ZADD', out_key, now + math.min(usable, lease), entry)
redis.call('PEXPIRE', out_key, 7 * period)
local remembered = math.max(paid_ttl, limits[1] and (reset > now and reset - now or period) or 0)
redis.call('SET', paid_key, paid or 'granted', 'PX', remembered)
if limits[1] and seq then -- else claim reports them
  seq = redis.call('HINCRBY', limits_key, 'seq', 1)
  if whole(limits[3]) ~= granted_buckets then -- it was granted under other limits: no bucket is certain
    -- Where it is missing claim has yet to close every bucket, for longer.
    if limits[4] then redis.call('HSET', limits_key, 'closed_until', math.max(whole(limits[4]) or 0, now + lease)) end
  end
end
return {'renewed', now, seq or 0}

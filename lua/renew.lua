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

-- include lib/values.lua
-- include lib/limits.lua
-- include lib/close_all.lua
-- include lib/bucket.lua
-- include lib/out.lua
-- include lib/period.lua
-- include lib/budget.lua

-- 1. Is it good yet?
local limits, left = read_limits(), whole(redis.call('GET', remaining_key))
local slot, paid, entry = redis.call('GET', slot_key), redis.call('GET', paid_key), out_of(ticket)
local mine = not slot and in_time or is_of(slot, ticket)
if not mine or latest <= now or permit_lease <= 0 or settled(paid) then return {'gone', now, limits.seq or 0} end

redis.call('HLEN', spent_key) -- of a wrong type it ends the call while nothing has changed, and so do the next two
redis.call('HLEN', opens_key)
redis.call('ZCARD', out_key)

-- 2. The bucket stays closed. Not sooner than it was to open: a pod with a longer lease may have told the holder so.
local longer = longer_window(limits, own_window)
local lease = math.min(math.max(permit_lease + longer, redis.call('PTTL', slot_key)), latest + longer - now)
close_bucket(slot_key, bucket, ticket .. ' permit', lease)

-- 3. It is paid for by the period in force.
limits.reset_at = limits.reset_at or 0
if limits.epoch and left and not is_over(limits) and not redis.call('ZSCORE', out_key, entry) and not charged(limits, paid) then
  pay_again(limits, ticket, paid, left)
  paid = 'granted ' .. limits.epoch .. ' ' .. limits.period
end
put_out(entry, now + math.min(usable, lease), period)
redis.call('SET', paid_key, paid or 'granted', 'PX', math.max(paid_ttl, limits.epoch and time_left(limits, period) or 0))
if not (limits.epoch and limits.seq) then return {'renewed', now, limits.seq or 0} end -- claim reports them
if limits.max_concurrency ~= granted_buckets and limits.hold_known then close_all(limits, lease) end -- no bucket is certain
return {'renewed', now, redis.call('HINCRBY', limits_key, 'seq', 1)}

-- identified: the window of a permit starts now, and with a bot's first IDENTIFY the period: it was sent, or, announced,
-- is about to be.
--
-- KEYS  slot limits opens paid remaining spent out
-- ARGV
--   ticket
--   bucket
--   closes (ms)          window and margin
--   granted_buckets (n)  max_concurrency at the grant
--   paid_ttl (ms)        least TTL of paid
--   own_window (ms)
--   period (ms)
--   nth (n)              0 if it was sent; n if it is about to be, said for the nth time
--   usable (ms)          for how long it may yet leave
-- Reply  code now seq
--   identified   the bucket is closed for the window
--   late         the permit had ended and its bucket may have another holder, or belong to other limits:
--                every bucket is closed for the window
--   gone         of an announcement: the permit was settled, or its bucket has or may have had another holder. Nothing
--                was written

-- include lib/values.lua
-- include lib/limits.lua
-- include lib/close_all.lua
-- include lib/server.lua
-- include lib/bucket.lua
-- include lib/out.lua
-- include lib/period.lua
-- include lib/turn.lua
-- include lib/budget.lua

local limits, left = read_limits(), whole(redis.call('GET', remaining_key))
local slot, paid, entry = redis.call('GET', slot_key), redis.call('GET', paid_key), out_of(ticket)
local function reply(code) return {code, now, limits.seq or 0} end
redis.call('HLEN', opens_key) -- of a wrong type it ends the call while nothing has changed
local said = announced(paid)
if paid == 'identified' or nth > 0 and said and said >= nth then return reply('identified') end -- this is a late copy

-- 1. Whose is the bucket? Before IDENTIFY leaves there must not be a moment's doubt: the pod may have stood still for
-- longer than its clocks know.
local usable_until, over, mine = redis.call('ZSCORE', out_key, entry), is_over(limits), is_of(slot, ticket)
if nth > 0 then
  if not slot and paid and limits.max_concurrency == granted_buckets and (limits.closed_until or now + 1) <= now
    and not identity(limits, false).lost then -- else it may have missed who has the bucket
    mine = (tonumber(redis.call('HGET', opens_key, bucket) or '') or exact + 1) <= exact -- all windows are over
  end
  local unpaid = limits.epoch and left and not over and not usable_until and not charged(limits, paid)
  if not mine or paid == 'left' or unpaid and left <= 0 then return reply('gone') end
elseif not slot then -- nobody else's; but what was announced has left at a moment that nobody knows
  mine = not said
end

-- 2. It is paid for by the period in force, and begins it if it is the first.
if limits.epoch and limits.total and limits.reset_at and (left or over) then -- else claim reports them
  if over then
    left = turn(limits)
    usable_until = redis.call('ZSCORE', out_key, entry)
  end
  if not usable_until and not charged(limits, paid) then pay_again(limits, ticket, paid, left) end
  if begins_with(limits, entry) then -- Discord's begins with the IDENTIFY itself
    begin_period(limits, now + usable + period, usable, nth > 0 and entry or nil) -- what is announced may yet be abandoned
  end
end
put_out(entry, nth > 0 and now + usable or now, period)
paid = nth > 0 and table.concat({'announced', limits.epoch or '-', limits.period, nth}, ' ') or 'identified'
redis.call('SET', paid_key, paid, 'PX', math.max(paid_ttl, (limits.reset_at or 0) - now))

-- 3. Its window begins: in its bucket, or, where that is another's by now, in every one.
closes = closes + longer_window(limits, own_window)
if mine then close_bucket(slot_key, bucket, ticket, closes) end
if not (limits.epoch and limits.seq) then return reply('identified') end -- claim reports them
limits.seq = redis.call('HINCRBY', limits_key, 'seq', 1)
if mine and limits.max_concurrency == granted_buckets then return reply('identified') end
if limits.hold_known then close_all(limits, closes) end
return reply('late')

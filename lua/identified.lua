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

local clock = redis.call('TIME')
local exact = clock[1] * 1000 + clock[2] / 1000
local now = math.floor(exact)
local function whole(v) return v and #v < 16 and string.match(v, '^%-?%d+$') and tonumber(v) end
-- include lib/server.lua
-- include lib/budget.lua

local limits = redis.call('HMGET', limits_key, 'epoch', 'seq', 'max_concurrency', 'closed_until', 'window',
  'total', 'reset_at', 'period', 'first', 'run_id', 'master_replid', 'counted', 'slack')
local slot, paid = redis.call('GET', slot_key), redis.call('GET', paid_key)
local seq, total, reset, era = whole(limits[2]), whole(limits[6]), whole(limits[7] or '0'), limits[8] or '0'
local said = announced(paid)
if paid == 'identified' or nth > 0 and said and said >= nth then -- this is a late copy
  return {'identified', now, seq or 0}
end
local entry, code = out_of(ticket), 'identified'
local left, usable_until = whole(redis.call('GET', remaining_key)), redis.call('ZSCORE', out_key, entry)
closes = closes + math.max(0, tonumber(string.match(limits[5] or '', '^%d+') or '0') - own_window) -- other pods' is longer
local over = reset and reset > 0 and reset <= now

local mine = slot == ticket or slot == ticket .. ' permit'
if nth > 0 then -- not a moment's doubt: the pod may have stood still for longer than its clocks know
  if not slot and paid and whole(limits[3]) == granted_buckets and (whole(limits[4] or '0') or now + 1) <= now
    and not identity(limits[10], limits[11], false).lost then -- else it may have missed who has the bucket
    mine = (tonumber(redis.call('HGET', opens_key, bucket) or '') or exact + 1) <= exact -- all windows are over
  end
  local unpaid = limits[1] and left and not over and not usable_until and not charged(paid, limits[1], era, now)
  if not mine or paid == 'left' or unpaid and left <= 0 then return {'gone', now, seq or 0} end
elseif not slot then -- nobody else's; but what was announced has left at a moment that nobody knows
  mine = not said
end

if limits[1] and total and reset and (left or over) then -- else claim reports them
  if over then
    left, era = turn(limits_key, remaining_key, spent_key, out_key, total, reset, reset - (whole(limits[13] or '0') or 0))
    usable_until = redis.call('ZSCORE', out_key, entry)
    reset, limits[9], limits[12] = 0, false, false
  end
  if not usable_until and not charged(paid, limits[1], era, now) then -- another period has paid, or none
    redis.call('SET', remaining_key, math.max(left - 1, 0), 'KEEPTTL')
    if not in_spent(spent_key, ticket, paid, limits[1], era, limits[12]) then redis.call('HINCRBY', spent_key, shard_of(ticket), 1) end
  end
  if reset == 0 or limits[9] == '?' or limits[9] == entry then
    reset = now + usable + period -- Discord's begins with the IDENTIFY itself
    redis.call('HDEL', limits_key, 'first')
    begin(limits_key, remaining_key, spent_key, reset, usable, now)
    if nth > 0 then redis.call('HSET', limits_key, 'first', entry) end -- it may yet be abandoned
  end
end
redis.call('ZADD', out_key, nth > 0 and now + usable or now, entry)
redis.call('PEXPIRE', out_key, 7 * period)
paid = nth > 0 and table.concat({'announced', limits[1] or '-', era, nth}, ' ') or 'identified'
redis.call('SET', paid_key, paid, 'PX', math.max(paid_ttl, (reset or 0) - now))
if mine then
  redis.call('SET', slot_key, ticket, 'PX', closes)
  redis.call('HSET', opens_key, bucket, string.format('%.3f', exact + closes))
end
if limits[1] and seq then -- else claim reports them
  seq = redis.call('HINCRBY', limits_key, 'seq', 1)
  if not mine or whole(limits[3]) ~= granted_buckets then
    code = 'late'
    -- Where it is missing claim has yet to close every bucket, for longer.
    if limits[4] then redis.call('HSET', limits_key, 'closed_until', math.max(whole(limits[4]) or 0, now + closes)) end
  end
end
return {code, now, seq or 0}

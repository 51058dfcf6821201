-- identified: the window of a permit starts now, and with a bot's first IDENTIFY the period: it was sent, or, announced,
-- is about to be.
--
-- KEYS  1 slot  2 limits  3 opens  4 paid:<ticket>  5 remaining  6 spent  7 out
-- ARGV  1 ticket  2 bucket  3 window and margin (ms)  4 max_concurrency at the grant  5 least TTL of paid (ms)
--       6 window (ms)  7 period (ms)
--       8 0 or none if it was sent; n if it is about to be, said for the nth time  9 for how long it may yet leave (ms)
-- Reply {code, now, seq}
--   identified   the bucket is closed for the window
--   late         the permit had ended and its bucket may have another holder, or belong to other limits:
--                every bucket is closed for the window
--   gone         of an announcement: the permit was settled, or its bucket has or may have had another holder. Nothing
--                was written

local slot_key, limits_key, opens_key, paid_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local ticket, bucket, window, granted_buckets, paid_ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local remaining_key, spent_key, out_key = KEYS[5], KEYS[6], KEYS[7]
local own_window, period, nth, usable = ARGV[6], ARGV[7], tonumber(ARGV[8] or '0'), tonumber(ARGV[9] or '0')

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
window = window + math.max(0, tonumber(string.match(limits[5] or '', '^%d+') or '0') - own_window) -- other pods' is longer
local over = reset and reset > 0 and reset <= now

local mine = slot == ticket or slot == ticket .. ' permit'
if nth > 0 then -- not a moment's doubt: the pod may have stood still for longer than its clocks know
  if not slot and paid and limits[3] == granted_buckets and (whole(limits[4] or '0') or now + 1) <= now
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
  redis.call('SET', slot_key, ticket, 'PX', window)
  redis.call('HSET', opens_key, bucket, string.format('%.3f', exact + window))
end
if limits[1] and seq then -- else claim reports them
  seq = redis.call('HINCRBY', limits_key, 'seq', 1)
  if not mine or limits[3] ~= granted_buckets then
    code = 'late'
    -- Where it is missing claim has yet to close every bucket, for longer.
    if limits[4] then redis.call('HSET', limits_key, 'closed_until', math.max(whole(limits[4]) or 0, now + window)) end
  end
end
return {code, now, seq or 0}

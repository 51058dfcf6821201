-- sync: agree on limits and state: seed them where they are missing or lost, change them, or learn them.
--
-- KEYS  limits remaining opens spent out pods backoffs holds; each slot queue   of the buckets that the pod knows
-- ARGV
--   update (flag)         limits are to be changed; else to be learned, and seeded if need be
--   known_epoch           this and the next three: as the pod remembers them
--   known_seq (n)
--   known_left (n?)       remaining, '' if none
--   known_reset (ms)
--   new_epoch             to use if state was lost; the name of an update by hand, each time it is sent
--   lost_hold (ms)        how long every bucket then stays closed, if pods agreed on no more
--   least_hold (ms)       the same at least, for new limits
--   refresh_in (ms)       when to ask the limit source next, from now
--   new_total (n?)        this and the next three: the figures; '' if the pod must ask its source first
--   new_left (n)
--   new_reset_after (ms)  0 if it is not known
--   new_buckets (n)       max_concurrency
--   asked (ms?)           when Discord was asked for them; '' if nobody was: they are as of now, or a guess
--   may_ask (flag)        the pod may ask its source now
--   asks (flag)           figures are to be asked for when a period is over
--   fresh (flag)          an empty Redis is a new one: its buckets are open at once
--   period (ms)
-- Reply  code now epoch seq max_concurrency total remaining reset_at closed_until server
--   ok | seeded | changed   what was done; server as in claim
--   ask      state is missing and this pod shall ask its limit source, then call again
--   over     the period is over, and this pod shall ask its limit source and update
--   stale    the figures were asked for before the period began: they are asked for again
--   busy     another pod is asking, or none may for now; try again in a moment
--   buckets  the pod knows another number of buckets: call again with the slots and queues of this one
-- Error BADVALUE <key> <field>: a value was edited to something that cannot be used; update repairs it.

-- include lib/values.lua
-- include lib/limits.lua
-- include lib/close_all.lua
-- include lib/server.lua
-- include lib/bucket.lua
-- include lib/out.lua
-- include lib/period.lua
-- include lib/turn.lua
-- include lib/figures.lua
-- include lib/seed.lua
-- include lib/updates.lua

-- 1. What is there. It was lost where something is missing or cannot be used, or is older than what the pod has seen.
local limits, stored_left = read_limits(), redis.call('GET', remaining_key)
local left, server = whole(stored_left), check_server(limits, false)
if limits.epoch and limits.bad and not update then return redis.error_reply('BADVALUE ' .. limits_key .. ' ' .. limits.bad) end
local over = not limits.bad and is_over(limits)
if stored_left and not (left or over or update) then return redis.error_reply('BADVALUE ' .. remaining_key) end
local older = not limits.bad and limits.epoch == known_epoch and limits.seq < known_seq
local lost = not limits.epoch or limits.bad or not (left or over) or older
local other_state = lost or limits.epoch ~= known_epoch -- than the pod knows
local stored_reset = limits.reset_at
lost_hold = math.max(lost_hold, agreed(limits.window) + agreed(limits.grace))
if not lost and over then left = next_left(limits) end
local function reply(code, word)
  return {code, now, limits.epoch, limits.seq, limits.max_concurrency, limits.total, left, limits.reset_at, limits.closed_until, word}
end

local by_hand, updates, again = update and new_total and not asked, '', limits.epoch == new_epoch
if by_hand and not again then updates, again = read_updates(new_epoch) end
if lost and again then return {'busy', now, '', 0, 0, 0, 0, 0, 0, ''} end -- a late copy of what seeded it
if by_hand and again then -- a late copy of it
  if server.lost then distrust(limits, server, lost_hold) end
  return reply('ok', server.word)
end

-- 2. Are there figures, and are they any good? `out`, which says what they do not contain, reaches back for 25 s.
local given = new_total and (not asked or asked > now - 25000)
if not given and (lost or not asked and may_ask and asks_first(limits, asks)) then
  local code = lost and 'ask' or 'over'
  if not may_ask or math.max(whole(limits.ask_at) or 0, whole(limits.ask_after) or 0) > now then code = 'busy' end
  if code ~= 'busy' then redis.call('HSET', limits_key, 'ask_at', now + 3000) end -- then another one is asked: this one may be dead
  return {code, now, '', 0, 0, 0, 0, 0, 0, ''}
end
if update and not lost and limits.max_concurrency ~= (#KEYS - each_key + 1) / 2 and limits.max_concurrency ~= new_buckets then
  return reply('buckets', '')
end
if not lost and asked and (not given or asked < (over and limits.reset_at or whole(limits.since) or 0)) then
  redis.call('HSET', limits_key, 'refresh_at', '0')
  return reply('stale', '')
end
local theirs = given and read_figures(new_total, new_left, new_reset_after, asked)

-- 3. What is to be in force.
local code, another, our_left = 'ok', false, left -- another period
if lost then
  if not limits.bad and not older and not update and not asked then -- nobody knows better than the limits that are there
    new_buckets, new_total = limits.max_concurrency, limits.total
  end
  code, limits.epoch, limits.seq = 'seeded', new_epoch, math.max(limits.seq or 0, known_seq)
  local new = fresh and is_new()
  if new and server.word ~= 'new' then redis.call('HSET', limits_key, 'fresh_until', now + lost_hold) end
  limits.closed_until = math.max(not limits.bad and limits.closed_until or 0, new and 0 or now + lost_hold)
  local total = not limits.bad and math.min(limits.total, new_total) or new_total
  left, limits.reset_at, another = by_witnesses(limits, left, total, theirs, period)
elseif update then
  code, limits.seq, our_left = 'changed', limits.seq + 1, left + math.max(new_total - limits.total, 0)
  left, limits.reset_at, another = by_table(limits, our_left, theirs, period)
end
local half = 43200000 -- of a period: resets that are further apart are of two periods
if known_left and known_reset > now and limits.reset_at <= known_reset + half and other_state and (lost or not over)
  and known_left < left and not another then -- a pod's memory may only lower what is left
  left, limits.reset_at = known_left, math.max(limits.reset_at, known_reset)
  code = code == 'ok' and 'changed' or code
end

-- 4. It is put in force.
if server.lost and not lost then distrust(limits, server, lost_hold) end
if not whole(limits.period) then redis.call('HDEL', limits_key, 'period') end
if lost or update then
  if not lost and limits.max_concurrency ~= new_buckets then rebucket(limits, math.max(least_hold, agreed(limits.pod_lease)), lost_hold) end
  limits.total, limits.max_concurrency, left = new_total, new_buckets, math.min(left, new_total)
  forget_out(asked and asked - 1000 or now) -- the figures contain them
  if not lost and (another or over or left < our_left) then -- what ours had paid is still paid else
    local which = redis.call('HINCRBY', limits_key, 'period', 1)
    if not (another or over or limits.counted) then redis.call('HSET', limits_key, 'counted', which - 1) end -- `spent` goes on
  end
  if over then redis.call('HSET', limits_key, 'since', stored_reset) end
  if another or over then recount(limits, redis.call('ZRANGE', out_key, 0, -1)) end
end
if code ~= 'ok' then
  if limits.reset_at ~= stored_reset then redis.call('HDEL', limits_key, 'slack') end
  redis.call('HSET', limits_key, 'epoch', limits.epoch, 'seq', limits.seq, 'max_concurrency', limits.max_concurrency,
    'total', limits.total, 'reset_at', limits.reset_at, 'closed_until', math.ceil(limits.closed_until),
    'run_id', server.run, 'master_replid', server.replid)
  if lost or update then redis.call('HSET', limits_key, 'refresh_at', now + refresh_in) end
  if by_hand then note_update(new_epoch, updates) end
  redis.call('HDEL', limits_key, 'ask_at', 'source_error')
  redis.call('SET', remaining_key, left)
  if limits.reset_at > now then
    redis.call('PEXPIRE', remaining_key, limits.reset_at - now)
    redis.call('PEXPIRE', spent_key, limits.reset_at - now)
  end
end
return reply(code, lost and 'same' or server.word)

-- sync: agree on limits and state: seed them where they are missing or lost, change them, or learn them.
--
-- KEYS  limits remaining opens spent out pods rests holds; each slot queue   of the buckets that the pod knows
-- ARGV
--   update (flag)         limits are to be changed; else to be learned, and seeded if need be
--   known_epoch           this and the next three: as the pod remembers them
--   known_seq (n)
--   known_left (n?)       remaining, '' if none
--   known_reset (ms)
--   new_epoch             to use if state was lost
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
-- Error BADVALUE <key>: a value was edited to something that cannot be used; update repairs it.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function whole(v) return v and #v < 16 and string.match(v, '^%-?%d+$') and tonumber(v) end
-- include lib/server.lua
-- include lib/budget.lua

local f = redis.call('HMGET', limits_key, 'epoch', 'seq', 'max_concurrency', 'total', 'reset_at', 'closed_until', 'ask_at', 'ask_after',
  'run_id', 'master_replid', 'window', 'grace', 'pod_lease', 'since', 'slack')
local seq, buckets, total = whole(f[2]), whole(f[3]), whole(f[4])
local reset, closed = whole(f[5] or '0'), whole(f[6] or '0')
local ask = math.max(whole(f[7] or '0') or 0, whole(f[8] or '0') or 0)
local text, ttl, spent_ttl = redis.call('GET', remaining_key), redis.call('PTTL', remaining_key), redis.call('PTTL', spent_key)
local left, spent = whole(text), redis.call('HGETALL', spent_key)
local sane = seq and reset and closed and buckets and buckets >= 1 and buckets <= 4096 and total and total >= 0
local given = new_total and (not asked or asked > now - 25000) -- `out` reaches no further back
if f[1] and not sane and not update then return redis.error_reply('BADVALUE ' .. limits_key) end
if text and not left and not update then return redis.error_reply('BADVALUE ' .. remaining_key) end
local over = sane and reset > 0 and reset <= now
local older = sane and f[1] == known_epoch and seq < known_seq -- than what the pod has seen
local lost = not f[1] or not sane or not (left or over) or older
local epoch, code, server = f[1], 'ok', identity(f[9], f[10], false)
local function agreed(stored) return tonumber(string.match(stored or '', '^%d+') or '0') end
lost_hold = math.max(lost_hold, agreed(f[11]) + agreed(f[12]))
least_hold = math.max(least_hold, agreed(f[13]))
local mine, mine_reset = known_left, known_reset
if not mine or mine_reset <= now then mine = nil end -- of a period that is over

local function reply()
  return {code, now, epoch, seq, buckets, total, left, reset, closed, lost and 'same' or server.word}
end

if not given and (lost or not asked and may_ask and asks_first(over, asks, f[8], now)) then
  if ask > now or not may_ask then return {'busy', now, '', '0', '0', '0', '0', '0', '0', ''} end
  redis.call('HSET', limits_key, 'ask_at', now + 3000) -- then another one is asked: this one may be dead
  return {lost and 'ask' or 'over', now, '', '0', '0', '0', '0', '0', '0', ''}
end
if not lost and over then left = math.max(total - #until_after(out_key, reset - (whole(f[15] or '0') or 0)), 0) end
if update and not lost and buckets ~= (#KEYS - each_key + 1) / 2 and buckets ~= new_buckets then
  code, server.word = 'buckets', ''
  return reply()
end
if not lost and asked and (not given or asked < (over and reset or whole(f[14] or '0') or 0)) then
  code, server.word = 'stale', ''
  redis.call('HSET', limits_key, 'refresh_at', '0')
  return reply()
end

-- Discord's figures do not contain the permits that are out, nor what was granted or identified since they were
-- asked for, or just before: an IDENTIFY takes a while to be counted.
local given_total, theirs, ends, full, used, another, ours_left = new_total, 0, 0, false, 0, false, 0
if given then
  local permits = permits_out(out_key, now)
  if asked then used = #until_after(out_key, asked - 1000) - permits end
  theirs, full = math.max(new_left - permits - used, 0), new_left == new_total
  if new_reset_after > 0 then ends = now + new_reset_after end
end

if lost then -- the least of what all witnesses say
  code, epoch, seq = 'seeded', new_epoch, math.max(seq or 0, known_seq)
  if over or not sane then reset = 0 end
  if over then left, spent = nil, {} end
  if left and ttl > 0 then reset = math.max(reset, now + ttl) end
  if #spent > 0 and spent_ttl > 0 then reset = math.max(reset, now + spent_ttl) end
  if sane and not older and not update and not asked then -- nobody knows better than the limits that are there
    new_buckets, given_total = buckets, total
  end
  local unspent = sane and math.min(total, given_total) or given_total
  for i = 2, #spent, 2 do unspent = math.max(unspent - (whole(spent[i]) or 0), 0) end
  left = math.min(left or unspent, unspent)
  -- Something that is left shows that this is no new Redis, but one that has lost the rest.
  local new = fresh and not text and redis.call('HLEN', opens_key) + #spent + redis.call('HLEN', rests_key) +
    redis.call('ZCARD', out_key) + redis.call('ZCARD', pods_key) + redis.call('ZCARD', holds_key) == 0
  for i = 1, 14 do new = new and (not f[i] or i == 7 or i == 8) end -- ask_at and ask_after are there while a pod asks its source
  closed = math.max(sane and closed or 0, new and 0 or now + lost_hold)
  if new and server.word ~= 'new' then -- and so the script is new to it as well
    redis.call('HSET', limits_key, 'fresh_until', now + lost_hold)
  end
  if not full and ends == 0 then ends = now + period end
  if asked and not full and reset > 0 and ends > reset + 60000 then -- they are witnesses of an older period
    left, reset, another = theirs, ends, true
  else
    left, reset = math.min(left, theirs), math.max(reset, full and 0 or ends)
  end
elseif update then -- the table of docs/design.md, "Figures"
  code, seq = 'changed', seq + 1
  ours_left = left + math.max(given_total - total, 0)
  local ours, lower = over and 0 or reset, math.min(ours_left, theirs)
  local apart = ends > 0 and math.abs(ends - ours) > (asked and 60000 or 500)
  if ours == 0 then -- no period has begun
    left, reset, another = theirs, not full and (ends > 0 and ends or now + period) or 0, over
  elseif full and used == 0 and (ends == 0 and asked or apart and ends > ours) then -- none has at Discord
    left, reset, another = theirs, 0, true
  elseif full and apart or ends == 0 then
    left = lower
  elseif not full and (apart or not asked) then
    left, reset, another = theirs, ends, true
  else
    left, reset = lower, math.max(ours, ends)
  end
end
local half = 43200000 -- of a period: resets that are further apart are of two periods
if mine and reset <= mine_reset + half and (lost or f[1] ~= known_epoch) and not (over and not lost) and mine < left and not another then
  left = mine -- a pod's memory may only lower what is left
  if not (reset > mine_reset + half) then reset = math.max(reset, mine_reset) end
  code = code == 'ok' and 'changed' or code
end
if not f[6] and not server.lost then server.word, server.lost = 'edited', true end -- the end of a hold is not known
if server.lost and not lost then -- a grant of before may be in use, and needs its window
  closed = math.max(closed, now + lost_hold)
  redis.call('HSET', limits_key, 'closed_until', closed, 'refresh_at', '0',
    'run_id', server.run, 'master_replid', server.replid)
end
if lost or update then
  if not lost and buckets ~= new_buckets then -- the waiting take their places in the new lines
    closed = math.max(closed, now + least_hold)
    for i = each_key, #KEYS, 2 do -- until the windows and leases of the old ones are over
      local slot_key, queue_key, bucket = KEYS[i], KEYS[i + 1], (i - each_key) / 2
      local opens = redis.call('HGET', opens_key, bucket)
      closed = math.max(closed, now + redis.call('PTTL', slot_key), tonumber(opens or '0') or 0)
      redis.call('DEL', queue_key)
    end
  end
  total, buckets = given_total, new_buckets
  left = math.min(left, total)
  redis.call('ZREMRANGEBYSCORE', out_key, '-inf', asked and asked - 1000 or now) -- the figures contain them
  if not lost and (another or over or left < ours_left) then -- what ours had paid is still paid else
    local era = redis.call('HINCRBY', limits_key, 'period', 1)
    if not (another or over or redis.call('HGET', limits_key, 'counted')) then -- `spent` goes on
      redis.call('HSET', limits_key, 'counted', era - 1)
    end
  end
  if over then redis.call('HSET', limits_key, 'since', f[5]) end
  if another or over then recount(limits_key, spent_key, redis.call('ZRANGE', out_key, 0, -1)) end
end
if code ~= 'ok' then
  if f[15] and reset ~= whole(f[5]) then redis.call('HDEL', limits_key, 'slack') end
  redis.call('HSET', limits_key, 'epoch', epoch, 'seq', seq, 'max_concurrency', buckets, 'total', total,
    'reset_at', reset, 'closed_until', math.ceil(closed), 'run_id', server.run, 'master_replid', server.replid)
  if lost or update then redis.call('HSET', limits_key, 'refresh_at', now + refresh_in) end
  redis.call('HDEL', limits_key, 'ask_at', 'source_error')
  redis.call('SET', remaining_key, left)
  if reset > now then
    redis.call('PEXPIRE', remaining_key, reset - now)
    redis.call('PEXPIRE', spent_key, reset - now)
  end
end
return reply()

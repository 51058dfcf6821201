-- beat: a pod that has waiters or permits lives; its new tickets take their places; it hears how its lines stand.
--
-- KEYS  limits pods remaining opens holds; each slot queue   of the pod's lines
-- ARGV
--   pod
--   pod_lease (ms)
--   known_epoch         this and the next three: as the pod knows them
--   known_seq (n)
--   known_buckets (n)   max_concurrency
--   known_total (n)
--   refresh_every (ms)  how often the limit source is asked; 0 without one, and while this pod must not
--   reserve (n)
--   each bucket first places   of the pod's lines: its first ticket there, and how many take their places; behind it
--                              arrival ('' is now) and ticket of each of these
-- Reply  code now remaining seq reset refresh lapse more died hold paused paused_by paused_why; each wait ahead
--   ok | resync  as in claim, and so is reset; refresh is 1 if this pod shall ask the limit source
--   lapse        until the first lease of a pod that stands before this one ends (ms; '' for none)
--   more         1 if there are more tickets to remove before those of this pod: beat again now
--   died, hold   when a lease has ended last, and when the last hold of a pod will; '' for none. Where they are later
--                than before, lines may be shorter than the pod knows
--   paused       until when an operator has paused the grants (ms), who and why; '' for all three if they are not
--   wait, ahead  of each line: how long its bucket stays closed, or grants are paused, to the microsecond, '' while a permit is out;
--                how many tickets stand before the pod's first that can be granted, '' if that has lost its place

-- include lib/values.lua
-- include lib/limits.lua
-- include lib/known.lua
-- include lib/bucket.lua
-- include lib/line.lua
-- include lib/able.lua

-- 1. The pod lives. Does it know what is in force?
local limits, left = read_limits(), redis.call('GET', remaining_key)
local reset = limits.reset_at or 0
local over = reset > 0 and reset <= now
renew_lease(pod, pod_lease)
redis.call('ZREMRANGEBYSCORE', pods_key, '-inf', now - 60000) -- the long dead
local pause = paused_for(limits)
local by = pause and redis.call('HMGET', limits_key, 'paused_by', 'paused_why')
local refresh, lapse, died, last_hold, lines = 0, nil, '', '', {}
local function reply(code)
  local values = {code, now, left or '', limits.seq or 0, reset, refresh, lapse and math.max(lapse, 0) or '', room == 0 and 1 or 0,
    died, last_hold, pause and math.min(limits.paused_until, endless) or '', pause and by[1] or '', pause and by[2] or ''}
  for i = 1, #lines do values[#values + 1] = lines[i] end
  return values
end
if not up_to_date(limits) or not (left or over) then return reply('resync') end -- a lost budget, not one that is over

-- 2. Which pods have died, which want no grant, and which one asks the limit source.
local lowest = redis.call('ZRANGE', pods_key, 0, 0, 'WITHSCORES')
if tonumber(lowest[2]) < now then
  lowest = redis.call('ZRANGE', pods_key, 0, 63, 'WITHSCORES')
  for i = 2, #lowest, 2 do
    if tonumber(lowest[i]) < now then died = tonumber(lowest[i]) end
  end
end
local hold = tonumber(redis.call('ZRANGE', holds_key, -1, -1, 'WITHSCORES')[2] or '0')
if hold > now then last_hold = math.min(hold, now + 600000) end -- longer, or inf: edited
if refresh_every > 0 and math.max(whole(limits.refresh_at) or 0, whole(limits.ask_after) or 0) <= now then
  refresh = 1 -- one pod at a time: the next, if this one dies over it
  redis.call('HSET', limits_key, 'refresh_at', now + 10000)
end

-- 3. Its lines: new tickets take their places, and each line says how it stands.
local usual_lease = limits.pod_lease and agreed(limits.pod_lease) or pod_lease
local claimable, at = left and not over and (tonumber(left) or 0) > reserve, each_arg
for i = each_key, #KEYS, 2 do
  local slot_key, queue_key = KEYS[i], KEYS[i + 1]
  local bucket, first, places = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  at = at + 3
  for _ = 1, places do
    enter_line(queue_key, ARGV[at], ARGV[at + 1])
    at = at + 2
  end
  local slot, wait, open = read_bucket(slot_key, bucket, 0) or {opens = 0}, '', -1 -- claim says if `opens` is no time
  if not slot.permit then
    local closed_for = math.max(slot.opens, limits.closed_until or 0) - exact
    if claimable then open = -math.max(closed_for, limits.paused_until - exact) end
    wait = string.format('%.3f', math.max(closed_for, pause or 0, 0))
  end
  local ahead, head = place_of(queue_key, bucket, first, usual_lease, open)
  local its_pod = pod_of(head or '')
  if (head or '') ~= '' and its_pod ~= pod then lapse = math.min(lapse or math.huge, leases[its_pod] - now) end
  lines[#lines + 1] = wait
  lines[#lines + 1] = ahead or ''
end
return reply('ok')

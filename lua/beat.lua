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
-- Reply  code now remaining seq reset refresh lapse more died hold; each wait ahead
--   ok | resync  as in claim, and so is reset; refresh is 1 if this pod shall ask the limit source
--   lapse        until the first lease of a pod that stands before this one ends (ms; '' for none)
--   more         1 if there are more tickets to remove before those of this pod: beat again now
--   died, hold   when a lease has ended last, and when the last hold of a pod will; '' for none. Where they are later
--                than before, lines may be shorter than the pod knows
--   wait, ahead  of each line: how long its bucket stays closed, to the microsecond, '' while a permit is out;
--                how many tickets stand before the pod's first that can be granted, '' if that has lost its place

local clock = redis.call('TIME')
local exact = clock[1] * 1000 + clock[2] / 1000
local now = math.floor(exact)
local function whole(v) return v and #v < 16 and string.match(v, '^%-?%d+$') and tonumber(v) end
local function decimal(v) return whole(string.match(v, '^(%-?%d+)%.?%d*$')) and tonumber(v) end
-- include lib/line.lua

local limits = redis.call('HMGET', limits_key, 'epoch', 'seq', 'max_concurrency', 'refresh_at', 'reset_at', 'closed_until',
  'ask_after', 'total', 'pod_lease')
local left = redis.call('GET', remaining_key)
local seq = tonumber(limits[2] or '0') or 0
local reset, closed = tonumber(limits[5] or '0') or 0, tonumber(limits[6] or '0') or 0
local usual_lease = tonumber(string.match(limits[9] or '', '^%d+') or pod_lease) -- the longest of all pods
local known = left or reset > 0 and reset <= now -- a lost budget is none that is over
local code = known and limits[1] == known_epoch and seq >= known_seq and whole(limits[3]) == known_buckets
  and whole(limits[8]) == known_total and 'ok' or 'resync'

redis.call('ZADD', pods_key, now + pod_lease, pod)
redis.call('ZREMRANGEBYSCORE', pods_key, '-inf', now - 60000) -- the long dead
local reply, lapse = {code, now, left or '', seq, reset, 0, '', 0, '', ''}, nil
if code ~= 'ok' then return reply end
local claimable = left and not (reset > 0 and reset <= now) and (tonumber(left) or 0) > reserve
local lowest, died = redis.call('ZRANGE', pods_key, 0, 0, 'WITHSCORES'), nil
if tonumber(lowest[2]) < now then
  lowest = redis.call('ZRANGE', pods_key, 0, 63, 'WITHSCORES')
  for i = 2, #lowest, 2 do
    if tonumber(lowest[i]) < now then died = tonumber(lowest[i]) end
  end
end
local hold = tonumber(redis.call('ZRANGE', holds_key, -1, -1, 'WITHSCORES')[2] or '0')
if died then reply[9] = died end
if hold > now then reply[10] = math.min(hold, now + 600000) end -- longer, or inf: edited
local refresh_at, ask_after = tonumber(limits[4] or '0') or 0, tonumber(limits[7] or '0') or 0
if refresh_every > 0 and math.max(refresh_at, ask_after) <= now then
  reply[6] = 1 -- one pod at a time: the next, if this one dies over it
  redis.call('HSET', limits_key, 'refresh_at', now + 10000)
end
local at = each_arg
for i = each_key, #KEYS, 2 do
  local slot_key, queue_key = KEYS[i], KEYS[i + 1]
  local bucket, first, places = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  for _ = 1, places do
    local arrival, ticket = ARGV[at + 3], ARGV[at + 4]
    redis.call('ZADD', queue_key, 'NX', arrival == '' and now or arrival, ticket)
    at = at + 2
  end
  at = at + 3
  local slot, wait, open = redis.call('GET', slot_key), '', -1
  if string.sub(slot or '', -7) ~= ' permit' then
    wait = (decimal(redis.call('HGET', opens_key, bucket) or '0') or 0) - exact -- claim says if it is no number
    if slot and wait <= 0 then wait = redis.call('PTTL', slot_key) + 1 end -- it was set by hand
    wait = math.max(wait, closed - exact)
    if claimable then open = -wait end
    wait = string.format('%.3f', math.max(wait, 0))
  end
  local head, passed = first_able(queue_key, pods_key, holds_key, bucket, first, 5 * usual_lease, open)
  local its_pod = pod_of(head or '')
  if (head or '') ~= '' and its_pod ~= pod then lapse = math.min(lapse or math.huge, leases[its_pod] - now) end
  local ahead = rank_of(queue_key, pods_key, first)
  reply[#reply + 1] = wait
  reply[#reply + 1] = ahead and (head == first and 0 or math.max(ahead - passed, 0)) or ''
end
if room == 0 then reply[8] = 1 end
if lapse then reply[7] = math.max(lapse, 0) end
return reply

-- claim: take a place in a bucket's line, and the slot once it is free and the place is the first.
--
-- KEYS  slot remaining queue limits spent pods opens paid rests holds out
-- ARGV
--   ticket
--   arrival (ms?)      when it took its place; '' is now
--   shard
--   bucket
--   pod
--   pod_lease (ms)
--   known_epoch        this and the next three: as the pod knows them
--   known_seq (n)
--   known_buckets (n)  max_concurrency
--   known_total (n)
--   permit (flag)      a permit is asked for, and not a grant of Wait
--   closes (ms)        for how long a grant closes the bucket
--   usable (ms)        for how long the holder of a grant may identify
--   until_wanted (ms)  least time until the pod wants a grant
--   step (ms)          least time between two grants
--   reserve (n)        units that are not granted, in which permits that are out count
--   least_reserve (n)  units that are not granted, in which they do not
--   period (ms)
--   paid_ttl (ms)      least TTL of paid
--   next_ticket        the pod's next in this line, or ''
--   notice (flag)      this server did not know this script, so that it may have been restarted or replaced: that counts
--                      where scripts are not told who the server is
--   breaker (n)        from how many identifies on in this period a shard must rest first; 0 for none
--   own_window (ms)    this and the next three: what this pod wants; pods agree on the most of all
--   own_grace (ms)     for how long a grant or permit of this pod may yet be used
--   own_pod_lease (ms)  its lease as a rule
--   own_replicas (n)   how many replicas must acknowledge a grant
--   asks (flag)        the limit source can be asked for figures when a period is over
--   each arrival ticket   of others of the pod that take their places
-- Reply  code now wait ahead remaining seq head back shut reset server window grace replicas
--   times in ms, wait to the microsecond
--   granted    the slot is the ticket's; wait and ahead are those of the pod's next ticket
--   wait       ask again in wait; ahead tickets stand before it, head is the first that can be granted, or '' if
--              more must be removed first
--   exhausted  no unit is left for it; wait is the time until the reset
--   tired      its shard has identified too often: it has no place until it has rested, which is over in wait
--   resync     the pod does not know the limits or state in force: sync, then ask again
--   gone       the ticket was settled long ago: this is a late copy of an old call
--   back is 1 if the ticket had lost its place (its pod was taken for dead) and has it again; with granted, 2 if
--   there is more to remove before the pod's next ticket;
--   shut is how long the bucket is certain to stay closed; reset is when the period ends, 0 before it begins;
--   server is who it is (lib/server.lua), or 'edited' where closed_until was missing, 'evicted' where `opens` was: if it
--   may have lost grants, or a hold, this call has closed every bucket;
--   window, grace and replicas are those in force, the most of all pods
-- Error BADVALUE <key>: a value was edited to something that cannot be used.

local clock = redis.call('TIME')
local exact = clock[1] * 1000 + clock[2] / 1000
local now = math.floor(exact)
local function whole(v) return v and #v < 16 and string.match(v, '^%-?%d+$') and tonumber(v) end
local function decimal(v) return whole(string.match(v, '^(%-?%d+)%.?%d*$')) and tonumber(v) end
-- include lib/server.lua
-- include lib/budget.lua
-- include lib/line.lua

local limits = redis.call('HMGET', limits_key, 'epoch', 'seq', 'max_concurrency', 'total', 'reset_at', 'closed_until',
  'run_id', 'master_replid', 'fresh_until', 'window', 'grace', 'pod_lease', 'period', 'first', 'ask_after', 'counted',
  'replicas', 'slack', 'granted')
local seq, buckets, total = whole(limits[2]), whole(limits[3]), whole(limits[4])
local reset, closed, era, first = whole(limits[5] or '0'), whole(limits[6] or '0'), limits[13] or '0', limits[14]
if limits[1] and not (seq and reset and closed and buckets and buckets >= 1 and total and total >= 0) then
  return redis.error_reply('BADVALUE ' .. limits_key)
end
if not limits[1] then seq, reset, closed = 0, 0, 0 end
local left = redis.call('GET', remaining_key)
local known = limits[1] == known_epoch and seq >= known_seq and buckets == known_buckets
  and total == known_total -- the reserve is a part of it
local ahead, head, back, shut = 0, '', 0, 0
local server, window, grace, replicas, usual_lease = {word = ''}, own_window, own_grace, 0, own_pod_lease
local function reply(code, wait)
  return {code, now, string.format('%.3f', math.max(wait, 1)), ahead, left, seq, head, back,
    math.max(math.floor(shut), 0), reset, server.word, window, grace, replicas}
end
if limits[1] then -- first of all: what is noticed here is not noticed again
  local longer
  server = identity(limits[7], limits[8], notice and (whole(limits[9]) or 0) <= now)
  window, longer = agree(limits_key, 'window', limits[10], own_window, now)
  if not limits[6] and not server.lost then server.word, server.lost = 'edited', true end -- the end of a hold is not known
  grace = agree(limits_key, 'grace', limits[11], own_grace, now)
  usual_lease = agree(limits_key, 'pod_lease', limits[12], own_pod_lease, now)
  if limits[17] or own_replicas > 0 then replicas = agree(limits_key, 'replicas', limits[17], own_replicas, now) end
  if server.lost or longer then -- a grant of before may be in use, and needs its window; so do those of shorter windows
    closed = math.max(closed, now + window + grace)
    redis.call('HSET', limits_key, 'closed_until', closed, 'refresh_at', '0',
      'run_id', server.run, 'master_replid', server.replid)
  end
end
local function may_have_begun() -- the period, with a permit that lapsed, which may have been used
  local _, lapsed = until_after(out_key, now)
  if lapsed > 0 and lapsed + period > reset then
    reset, first = lapsed + period, '?'
    begin(limits_key, remaining_key, spent_key, reset, 0, now)
    redis.call('HSET', limits_key, 'first', first)
  end
end
if limits[1] and reset == 0 then may_have_begun() end -- if nobody has asked for a day it is over by now
local over, ended = reset > 0 and reset <= now, reset - (whole(limits[18] or '0') or 0)
step, closes = step + window - own_window, closes + window - own_window
if not known or not (left or over) or asks_first(over, asks, limits[15], now) then
  left = 0
  return reply('resync', 0)
end
left = over and math.max(total - #until_after(out_key, ended), 0) or whole(left)
if not left then return redis.error_reply('BADVALUE ' .. remaining_key) end
local units = left > reserve or left > least_reserve and left + permits_out(out_key, now) > reserve
local spent = whole(redis.call('HGET', spent_key, shard) or '0')
if not spent then return redis.error_reply('BADVALUE ' .. spent_key) end

local paid = redis.call('GET', paid_key)
if over_with(paid) then return reply('gone', 0) end
local entry = out_of(ticket) .. (permit and '' or '/wait')
local again -- paid for again, in `remaining` alone
local usable_until = paid and tonumber(redis.call('ZSCORE', out_key, entry) or '')
if over and not (usable_until and usable_until > ended) or not usable_until and not charged(paid, limits[1], era, now) then
  again = not over and in_spent(spent_key, ticket, paid, limits[1], era, limits[16])
  paid = nil -- another period has paid for it, or a figure does not know it
end
local slot = redis.call('GET', slot_key)
local ttl = slot and redis.call('PTTL', slot_key) or -2
local stored = redis.call('HGET', opens_key, bucket)
local opens = decimal(stored or '0')
if not opens then return redis.error_reply('BADVALUE ' .. opens_key) end
if limits[19] and not stored and not slot then -- a bucket's first grant, or both witnesses of its last are gone
  local used = redis.call('ZRANGE', out_key, 0, -1, 'WITHSCORES') -- the third
  for i = 1, #used, 2 do -- by rising times
    if shard_of(used[i]) % buckets == tonumber(bucket) then opens = used[i + 1] + step end
  end
  if not used[1] and redis.call('HLEN', opens_key) == 0 then
    server.word, closed = 'evicted', math.max(closed, now + window + grace)
    redis.call('HSET', limits_key, 'closed_until', closed)
    redis.call('HDEL', limits_key, 'granted')
  end
end
shut = opens - exact -- whether or not the slot is there: it expires up to 1 ms later, and may be deleted by hand
if ttl == -1 then shut = math.max(shut, step) end
if ttl >= math.max(shut + 1, 0) then shut = ttl + 1 end -- it was set by hand
local mine = slot == ticket or slot == ticket .. ' permit'
local held = shut > 0 and slot and string.sub(slot, -7) == ' permit'
local slot_left = shut
local open = math.min(-shut, exact - closed) -- for how long the bucket has been; below 0 it is closed
shut = math.max(-open, until_wanted)
if first == '?' then may_have_begun() end

redis.call('ZADD', pods_key, now + pod_lease, pod)
if ttl == -1 then redis.call('PEXPIRE', slot_key, step) end
for i = each_arg, #ARGV, 2 do
  local since, other = ARGV[i], ARGV[i + 1]
  redis.call('ZADD', queue_key, 'NX', since == '' and now or since, other)
end
if until_wanted > 0 then set_on_hold(holds_key, pod, now + until_wanted) end
if redis.call('ZCARD', holds_key) > 0 then redis.call('ZREM', holds_key, pod .. ':' .. bucket) end -- it claims
local function rest() -- from now, ever longer
  local rested = now + math.min(step * 2 ^ math.min(spent - breaker, 30), 3600000)
  redis.call('HSET', rests_key, shard, rested)
  redis.call('PEXPIRE', rests_key, reset > now and reset - now or period)
  return rested
end
if not paid and not over and breaker > 0 and spent >= breaker then
  local rested = whole(redis.call('HGET', rests_key, shard)) or rest() -- an older pod has granted it: when is not known
  if rested > now then
    redis.call('ZREM', queue_key, ticket)
    return reply('tired', rested - now)
  end
end
local granted = paid and (mine and closed <= now or shut <= 0)
if not granted then
  head = redis.call('ZRANGE', queue_key, 0, 0)[1]
  if head ~= ticket then
    local added = redis.call('ZADD', queue_key, 'NX', arrival or now, ticket)
    back = arrival and added or 0
    local passed
    local claimable = not over and units
    head, passed = first_able(queue_key, pods_key, holds_key, bucket, ticket, 5 * usual_lease, claimable and open or -1)
    ahead = head == ticket and 0 or math.max(rank_of(queue_key, pods_key, ticket) - passed, 0)
  end
  granted = head == ticket and shut <= 0 and (paid or units)
end

if not granted then
  if not paid and not held and not units then -- a permit that is out may give its unit back
    if reset == 0 and left < total and not until_after(out_key, now)[1] then -- what used it up is not known: somebody, by hand
      reset = now + period
      redis.call('HSET', limits_key, 'first', '?')
      begin(limits_key, remaining_key, spent_key, reset, 0, now)
    end
    return reply('exhausted', reset > now and reset - now or 60000)
  end
  local wait = math.max(shut, 0)
  if held then -- it may end at any moment
    wait, shut = ahead == 0 and math.min(wait, step / 5) or 0, closed - now
  end
  if head == '' then return reply('wait', 0) end -- more of the dead to pass over
  return reply('wait', wait + ahead * step)
end

local lasts = math.max(closes, paid and mine and slot_left or 0)
if lasts == closes then -- else this is a late copy of a claim: it ends no slot sooner
  redis.call('SET', slot_key, permit and ticket .. ' permit' or ticket, 'PX', closes)
  redis.call('HSET', opens_key, bucket, string.format('%.3f', exact + lasts))
end
redis.call('ZREM', queue_key, ticket)
seq = redis.call('HINCRBY', limits_key, 'seq', 1)
if not limits[19] then redis.call('HSET', limits_key, 'granted', '1') end -- so `opens` is there
if over then
  left, era = turn(limits_key, remaining_key, spent_key, out_key, total, reset, ended)
  redis.call('DEL', rests_key)
  reset, first = 0, false
end
if not paid then
  left = left - 1
  if reset > now then redis.call('SET', remaining_key, left, 'PX', reset - now) else redis.call('SET', remaining_key, left) end
  if not again then spent = redis.call('HINCRBY', spent_key, shard, 1) end
end
if seq % 16 == 0 then redis.call('ZREMRANGEBYSCORE', out_key, '-inf', now - 30000) end -- no figures are as old
redis.call('ZADD', out_key, now + usable, entry)
redis.call('PEXPIRE', out_key, 7 * period) -- a permit that lapses may begin a period, whoever asks next
if not permit and (reset == 0 or first == '?' or first == out_of(ticket)) then
  -- A period begins with an IDENTIFY, so with the grant that is used.
  reset = now + usable + period -- Discord's with the IDENTIFY itself, which may leave so much later
  redis.call('HSET', limits_key, 'first', out_of(ticket))
  begin(limits_key, remaining_key, spent_key, reset, usable, now)
elseif reset > now then
  redis.call('PEXPIRE', spent_key, reset - now)
end
local sets_rest = not paid and breaker > 0 and spent >= breaker and ' ' .. rest() or rest_of(paid)
local remembered = math.max(paid_ttl, reset > now and reset - now or period)
redis.call('SET', paid_key, 'granted ' .. limits[1] .. ' ' .. era .. sets_rest, 'PX', remembered)
ahead = next_ticket ~= '' and rank_of(queue_key, pods_key, next_ticket) or 0
back = room == 0 and 2 or 0
head, shut = '', permit and 0 or lasts
return reply('granted', lasts + ahead * step)

-- claim: take a place in a bucket's line, and the slot once it is free and the place is the first.
--
-- KEYS  slot remaining queue limits spent pods opens paid backoffs holds out
-- ARGV
--   ticket
--   arrival            when it took its place (ms); '' is now
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
--   reserve (n)        units that are not granted
--   period (ms)
--   paid_ttl (ms)      least TTL of paid
--   next_ticket        the pod's next in this line, or ''
--   notice (flag)      this server did not know this script, so that it may have been restarted or replaced: that counts
--                      where scripts are not told who the server is
--   backoff (n)        from how many identifies on in this period a shard must back off first; 0 for none
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
--   paused     as wait, because an operator has paused the grants; asking in wait is soon enough, unless a beat says that
--              they are resumed
--   exhausted  no unit is left for it; wait is the time until the reset
--   backoff    its shard has identified too often: it has no place until its backoff is over, in wait
--   resync     the pod does not know the limits or state in force: sync, then ask again
--   gone       the ticket was settled long ago: this is a late copy of an old call
--   back is 1 if the ticket had lost its place (its pod was taken for dead) and has it again; with granted, 2 if
--   there is more to remove before the pod's next ticket;
--   shut is how long the bucket is certain to stay closed; reset is when the period ends, 0 before it begins;
--   server is who it is (lib/server.lua), or 'edited' where closed_until was missing, 'evicted' where `opens` was: if it
--   may have lost grants, or a hold, this call has closed every bucket;
--   window, grace and replicas are those in force, the most of all pods
-- Error BADVALUE <key> <field>: a value was edited to something that cannot be used.

-- include lib/values.lua
-- include lib/limits.lua
-- include lib/known.lua
-- include lib/server.lua
-- include lib/agree.lua
-- include lib/bucket.lua
-- include lib/out.lua
-- include lib/period.lua
-- include lib/budget.lua
-- include lib/backoffs.lua
-- include lib/line.lua
-- include lib/types.lua

-- 1. The limits in force. What is noticed of the server is not noticed again, so it is written first of all.
local limits, stored_left = read_limits(), redis.call('GET', remaining_key)
local server, all, left, ahead, head, back, shut = {word = ''}, {window = own_window, grace = own_grace, replicas = 0}, 0, 0, '', 0, 0
local function reply(code, wait)
  return {code, now, string.format('%.3f', math.max(wait, 1)), ahead, left, limits.epoch and limits.seq or 0, head, back,
    math.max(math.floor(shut), 0), limits.epoch and limits.reset_at or 0, server.word, all.window, all.grace, all.replicas}
end
if limits.epoch and limits.bad then return redis.error_reply('BADVALUE ' .. limits_key .. ' ' .. limits.bad) end
if not limits.epoch then return reply('resync', 0) end
server, all = check_server(limits, notice), agree_all(limits)
if server.lost or all.window_grew then
  -- include lib/close_all.lua
  distrust(limits, server, all.window + all.grace)
end
if limits.reset_at == 0 then begin_by_lapsed(limits, period) end -- if nobody has asked for a day it is over by now
step, closes = step + all.window - own_window, closes + all.window - own_window

-- 2. What may be spent, what the ticket has paid, and when the bucket opens. Nothing else is written until all of it
-- makes sense.
local over, was_paid = is_over(limits), redis.call('GET', paid_key)
if not up_to_date(limits) or not (stored_left or over) or asks_first(limits, asks) then return reply('resync', 0) end
left = over and next_left(limits) or whole(stored_left)
local spent = whole(redis.call('HGET', spent_key, shard) or '0')
if not (left and spent) then return redis.error_reply('BADVALUE ' .. (left and spent_key .. ' ' .. shard or remaining_key)) end
if settled(was_paid) then return reply('gone', 0) end
local entry = out_of(ticket) .. (permit and '' or '/wait')
local units, paid = math.min(left, limits.total) > reserve, paid_in_force(limits, was_paid, entry)
local slot = read_bucket(slot_key, bucket, step)
if not slot then return redis.error_reply('BADVALUE ' .. opens_key .. ' ' .. bucket) end
if limits.granted and slot.unseen then -- it is the bucket's first grant, or both witnesses of its last are gone
  -- include lib/unseen.lua
  slot.opens, slot.evicted = opens_by_out(bucket, limits.max_concurrency, step)
  if slot.evicted then
    server.word = 'evicted'
    -- include lib/close_all.lua
    close_all(limits, all.window + all.grace)
    redis.call('HDEL', limits_key, 'granted')
  end
end
local mine, pause = is_of(slot.holder, ticket), paused_for(limits)
local closed_for = math.max(slot.opens, limits.closed_until, limits.paused_until) - exact -- below 0 it is open
shut = math.max(slot.opens - exact, limits.closed_until - exact, until_wanted)
if limits.first == '?' then begin_by_lapsed(limits, period) end

-- 3. The pod lives, and claims here. Its others take their places; a shard that backs off has none.
renew_lease(pod, pod_lease)
redis.call('ZREM', holds_key, pod .. ':' .. bucket)
if until_wanted > 0 then set_on_hold(pod, now + until_wanted) end
if slot.endless then redis.call('PEXPIRE', slot_key, step) end
for i = each_arg, #ARGV, 2 do enter_line(queue_key, ARGV[i], ARGV[i + 1]) end
if not paid and not over and backoff > 0 and spent >= backoff then
  -- Where it is not known until when, an older pod has granted it.
  local ends = whole(redis.call('HGET', backoffs_key, shard)) or begin_backoff(shard, step, spent - backoff, time_left(limits, period))
  if ends > now then
    redis.call('ZREM', queue_key, ticket)
    return reply('backoff', ends - now)
  end
end

-- 4. Whose turn is it? A ticket that has paid is granted out of turn: its own slot again, or a free one.
local able, granted = not pause and shut <= 0 and (paid or units), not pause and paid and (mine and limits.closed_until <= now or shut <= 0)
if not granted then
  head = redis.call('ZRANGE', queue_key, 0, 0)[1] or able and ticket -- nobody waits: it needs no place
  if head ~= ticket then
    -- include lib/able.lua
    local added = enter_line(queue_key, arrival, ticket)
    back = arrival ~= '' and added or 0
    ahead, head = place_of(queue_key, bucket, ticket, all.pod_lease, not over and units and -closed_for or -1)
  end
  granted = able and head == ticket
end
local hope = not (granted or paid or units) and (slot.permit or left + permits_out() > reserve) -- one may give its unit back
if not (granted or paid or units or hope) then
  -- Nothing is left of a period that nothing has begun, or will: somebody has used it up by hand.
  if limits.reset_at == 0 and left < limits.total and not out_after(now)[1] then begin_period(limits, now + period, 0, '?') end
  return reply('exhausted', limits.reset_at > now and limits.reset_at - now or 60000)
elseif not granted then
  local wait = math.max(shut, hope and step / 5 or 0)
  if slot.permit then wait, shut = ahead == 0 and math.min(wait, step / 5) or 0, limits.closed_until - now end -- it may end at any moment
  wait = math.max(wait, pause or 0) + ahead * step
  return reply(pause and 'paused' or 'wait', head == '' and 0 or wait) -- 0: there are more of the dead to pass over
end

-- 5. Granted: the bucket closes, and the ticket pays once. A late copy of its claim ends no slot sooner.
local lasts = math.max(closes, paid and mine and slot.opens - exact or 0)
if lasts == closes then close_bucket(slot_key, bucket, permit and ticket .. ' permit' or ticket, closes) end
redis.call('ZREM', queue_key, ticket)
limits.seq = redis.call('HINCRBY', limits_key, 'seq', 1)
if not limits.granted then redis.call('HSET', limits_key, 'granted', '1') end -- so `opens` is there
if over then
  -- include lib/turn.lua
  left = turn(limits)
  redis.call('DEL', backoffs_key)
end
if not paid then left, spent = pay(limits, ticket, was_paid, left, spent) end
if limits.seq % 16 == 0 then redis.call('ZREMRANGEBYSCORE', out_key, '-inf', now - 30000) end -- no figures are as old
put_out(entry, now + usable, period)
if not permit and begins_with(limits, out_of(ticket)) then -- Discord's begins with the IDENTIFY itself, usable later at most
  begin_period(limits, now + usable + period, usable, out_of(ticket))
end
local kept, own = time_left(limits, period), backoff_of(paid)
if not paid and backoff > 0 and spent >= backoff then own = ' ' .. begin_backoff(shard, step, spent - backoff, kept) end
redis.call('SET', paid_key, 'granted ' .. limits.epoch .. ' ' .. limits.period .. own, 'PX', math.max(paid_ttl, kept))
ahead = next_ticket ~= '' and rank_of(queue_key, next_ticket) or 0
head, back, shut = '', room == 0 and 2 or 0, permit and 0 or lasts
return reply('granted', lasts + ahead * step)

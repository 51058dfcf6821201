-- abandon: tickets leave. Places are given up; a slot and its unit go back where no IDENTIFY was sent.
--
-- KEYS  slot remaining queue limits spent opens pods out backoffs; each paid   of the tickets
-- ARGV
--   bucket
--   paid_ttl (ms)       TTL of paid
--   places_only (flag)  of tickets whose fate is not known
--   goes_on (flag)      their wait may go on with other tickets: what has no slot may have been granted to one of those since
--   leaving_pod         the pod, if it leaves with them, or ''
--   each ticket
-- Reply  code units   'left', and how many units went back

-- include lib/values.lua
-- include lib/limits.lua
-- include lib/bucket.lua
-- include lib/out.lua
-- include lib/period.lua
-- include lib/turn.lua
-- include lib/budget.lua
-- include lib/backoffs.lua

local limits, left = read_limits(), whole(redis.call('GET', remaining_key))
local slot, counted, units = redis.call('GET', slot_key), redis.call('HLEN', spent_key), 0
redis.call('ZCARD', queue_key) -- of a wrong type it ends the call while nothing has changed, and so do the next four
redis.call('ZCARD', out_key)
redis.call('ZCARD', pods_key)
redis.call('HLEN', opens_key)
redis.call('HLEN', backoffs_key)
local total, over = limits.total or 0, is_over(limits)

-- give_back gives back the unit of a ticket, if it is one of the period in force.
local function give_back(ticket, paid, entry)
  local out = redis.call('ZREM', out_key, entry, entry .. '/wait') > 0
  local ours = out or charged(limits, paid)
  if left and not over and left + units < total and ours then
    redis.call('INCR', remaining_key)
    if counted > 0 then redis.call('HINCRBY', spent_key, shard_of(ticket), -1) end
    units = units + 1
    if limits.first == entry then limits.first = '?' end
  elseif not over and not ours and in_spent(limits, ticket, paid) then -- of it, before a figure
    redis.call('HINCRBY', spent_key, shard_of(ticket), -1)
  end
end

for i = each_arg, #ARGV do
  local ticket, paid_key = ARGV[i], KEYS[each_key + i - each_arg]
  local paid, mine = redis.call('GET', paid_key), is_of(slot, ticket)
  redis.call('ZREM', queue_key, ticket)
  if paid ~= 'identified' and not places_only and (mine or not goes_on) then
    if goes_on then redis.call('DEL', paid_key) else redis.call('SET', paid_key, 'left', 'PX', paid_ttl) end
    give_back(ticket, paid, out_of(ticket))
    end_backoff(shard_of(ticket), paid)
    if mine then
      redis.call('DEL', slot_key)
      redis.call('HSET', opens_key, bucket, now)
    end
  end
end
if units > 0 and limits.first == '?' then -- the period began with a grant that was not used
  redis.call('HSET', limits_key, 'first', '?')
  if left + units == total then -- nor was any other
    redis.call('HSET', limits_key, 'reset_at', '0')
    redis.call('SET', remaining_key, total)
    recount(limits, {})
  end
end
if leaving_pod ~= '' then redis.call('ZREM', pods_key, leaving_pod) end
return {'left', units}

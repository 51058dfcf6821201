-- abandon: tickets leave. Places are given up; a slot and its unit go back where no IDENTIFY was sent.
--
-- KEYS  slot remaining queue limits spent opens pods out rests; each paid   of the tickets
-- ARGV
--   bucket
--   paid_ttl (ms)       TTL of paid
--   places_only (flag)  of tickets whose fate is not known
--   goes_on (flag)      their wait may go on with other tickets: what has no slot may have been granted to one of those since
--   leaving_pod         the pod, if it leaves with them, or ''
--   each ticket
-- Reply  code units   'left', and how many units went back

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function whole(v) return v and #v < 16 and string.match(v, '^%-?%d+$') and tonumber(v) end
-- include lib/budget.lua

local limits = redis.call('HMGET', limits_key, 'epoch', 'total', 'reset_at', 'period', 'first', 'counted')
local slot, left, counted = redis.call('GET', slot_key), whole(redis.call('GET', remaining_key)), redis.call('HLEN', spent_key)
local total, reset, era, units = whole(limits[2]) or 0, whole(limits[3] or '0') or 0, limits[4] or '0', 0
local over = reset > 0 and reset <= now

for i = each_arg, #ARGV do
  local ticket, paid_key, entry = ARGV[i], KEYS[each_key + i - each_arg], out_of(ARGV[i])
  local paid = redis.call('GET', paid_key)
  redis.call('ZREM', queue_key, ticket)
  local mine = slot == ticket or slot == ticket .. ' permit'
  if paid ~= 'identified' and not places_only and (mine or not goes_on) then
    if goes_on then redis.call('DEL', paid_key) else redis.call('SET', paid_key, 'left', 'PX', paid_ttl) end
    local out = redis.call('ZREM', out_key, entry, entry .. '/wait') > 0
    local ours = out or charged(paid, limits[1], era, now) -- of this period
    if left and not over and left + units < total and ours then
      redis.call('INCR', remaining_key)
      if counted > 0 then redis.call('HINCRBY', spent_key, shard_of(ticket), -1) end
      units = units + 1
      if limits[5] == entry then limits[5] = '?' end
    elseif not over and not ours and in_spent(spent_key, ticket, paid, limits[1], era, limits[6]) then -- of it, before a figure
      redis.call('HINCRBY', spent_key, shard_of(ticket), -1)
    end
    local rest = rest_of(paid)
    if rest ~= '' and ' ' .. (redis.call('HGET', rests_key, shard_of(ticket)) or '') == rest then -- over, as before it
      redis.call('HSET', rests_key, shard_of(ticket), now) -- not deleted: claim takes a missing one for an older pod's
    end
    if mine then
      redis.call('DEL', slot_key)
      redis.call('HSET', opens_key, bucket, now)
    end
  end
end
if units > 0 and limits[5] == '?' then -- the period began with a grant that was not used
  redis.call('HSET', limits_key, 'first', '?')
  if left + units == total then -- nor was any other
    redis.call('HSET', limits_key, 'reset_at', '0')
    redis.call('SET', remaining_key, total)
    recount(limits_key, spent_key, {})
  end
end
if leaving_pod ~= '' then redis.call('ZREM', pods_key, leaving_pod) end
return {'left', units}

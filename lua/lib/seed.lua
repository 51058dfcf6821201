-- What sync does where a queue begins, or its buckets are others.

-- is_new: nothing shows that this is no new Redis, but one that has lost the rest. Pods that ask their source leave a trace,
-- and so does an operator who pauses before the first start.
local function is_new()
  local fields, traces = redis.call('HGETALL', limits_key), ' ask_at ask_after source_error paused_until paused_at paused_by paused_why '
  for i = 1, #fields, 2 do
    if not string.find(traces, ' ' .. fields[i] .. ' ', 1, true) then return false end
  end
  return not redis.call('GET', remaining_key) and redis.call('HLEN', opens_key) + redis.call('HLEN', spent_key)
    + redis.call('HLEN', backoffs_key) + redis.call('ZCARD', out_key) + redis.call('ZCARD', pods_key) + redis.call('ZCARD', holds_key) == 0
end

-- rebucket closes every bucket until the windows and leases of the old ones are over; tickets take places in new lines.
local function rebucket(limits, least_hold, lost_hold)
  limits.closed_until = math.max(limits.closed_until, now + least_hold)
  for i = each_key, #KEYS, 2 do
    local slot_key, queue_key = KEYS[i], KEYS[i + 1]
    local slot = read_bucket(slot_key, (i - each_key) / 2, 0)
    limits.closed_until = math.max(limits.closed_until, slot and slot.opens or now + lost_hold)
    redis.call('DEL', queue_key)
  end
end

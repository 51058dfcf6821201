-- What pods must agree on: the longest, or most, that any of them had in the last 5 minutes counts for all, so that a
-- roll-out which changes it is safe, and a change to less is in force once the last pod with more has gone for
-- longer than a permit lasts. A field holds the value and when it was heard last. The second value says that it has
-- just grown.
local function agree(limits, field, own)
  local value, heard = string.match(limits[field] or '', '^(%d+)@(%d+)$')
  value, heard = agreed(value), (heard or 0) + 0
  local most = heard + 300000 > now and math.max(value, own) or own
  if most ~= value or own == value and heard + 60000 <= now then
    redis.call('HSET', limits_key, field, most .. '@' .. now)
  end
  return most, value > 0 and most > value
end

-- agree_all returns what is in force of all that pods agree on, and whether the window has just grown.
local function agree_all(limits)
  local window, window_grew = agree(limits, 'window', own_window)
  local grace, pod_lease = agree(limits, 'grace', own_grace), agree(limits, 'pod_lease', own_pod_lease)
  local replicas = (limits.replicas or own_replicas > 0) and agree(limits, 'replicas', own_replicas) or 0
  return {window = window, grace = grace, pod_lease = pod_lease, replicas = replicas, window_grew = window_grew}
end

-- From one period of the budget to the next.

-- forget_out takes out of `out` what somebody else accounts for up to a moment, and notes when that was: for a window after
-- it `out` is no witness of every grant.
local function forget_out(up_to)
  if redis.call('ZREMRANGEBYSCORE', out_key, '-inf', up_to) > 0 then redis.call('HSET', limits_key, 'forgot', now) end
end

-- recount: another period is in force, and has paid for these alone.
local function recount(limits, entries)
  redis.call('DEL', spent_key)
  for _, entry in ipairs(entries) do redis.call('HINCRBY', spent_key, shard_of(entry), 1) end
  redis.call('HDEL', limits_key, 'first', 'counted')
  limits.first, limits.counted = nil, nil
end

-- turn: the period is over, and the next in force, without a reset yet. It returns what is left.
local function turn(limits)
  local left, ended = next_left(limits), end_of(limits)
  recount(limits, (out_after(ended)))
  forget_out(ended)
  redis.call('SET', remaining_key, left)
  redis.call('HSET', limits_key, 'reset_at', '0', 'since', limits.reset_at)
  limits.reset_at, limits.period = 0, tostring(redis.call('HINCRBY', limits_key, 'period', 1))
  return left
end

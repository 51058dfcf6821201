-- The periods of the budget. Only a period's first IDENTIFY makes a reset; limits has 'first' while that is not certain:
-- whose Wait it was, or '?' where a permit lapsed that may have been used.

-- A period is over at its reset. Discord's may have ended before, by `slack` at most: what left since is of the next.
local function is_over(limits) return limits.reset_at and limits.reset_at > 0 and limits.reset_at <= now end
local function end_of(limits) return limits.reset_at - (whole(limits.slack) or 0) end
local function time_left(limits, period) return limits.reset_at > now and limits.reset_at - now or period end

-- asks_first: a period is over, and before anything is granted of the next the limit source is asked, unless it has
-- asked for a pause.
local function asks_first(limits, asks) return asks and is_over(limits) and (whole(limits.ask_after) or 0) <= now end

-- next_left is what the next period begins with: it is full but for what may identify in it though it was granted before.
local function next_left(limits) return math.max(limits.total - #out_after(end_of(limits)), 0) end

-- begin_period: its reset is known, but for so much that it may be sooner at Discord; `remaining` and `spent` end with it.
-- first is who begins it, as long as that is not certain.
local function begin_period(limits, reset, slack, first)
  limits.reset_at, limits.first = reset, first
  redis.call('HSET', limits_key, 'reset_at', reset, 'since', now)
  if first then redis.call('HSET', limits_key, 'first', first) else redis.call('HDEL', limits_key, 'first') end
  if slack > 0 then redis.call('HSET', limits_key, 'slack', slack) else redis.call('HDEL', limits_key, 'slack') end
  redis.call('PEXPIRE', remaining_key, math.max(reset - now, 1))
  redis.call('PEXPIRE', spent_key, math.max(reset - now, 1))
end

-- begins_with says if an IDENTIFY of this entry of `out` begins the period, since no other certainly has.
local function begins_with(limits, entry) return limits.reset_at == 0 or limits.first == '?' or limits.first == entry end

-- begin_by_lapsed: a permit that lapsed may have been used, and the period begun with it.
local function begin_by_lapsed(limits, period)
  local _, lapsed = out_after(now)
  if lapsed > 0 and lapsed + period > limits.reset_at then begin_period(limits, lapsed + period, 0, '?') end
end

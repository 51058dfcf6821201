-- The limits in force, and what pods have agreed on, by the names of their fields in Redis.

-- unusable is the first field that stops every claim, and so all that reads limits; nil where all can be used. What each
-- may be is in redisqueue/internal/wire/values.go, for people.
local function unusable(l)
  return not l.seq and 'seq' or not (l.total and l.total >= 0) and 'total'
    or not (l.max_concurrency and l.max_concurrency >= 1 and l.max_concurrency <= 4096) and 'max_concurrency'
    or not (l.reset_at and l.reset_at >= 0) and 'reset_at' or not l.closed_until and 'closed_until'
    or not whole(l.period) and 'period' or nil
end

-- read_limits: numbers are numbers, false where they are missing or were edited to something else. bad is the
-- first that cannot be used, hold_known says that there is a closed_until, which is 0 else. A paused_until that is no
-- number pauses until somebody resumes.
local function read_limits()
  local f = redis.call('HMGET', limits_key, 'epoch', 'seq', 'total', 'max_concurrency', 'reset_at', 'slack', 'since', 'period',
    'first', 'counted', 'closed_until', 'granted', 'fresh_until', 'run_id', 'master_replid', 'window', 'grace', 'pod_lease',
    'replicas', 'refresh_at', 'ask_at', 'ask_after',
    'paused_until')
  local limits = {
    epoch = f[1] ~= '' and f[1], seq = f[2], total = f[3], max_concurrency = f[4],
    reset_at = f[5] or '0', slack = f[6], since = f[7], period = f[8] or '0', first = f[9], counted = f[10], -- the budget's period
    closed_until = f[11], granted = f[12], fresh_until = f[13], run_id = f[14], master_replid = f[15], -- what may be lost
    window = f[16], grace = f[17], pod_lease = f[18], replicas = f[19], -- what pods have agreed on
    refresh_at = f[20], ask_at = f[21], ask_after = f[22], -- when the limit source is asked
    paused_until = f[23] and (whole(f[23]) or math.huge) or 0, -- by an operator; once resumed, since when
    hold_known = f[11],
  }
  limits.seq, limits.total, limits.max_concurrency = whole(limits.seq), whole(limits.total), whole(limits.max_concurrency)
  limits.reset_at, limits.closed_until = whole(limits.reset_at), whole(limits.closed_until or '0')
  limits.bad = unusable(limits)
  return limits
end

-- agreed is the most that any pod wants of a thing, as last heard (lib/agree.lua); 0 if none has said so, or if it is more
-- than 11 days, which none may want.
local function agreed(value)
  local most = string.match(value or '', '^%d+') or '0'
  return #most < 10 and most + 0 or 0
end

-- longer_window is by how much the window of all pods is longer than this one's.
local function longer_window(limits, own_window) return math.max(0, agreed(limits.window) - own_window) end

local endless = 253402300799000 -- ms since 1970 that are written for a pause without an end: the last second of the year 9999

-- paused_for is how long grants are paused yet, false if they are not; 1 minute at most, since it may be over at any time:
-- pods hear so from their beats, and ask again by themselves should they not.
local function paused_for(limits) return limits.paused_until > exact and math.min(limits.paused_until - exact, 60000) end

-- pause: an operator stops the grants of a queue, or resumes them. The last such orders are kept.
--
-- KEYS  limits audit
-- ARGV
--   stop (flag)  grants are paused; else they are resumed
--   lasts (ms)   for how long; 0 is until somebody resumes
--   who
--   why
--   order        what the audit keeps of it besides the time: the rest of a JSON object, from its first comma on
--   kept (n)     how many orders the audit keeps
-- Reply  code now
--   paused | resumed
--   same     they were not paused: nothing was written

-- include lib/values.lua
-- include lib/limits.lua
-- include lib/date.lua

if not stop and not paused_for(read_limits()) then return {'same', now} end

-- 1. May all of it be written? An order is in force and in the audit, or neither: so each command is tried on each key in a way
-- that changes nothing.
local stored = redis.call('HGET', limits_key, 'paused_until')
redis.call('LTRIM', audit_key, 0, -1)
redis.call('HDEL', limits_key, '')
redis.call('HSET', limits_key, 'paused_until', stored or '0')
if not stored then redis.call('HDEL', limits_key, 'paused_until') end

-- 2. It is written, the audit first: of what is there nothing but that can fail.
redis.call('LPUSH', audit_key, '{"time":"' .. date(now) .. '"' .. order)
redis.call('LTRIM', audit_key, 0, kept - 1)
if stop then
  redis.call('HSET', limits_key, 'paused_until', lasts > 0 and now + lasts or endless, 'paused_at', now,
    'paused_by', who, 'paused_why', why)
else
  redis.call('HSET', limits_key, 'paused_until', now) -- not deleted: from then on the first in each line has its time to be claimed for
  redis.call('HDEL', limits_key, 'paused_at', 'paused_by', 'paused_why')
end
return {stop and 'paused' or 'resumed', now}

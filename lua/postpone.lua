-- postpone: the limit source has failed: note why, and until when no pod may ask it.
--
-- KEYS  limits
-- ARGV
--   wait (ms)  for how long, from now; 0 is not at all
--   trouble    why, for people
-- Reply  code ask_after

-- include lib/values.lua

local after = tonumber(redis.call('HGET', limits_key, 'ask_after') or '0') or 0
if wait > 0 then after = math.max(after, now + wait) end
redis.call('HSET', limits_key, 'source_error', trouble, 'ask_after', after)
return {'ok', after}

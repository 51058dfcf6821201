-- remember: a value that the servers of this queue keep for each other.
--
-- KEYS  value
-- ARGV
--   value           '' only asks
--   ttl (ms)        how long it is kept from when it was first set; 0 is for ever
--   replace (flag)  this one takes the place of the first, which stays else
-- Reply  value ttl   in force, or '', and how long it is kept yet (ms; -1 for ever, -2 without one)

local known, left = redis.call('GET', value_key), redis.call('PTTL', value_key)
if value ~= '' and (not known or replace) then
  known = value
  if left < 0 then left = ttl == 0 and -1 or ttl end
  redis.call('SET', value_key, value)
  if left >= 0 then redis.call('PEXPIRE', value_key, math.max(left, 1)) end
end
return {known or '', left}

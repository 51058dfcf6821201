-- remember: a value that the servers of this queue keep for each other.
--
-- KEYS  1 the value's
-- ARGV  1 value; '' only asks  2 how long it is kept from when it was first set (ms); 0 is for ever
--       3 'first' if the first value stays, 'last' if this one takes its place
-- Reply {value in force, or '', how long it is kept yet (ms; -1 for ever, -2 without one)}

local value_key = KEYS[1]
local value, ttl, which = ARGV[1], ARGV[2], ARGV[3]

local known, left = redis.call('GET', value_key), redis.call('PTTL', value_key)
if value ~= '' and (not known or which == 'last') then
  known = value
  if left < 0 then left = ttl == '0' and -1 or tonumber(ttl) end
  redis.call('SET', value_key, value)
  if left >= 0 then redis.call('PEXPIRE', value_key, math.max(left, 1)) end
end
return {known or '', left}

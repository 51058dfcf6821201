-- sight: what proxies see of shards, kept for people, and whether Discord refuses sessions in numbers: a storm.
--
-- KEYS  sights storm
-- ARGV
--   refused (n)     sessions that Discord has refused since this pod's last call
--   identified (n)  identifies that have left since then
--   many (n)        so many refused in a minute are a storm
--   lasts (ms)      for how long after the last refused one it goes on
--   keep (ms)       for how long sights are kept after the last of them came
--   list (flag)     whether to return all sights
--   each shard text
-- Reply  now refused identified since sights
--   both within the last minute, of all pods; since: when the storm began, 0 without one; sights (shard, text, ...)

-- include lib/values.lua

redis.call('HLEN', storm_key) -- of a wrong type it ends the call while nothing has changed
for i = each_arg, #ARGV, 2 do redis.call('HSET', sights_key, ARGV[i], ARGV[i + 1]) end
if #ARGV >= each_arg then redis.call('PEXPIRE', sights_key, keep) end

-- The last minute is counted in parts of 10 s.
local part, oldest = math.floor(now / 10000), math.floor(now / 10000) - 5
if refused > 0 then
  redis.call('HINCRBY', storm_key, 'refused:' .. part, refused)
  redis.call('HSET', storm_key, 'last', now)
end
if identified > 0 then redis.call('HINCRBY', storm_key, 'identified:' .. part, identified) end

local sums, since, last = {refused = 0, identified = 0}, 0, 0
local known = redis.call('HGETALL', storm_key)
for i = 1, #known, 2 do
  local what, at = string.match(known[i], '^(%l+):(%d+)$')
  local n = whole(known[i + 1]) or 0
  if known[i] == 'since' then since = n
  elseif known[i] == 'last' then last = n
  elseif not sums[what] or at + 0 < oldest then redis.call('HDEL', storm_key, known[i])
  else sums[what] = sums[what] + n end
end

if since > 0 and now - last > lasts then
  since = 0
  redis.call('HDEL', storm_key, 'since')
end
if since == 0 and sums.refused >= many then
  since = now
  redis.call('HSET', storm_key, 'since', since)
end
if refused + identified > 0 then redis.call('PEXPIRE', storm_key, math.max(lasts, 60000) + 10000) end
return {now, sums.refused, sums.identified, since, list and redis.call('HGETALL', sights_key) or {}}

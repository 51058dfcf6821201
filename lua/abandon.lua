-- abandon: tickets leave. Places are given up; a slot and its unit go back where no IDENTIFY was sent.
--
-- KEYS  1 slot  2 remaining  3 queue  4 limits  5 spent  6 opens  7 pods  8... paid:<ticket>
-- ARGV  1 bucket  2 TTL of paid (ms)  3 the pod, if it leaves with them, or ''  4... tickets
-- Reply {'left', how many units went back}

local limits = redis.call('HMGET', KEYS[4], 'epoch', 'reset_at', 'total')
local slot, left = redis.call('GET', KEYS[1]), tonumber(redis.call('GET', KEYS[2]))
local granted = 'granted ' .. (limits[1] or '') .. ' ' .. (limits[2] or '') -- in this period
local units = 0

for i = 4, #ARGV do
  local paid = redis.call('GET', KEYS[i + 4])
  redis.call('ZREM', KEYS[3], ARGV[i])
  if paid ~= 'identified' then
    redis.call('SET', KEYS[i + 4], 'left', 'PX', ARGV[2])
    if paid == granted and left and left + units < (tonumber(limits[3]) or 0) then
      redis.call('INCR', KEYS[2])
      redis.call('HINCRBY', KEYS[5], tostring(tonumber(string.match(ARGV[i], '^%d+'))), -1)
      units = units + 1
    end
    if slot == ARGV[i] or slot == ARGV[i] .. ' permit' then
      redis.call('DEL', KEYS[1])
      redis.call('HDEL', KEYS[6], ARGV[1])
    end
  end
end
if ARGV[3] ~= '' then redis.call('ZREM', KEYS[7], ARGV[3]) end
return {'left', units}

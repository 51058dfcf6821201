-- abandon: tickets leave. Places are given up; a slot and its unit go back where no IDENTIFY was sent.
--
-- KEYS  1 slot  2 remaining  3 queue  4 limits  5 spent  6 opens  7 pods  8... paid:<ticket>
-- ARGV  1 bucket  2 TTL of paid (ms); 0 if only places are given up, of tickets whose fate is not known
--       3 the pod, if it leaves with them, or ''  4... tickets
-- Reply {'left', how many units went back}

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function whole(v) return v and #v < 16 and string.match(v, '^%-?%d+$') and tonumber(v) end

local limits = redis.call('HMGET', KEYS[4], 'epoch', 'total')
local slot, left, counted = redis.call('GET', KEYS[1]), whole(redis.call('GET', KEYS[2])), redis.call('HLEN', KEYS[5])
local total, units = whole(limits[2]) or 0, 0

for i = 4, #ARGV do
  local paid = redis.call('GET', KEYS[i + 4])
  redis.call('ZREM', KEYS[3], ARGV[i])
  if paid ~= 'identified' and ARGV[2] ~= '0' then
    redis.call('SET', KEYS[i + 4], 'left', 'PX', ARGV[2])
    local epoch, reset = string.match(paid or '', '^granted (%S+) (%d+)$')
    if epoch == limits[1] and tonumber(reset) > now and left and left + units < total then -- of a period that lasts
      redis.call('INCR', KEYS[2])
      if counted > 0 then redis.call('HINCRBY', KEYS[5], tostring(tonumber(string.match(ARGV[i], '^%d+'))), -1) end
      units = units + 1
    end
    if slot == ARGV[i] or slot == ARGV[i] .. ' permit' then
      redis.call('DEL', KEYS[1])
      redis.call('HSET', KEYS[6], ARGV[1], string.format('%.0f', now))
    end
  end
end
if ARGV[3] ~= '' then redis.call('ZREM', KEYS[7], ARGV[3]) end
return {'left', units}

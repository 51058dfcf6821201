-- abandon: tickets leave. Places are given up; a slot and its unit go back where no IDENTIFY was sent.
--
-- KEYS  1 slot  2 remaining  3 queue  4 limits  5 spent  6 opens  7 pods  8... paid:<ticket>
-- ARGV  1 bucket  2 TTL of paid (ms); 0 if only places are given up, of tickets whose fate is not known; -1 if their
--       wait may go on with other tickets: what has no slot may have been granted to one of those since
--       3 the pod, if it leaves with them, or ''  4... tickets
-- Reply {'left', how many units went back}

local slot_key, remaining_key, queue_key, limits_key, spent_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local opens_key, pods_key = KEYS[6], KEYS[7]
local bucket, paid_ttl, leaving_pod = ARGV[1], ARGV[2], ARGV[3]

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function whole(v) return v and #v < 16 and string.match(v, '^%-?%d+$') and tonumber(v) end

local limits = redis.call('HMGET', limits_key, 'epoch', 'total')
local slot, left, counted = redis.call('GET', slot_key), whole(redis.call('GET', remaining_key)), redis.call('HLEN', spent_key)
local total, units = whole(limits[2]) or 0, 0

for i = 4, #ARGV do
  local ticket, paid_key = ARGV[i], KEYS[i + 4]
  local paid = redis.call('GET', paid_key)
  redis.call('ZREM', queue_key, ticket)
  local goes_on, mine = paid_ttl == '-1', slot == ticket or slot == ticket .. ' permit'
  if paid ~= 'identified' and paid_ttl ~= '0' and (mine or not goes_on) then
    if goes_on then redis.call('DEL', paid_key) else redis.call('SET', paid_key, 'left', 'PX', paid_ttl) end
    local epoch, reset = string.match(paid or '', '^granted (%S+) (%d+)$')
    if epoch == limits[1] and tonumber(reset) > now and left and left + units < total then -- of a period that lasts
      redis.call('INCR', remaining_key)
      if counted > 0 then redis.call('HINCRBY', spent_key, tostring(tonumber(string.match(ticket, '^%d+'))), -1) end
      units = units + 1
    end
    if mine then
      redis.call('DEL', slot_key)
      redis.call('HSET', opens_key, bucket, string.format('%.0f', now))
    end
  end
end
if leaving_pod ~= '' then redis.call('ZREM', pods_key, leaving_pod) end
return {'left', units}

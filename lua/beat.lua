-- beat: a pod that has waiters or permits lives; its new tickets take their places; it hears how its lines stand.
--
-- KEYS  1 limits  2 pods  3 remaining  4 opens  5... slot and queue of each line
-- ARGV  1 pod  2 its lease (ms)  3 max_concurrency  4 epoch  5 seq: as the pod knows them
--       6 how often the limit source is asked (ms; 0 without one)  7... bucket of each line, then the pod's first
--       ticket in each, then line (from 1), arrival (ms; '' is now) and ticket of each that takes its place
-- Reply {code, now, remaining, seq, reset, refresh, lapse, wait, ahead...}
--   ok | resync  as in claim, and so is reset; refresh is 1 if this pod shall ask the limit source
--   lapse        until the first lease of a pod that stands before this one ends (ms; '' for none)
--   wait, ahead  of each line: how long its bucket stays closed, to the microsecond, '' while a permit is out;
--                how many tickets stand before the pod's first, '' if that has lost its place

local clock = redis.call('TIME')
local exact = clock[1] * 1000 + clock[2] / 1000
local now = math.floor(exact)
local function ms(n) return string.format('%.0f', n) end
local function whole(v) return v and #v < 16 and string.match(v, '^%-?%d+$') and tonumber(v) end
local function decimal(v) return whole(string.match(v, '^(%-?%d+)%.?%d*$')) and tonumber(v) end

local limits = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'max_concurrency', 'refresh_at', 'reset_at', 'closed_until')
local left = redis.call('GET', KEYS[3])
local seq = tonumber(limits[2] or '0') or 0
local reset, closed = tonumber(limits[5] or '0') or 0, tonumber(limits[6] or '0') or 0
local known = left or reset > 0 and reset <= now -- a lost budget is none that is over
local code = known and limits[1] == ARGV[4] and seq >= tonumber(ARGV[5]) and limits[3] == ARGV[3] and 'ok' or 'resync'

redis.call('ZADD', KEYS[2], ms(now + ARGV[2]), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ms(now - 60000)) -- the long dead
local reply, lapse = {code, ms(now), left or '', ms(seq), ms(reset), 0, ''}, nil
if code ~= 'ok' then return reply end
if ARGV[6] ~= '0' and (tonumber(limits[4] or '0') or 0) <= now then
  reply[6] = 1 -- one pod at a time: the next, if this one dies over it
  redis.call('HSET', KEYS[1], 'refresh_at', ms(now + 10000))
end
local lines = (#KEYS - 4) / 2
for i = 7 + 2 * lines, #ARGV, 3 do
  local queue = 4 + 2 * ARGV[i]
  redis.call('ZADD', KEYS[queue], 'NX', ARGV[i + 1] == '' and ms(now) or ARGV[i + 1], ARGV[i + 2])
end
for line = 1, lines do
  local i, pod, lease = 4 + 2 * line, nil, nil
  for _ = 1, 16 do -- pass over the tickets of pods whose lease has ended
    local head = redis.call('ZRANGE', KEYS[i], 0, 0)[1]
    pod = head and string.match(head, '@(.+)#')
    lease = head and redis.call('ZSCORE', KEYS[2], pod or '')
    if not head or lease and tonumber(lease) >= now then break end
    redis.call('ZREM', KEYS[i], head)
  end
  if lease and pod ~= ARGV[1] then lapse = math.min(lapse or math.huge, lease - now) end
  local slot, wait = redis.call('GET', KEYS[i - 1]), ''
  if string.sub(slot or '', -7) ~= ' permit' then
    wait = (decimal(redis.call('HGET', KEYS[4], ARGV[6 + line]) or '0') or 0) - exact -- claim says if it is no number
    if slot and wait <= 0 then wait = redis.call('PTTL', KEYS[i - 1]) + 1 end -- it was set by hand
    wait = string.format('%.3f', math.max(wait, closed - exact, 0))
  end
  reply[6 + 2 * line] = wait
  reply[7 + 2 * line] = redis.call('ZRANK', KEYS[i], ARGV[6 + lines + line]) or ''
end
if lapse then reply[7] = ms(math.max(lapse, 0)) end
return reply

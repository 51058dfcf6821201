-- identified: IDENTIFY was sent under a permit; the window starts now.
--
-- KEYS  1 slot  2 limits  3 opens  4 paid:<ticket>
-- ARGV  1 ticket  2 bucket  3 window and margin (ms)  4 max_concurrency at the grant  5 TTL of paid (ms)
--       6 window (ms)
-- Reply {code, now, seq}
--   identified   the bucket is closed for the window
--   late         the permit had ended and its bucket may have another holder, or belong to other limits:
--                every bucket is closed for the window

local slot_key, limits_key, opens_key, paid_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local ticket, bucket, window, granted_buckets, paid_ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local own_window = ARGV[6]

local clock = redis.call('TIME')
local exact = clock[1] * 1000 + clock[2] / 1000
local now = math.floor(exact)
local function ms(n) return string.format('%.0f', n) end
local function whole(v) return v and #v < 16 and string.match(v, '^%-?%d+$') and tonumber(v) end

local limits = redis.call('HMGET', limits_key, 'epoch', 'seq', 'max_concurrency', 'closed_until', 'window')
local slot, paid = redis.call('GET', slot_key), redis.call('GET', paid_key)
local seq = whole(limits[2])
if paid == 'identified' then return {'identified', ms(now), ms(seq or 0)} end
local mine = not slot or slot == ticket or slot == ticket .. ' permit'
local code = 'identified'
window = window + math.max(0, tonumber(string.match(limits[5] or '', '^%d+') or '0') - own_window) -- other pods' is longer

redis.call('SET', paid_key, 'identified', 'PX', paid_ttl)
if mine then
  redis.call('SET', slot_key, ticket, 'PX', ms(window))
  redis.call('HSET', opens_key, bucket, string.format('%.3f', exact + window))
end
if limits[1] and seq then -- else claim reports them
  seq = redis.call('HINCRBY', limits_key, 'seq', 1)
  if not mine or limits[3] ~= granted_buckets then
    code = 'late'
    redis.call('HSET', limits_key, 'closed_until', ms(math.max(whole(limits[4]) or 0, now + window)))
  end
end
return {code, ms(now), ms(seq or 0)}

-- identified: IDENTIFY was sent under a permit; the window starts now.
--
-- KEYS  1 slot  2 limits  3 opens  4 paid:<ticket>
-- ARGV  1 ticket  2 bucket  3 window and margin (ms)  4 max_concurrency at the grant  5 TTL of paid (ms)
-- Reply {code, now, seq}
--   identified   the bucket is closed for the window
--   late         the permit had ended and its bucket may have another holder, or belong to other limits:
--                every bucket is closed for the window

local clock = redis.call('TIME')
local exact = clock[1] * 1000 + clock[2] / 1000
local now = math.floor(exact)
local function ms(n) return string.format('%.0f', n) end
local function whole(v) return v and #v < 16 and string.match(v, '^%-?%d+$') and tonumber(v) end

local limits = redis.call('HMGET', KEYS[2], 'epoch', 'seq', 'max_concurrency', 'closed_until')
local slot, paid = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[4])
local seq = whole(limits[2])
if paid == 'identified' then return {'identified', ms(now), ms(seq or 0)} end
local mine = not slot or slot == ARGV[1] or slot == ARGV[1] .. ' permit'
local code = 'identified'

redis.call('SET', KEYS[4], 'identified', 'PX', ARGV[5])
if mine then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
  redis.call('HSET', KEYS[3], ARGV[2], string.format('%.3f', exact + ARGV[3]))
end
if limits[1] and seq then -- else claim reports them
  seq = redis.call('HINCRBY', KEYS[2], 'seq', 1)
  if not mine or limits[3] ~= ARGV[4] then
    code = 'late'
    redis.call('HSET', KEYS[2], 'closed_until', ms(math.max(whole(limits[4]) or 0, now + ARGV[3])))
  end
end
return {code, ms(now), ms(seq or 0)}

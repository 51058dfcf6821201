-- sync: agree on limits and state: seed them where they are missing or lost, change them, or learn them.
--
-- KEYS  1 limits  2 remaining  3 opens  4... slot and queue of each bucket, as many as the pod knows buckets
-- ARGV  1 'meet' to learn (and seed, if need be) or 'update' to change
--       2 epoch  3 seq  4 remaining ('' if none)  5 reset_at: as the pod remembers them
--       6 epoch to use if state was lost  7 how long every bucket then stays closed (ms)
--       8 the same at the least, for new limits
--       9 when to ask the limit source next, from now (ms)
--      10 total ('' if the pod must ask its source first)  11 remaining  12 reset_after (ms)  13 max_concurrency
-- Reply {code, now, epoch, seq, max_concurrency, total, remaining, reset_at, closed_until}
--   ok | seeded | changed   what was done
--   ask      state is missing and this pod shall ask its limit source, then call again
--   busy     another pod is asking; try again in a moment
--   buckets  the pod knows another number of buckets: call again with the slots and queues of this one
-- Error BADVALUE <key>: a value was edited to something that cannot be used; update repairs it.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function ms(n) return string.format('%.0f', n) end
local function whole(v) return v and #v < 16 and string.match(v, '^%-?%d+$') and tonumber(v) end

local f = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'max_concurrency', 'total', 'reset_at', 'closed_until', 'ask_at')
local seq, buckets, total = whole(f[2]), whole(f[3]), whole(f[4])
local reset, closed, ask = whole(f[5] or '0'), whole(f[6] or '0'), whole(f[7] or '0') or 0
local text, ttl = redis.call('GET', KEYS[2]), redis.call('PTTL', KEYS[2])
local left = whole(text)
local sane = seq and reset and closed and buckets and buckets >= 1 and buckets <= 4096 and total and total >= 0
local update, given = ARGV[1] == 'update', ARGV[10] ~= ''
if f[1] and not sane and not update then return redis.error_reply('BADVALUE ' .. KEYS[1]) end
if text and not left and not update then return redis.error_reply('BADVALUE ' .. KEYS[2]) end
local over = sane and reset > 0 and reset <= now
local lost = not f[1] or not sane or not (left or over) or f[1] == ARGV[2] and seq < tonumber(ARGV[3])
local epoch, code = f[1], 'ok'
local mine, mine_reset = tonumber(ARGV[4]), tonumber(ARGV[5])
if not mine or mine_reset <= now then mine = nil end -- of a period that is over

if lost and not given then
  if ask > now then return {'busy', ms(now), '', '0', '0', '0', '0', '0', '0'} end
  redis.call('HSET', KEYS[1], 'ask_at', ms(now + 3000)) -- then another one is asked: this one may be dead
  return {'ask', ms(now), '', '0', '0', '0', '0', '0', '0'}
end
if update and not lost and buckets ~= (#KEYS - 3) / 2 and tostring(buckets) ~= ARGV[13] then
  return {'buckets', ms(now), epoch, ms(seq), ms(buckets), ms(total), ms(left or total), ms(reset), ms(closed)}
end

local half = 43200000 -- of a period: resets that are further apart are of two periods
local function lower(to, until_) -- what is left, never raised within a period
  if left and reset > 0 and until_ > reset + half then return end -- Discord has begun it, and ours is about to end
  left = math.min(left or to, to)
  local sooner = not lost and until_ > 0 and until_ + half < reset -- figures of the last period that come late, or Discord knows better
  reset = sooner and until_ or math.max(reset, until_)
end
local given_left, given_reset = tonumber(ARGV[11]), 0
if given and given_left < tonumber(ARGV[10]) then given_reset = now + ARGV[12] end
if lost then
  code, epoch, seq = 'seeded', ARGV[6], math.max(seq or 0, tonumber(ARGV[3]))
  if over or not sane then reset = 0 end
  if over then left = nil end -- else it is the lowest known, also where limits are missing
  if left and ttl > 0 then reset = math.max(reset, now + ttl) end
  closed = math.max(sane and closed or 0, tonumber(ARGV[7]) > 0 and now + ARGV[7] or 0)
  lower(given_left, given_reset)
elseif update then
  code, seq = 'changed', seq + 1
  if over then left, reset = given_left, given_reset else lower(given_left, given_reset) end
end
if mine and reset <= mine_reset + half and (lost or f[1] ~= ARGV[2]) and (not left or mine < left) then
  lower(mine, mine_reset)
  code = code == 'ok' and 'changed' or code
end
if lost or update then
  if not lost and buckets ~= tonumber(ARGV[13]) then -- the waiting take their places in the new lines
    closed = math.max(closed, now + ARGV[8])
    for i = 4, #KEYS, 2 do -- until the windows and leases of the old ones are over
      local opens = redis.call('HGET', KEYS[3], ms(i / 2 - 2))
      closed = math.max(closed, now + redis.call('PTTL', KEYS[i]), tonumber(opens or '0') or 0)
      redis.call('DEL', KEYS[i + 1])
    end
  end
  total, buckets = tonumber(ARGV[10]), tonumber(ARGV[13])
  left = math.min(left, total)
end
if code ~= 'ok' then
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'seq', ms(seq), 'max_concurrency', ms(buckets), 'total', ms(total),
    'reset_at', ms(reset), 'closed_until', ms(math.ceil(closed)))
  if lost or update then redis.call('HSET', KEYS[1], 'refresh_at', ms(now + ARGV[9])) end
  redis.call('HDEL', KEYS[1], 'ask_at')
  redis.call('SET', KEYS[2], ms(left))
  if reset > now then redis.call('PEXPIRE', KEYS[2], ms(reset - now)) end
end
return {code, ms(now), epoch, ms(seq), ms(buckets), ms(total), ms(over and code == 'ok' and total or left), ms(reset), ms(closed)}

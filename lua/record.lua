-- record: what this pod granted in minutes that are over, added to what others did. A day of it is kept, for people.
--
-- KEYS  history recorded limits remaining
-- ARGV
--   keep (ms)    for how long after the last minute
--   replay (ms)  for how long a call of this pod may come again
--   each number ago counts
--     of the pod's minutes, the oldest first: number rises, so that what comes again counts once; ago (ms) is when it was;
--     counts are 'granted=12 returned=1 21=3 30=9': the last are how many waits were of a class (gatewayqueue.Waits)
-- Reply  now

-- include lib/values.lua

-- plus adds counts to others, in the order in which they came.
local function plus(text, more)
  local names, sums = {}, {}
  for name, n in string.gmatch(text .. ' ' .. more, '(%w+)=(%d+)') do
    if not sums[name] then names[#names + 1] = name end
    sums[name] = (sums[name] or 0) + n
  end
  for i, name in ipairs(names) do names[i] = name .. '=' .. sums[name] end
  return table.concat(names, ' ')
end

local known = redis.call('HMGET', limits_key, 'total', 'reset_at')
local total, reset, left = whole(known[1]), whole(known[2]) or 0, whole(redis.call('GET', remaining_key))
if not left and reset > 0 and reset <= now then left = total end -- the period is over, and the next one full

local minute, told = math.floor(now / 60000), whole(redis.call('GET', recorded_key)) or 0
for i = each_arg, #ARGV, 3 do
  local number, at = ARGV[i] + 0, math.floor((now - ARGV[i + 1]) / 60000)
  if number > told and minute - at < 1440 then
    told = number
    -- A field is a minute of the day in UTC, and is used again a day later: so there are never more than 1440.
    local field = string.format('%02d:%02d', math.floor(at % 1440 / 60), at % 60)
    local of, budget, counts = string.match(redis.call('HGET', history_key, field) or '', '^(%d+) (%S+) (.*)$')
    if tonumber(of) ~= at then budget, counts = '-', '' end
    if left and minute - at <= 2 then budget = left .. '/' .. (total or left) end -- else it was told too late to know
    redis.call('HSET', history_key, field, at .. ' ' .. budget .. ' ' .. plus(counts, ARGV[i + 2]))
  end
end
redis.call('PEXPIRE', history_key, keep)
redis.call('SET', recorded_key, told, 'PX', replay)
return {now}

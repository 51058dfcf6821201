-- Discord's figures, and what becomes of ours by them (docs/design.md, "Figures").

-- read_figures: they contain neither the permits that are out, nor what was granted or identified since they were asked
-- for, or just before, since an IDENTIFY takes a while to be counted. full says that Discord has counted none at all.
local function read_figures(total, left, reset_after, asked)
  local permits = permits_out()
  local used = asked and #out_after(asked - 1000) - permits or 0
  return {
    total = total, left = math.max(left - permits - used, 0), full = left == total, used = used,
    reset = reset_after > 0 and now + reset_after or 0, asked = asked,
  }
end

-- by_table returns what is left and the reset, by the table of docs/design.md, and whether another period is in force.
local function by_table(limits, left, theirs, period)
  local ours, lower = is_over(limits) and 0 or limits.reset_at, math.min(left, theirs.left)
  local apart = theirs.reset > 0 and math.abs(theirs.reset - ours) > (theirs.asked and 60000 or 500)
  if ours == 0 then -- no period has begun
    return theirs.left, not theirs.full and (theirs.reset > 0 and theirs.reset or now + period) or 0, is_over(limits)
  elseif theirs.full and theirs.used == 0 and (theirs.reset == 0 and theirs.asked or apart and theirs.reset > ours) then
    return theirs.left, 0, true -- none has at Discord
  elseif theirs.full and apart or theirs.reset == 0 then
    return lower, ours, false
  elseif not theirs.full and (apart or not theirs.asked) then
    return theirs.left, theirs.reset, true
  end
  return lower, math.max(ours, theirs.reset), false
end

-- expiry is when a key expires, 0 if it never does.
local function expiry(some_key)
  local ttl = redis.call('PTTL', some_key)
  return ttl > 0 and now + ttl or 0
end

-- by_witnesses returns the same where state was lost: the least of what all witnesses say. These are the figures, what is
-- there of `remaining`, and the total less the sum of `spent`.
local function by_witnesses(limits, left, total, theirs, period)
  local reset, spent = not limits.bad and limits.reset_at or 0, redis.call('HGETALL', spent_key)
  if not limits.bad and is_over(limits) then left, spent, reset = nil, {}, 0 end
  if left then reset = math.max(reset, expiry(remaining_key)) end
  if #spent > 0 then reset = math.max(reset, expiry(spent_key)) end
  for i = 2, #spent, 2 do total = math.max(total - (whole(spent[i]) or 0), 0) end
  local ends = theirs.reset
  if not theirs.full and ends == 0 then ends = now + period end
  if theirs.asked and not theirs.full and reset > 0 and ends > reset + 60000 then
    return theirs.left, ends, true -- the others are witnesses of an older period
  end
  return math.min(left or total, total, theirs.left), math.max(reset, theirs.full and 0 or ends), false
end

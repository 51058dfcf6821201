-- The first ticket in a line that can be granted.

local holds = {}

-- on_hold says if a pod wants no grant for now; asked with a bucket too, if it does not claim for its tickets there.
local function on_hold(pod)
  if not holds[pod] then holds[pod] = tonumber(redis.call('ZSCORE', holds_key, pod) or '0') end
  return holds[pod] > now
end

-- first_able returns the first ticket of a line that can be granted, or that is this one, '' if there is more to
-- remove before it, false if the line has no such ticket; and how many it has passed by. A ticket that stands first in an open bucket
-- has 5 leases to be claimed for; open is for how long this bucket has been open, below 0 if it cannot be claimed.
local function first_able(queue_key, bucket, this, lease, open)
  local some_hold, patience = redis.call('ZCARD', holds_key) > 0, 5 * lease
  local passed, size = 0, 1
  while true do
    local some = redis.call('ZRANGE', queue_key, passed, passed + size - 1, 'WITHSCORES')
    if not some[1] then return false, passed end
    for i = 1, #some, 2 do
      local ticket, pod = some[i], pod_of(some[i])
      local gone = not lives(pod)
      if not gone and ticket ~= this and now - some[i + 1] >= patience then
        local silent = pod .. ':' .. bucket
        gone = open >= patience or some_hold and on_hold(silent)
        if gone then set_on_hold(silent, now + 60000) end -- until it claims here: its others hold nobody up for as long again
      end
      if gone then
        if room == 0 then return '', passed end
        room = room - 1
        redis.call('ZREM', queue_key, ticket)
      elseif ticket == this or passed >= 1024 or not (some_hold and on_hold(pod)) then
        return ticket, passed
      else
        passed = passed + 1
      end
    end
    size = 64
  end
end

-- place_of returns how many tickets stand before this one that can be granted, false if it has no place, and the first
-- that can be, as first_able does.
local function place_of(queue_key, bucket, this, lease, open)
  local head, passed = first_able(queue_key, bucket, this, lease, open)
  local rank = rank_of(queue_key, this)
  return rank and (head == this and 0 or math.max(rank - passed, 0)), head
end

-- The line of one bucket, for claim and beat, which know now. Nobody in it is held up by those who cannot, or will
-- not, be granted: tickets of pods whose lease has ended, tickets that nobody claims for, and those of pods that want
-- no grant for now. The first two are removed, the others are passed by and keep their places.

local room = 256 -- tickets that this call may yet remove: it must stay short
local leases, holds = {}, {}

local function pod_of(ticket) return string.match(ticket, '@(.+)#') or '' end

local function lives(pods_key, pod)
  if not leases[pod] then leases[pod] = tonumber(redis.call('ZSCORE', pods_key, pod) or '0') end
  return leases[pod] >= now
end

-- on_hold says if a pod wants no grant for now; asked with a bucket too, if it does not claim for its tickets there.
local function on_hold(holds_key, pod)
  if not holds[pod] then holds[pod] = tonumber(redis.call('ZSCORE', holds_key, pod) or '0') end
  return holds[pod] > now
end

local function set_on_hold(holds_key, pod, until_)
  if until_ - tonumber(redis.call('ZSCORE', holds_key, pod) or '0') > 1000 then -- else it is known well enough
    redis.call('ZADD', holds_key, until_, pod)
    redis.call('PEXPIRE', holds_key, math.max(redis.call('PTTL', holds_key), until_ - now))
  end
end

-- first_able returns the first ticket of a line that can be granted, or that is this one, '' if there is more to
-- remove before it, false if there is none; and how many it has passed by. patience is how long a ticket may stand
-- first in an open bucket without being claimed for, open for how long this one has been open, below 0 if it cannot
-- be claimed.
local function first_able(queue_key, pods_key, holds_key, bucket, this, patience, open)
  local some_hold = redis.call('ZCARD', holds_key) > 0
  local passed, size = 0, 1
  while true do
    local some = redis.call('ZRANGE', queue_key, passed, passed + size - 1, 'WITHSCORES')
    if not some[1] then return false, passed end
    for i = 1, #some, 2 do
      local ticket, pod = some[i], pod_of(some[i])
      local gone = not lives(pods_key, pod)
      if not gone and ticket ~= this and now - some[i + 1] >= patience then
        local silent = pod .. ':' .. bucket
        gone = open >= patience or some_hold and on_hold(holds_key, silent)
        if gone then set_on_hold(holds_key, silent, now + 60000) end -- until it claims here: its others hold nobody up for as long again
      end
      if gone then
        if room == 0 then return '', passed end
        room = room - 1
        redis.call('ZREM', queue_key, ticket)
      elseif ticket == this or passed >= 1024 or not (some_hold and on_hold(holds_key, pod)) then
        return ticket, passed
      else
        passed = passed + 1
      end
    end
    size = 64
  end
end

-- rank_of returns how many stand before a ticket, false if it has no place. Tickets of pods whose lease has ended
-- that stand right before it are removed, whoever stands further in front.
local function rank_of(queue_key, pods_key, ticket)
  local rank = redis.call('ZRANK', queue_key, ticket)
  while rank and rank > 0 and room > 0 do
    local before = redis.call('ZRANGE', queue_key, rank - 1, rank - 1)[1]
    if lives(pods_key, pod_of(before)) then break end
    redis.call('ZREM', queue_key, before)
    rank, room = rank - 1, room - 1
  end
  return rank
end

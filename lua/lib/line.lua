-- The line of one bucket, for claim and beat. Nobody in it is held up by tickets that cannot, or will not, be granted:
-- those of pods whose lease has ended, those that nobody claims for, and those of pods that want no grant for now. The
-- first two are removed, the others are passed by and keep their places.

local room = 256 -- tickets that this call may yet remove: it must stay short
local leases = {}

local function pod_of(ticket) return string.match(ticket, '@(.+)#') or '' end

local function renew_lease(pod, lease)
  leases[pod] = now + lease
  redis.call('ZADD', pods_key, now + lease, pod)
end

local function lives(pod)
  if not leases[pod] then leases[pod] = tonumber(redis.call('ZSCORE', pods_key, pod) or '0') end
  return leases[pod] >= now
end

local function set_on_hold(pod, until_)
  if until_ - tonumber(redis.call('ZSCORE', holds_key, pod) or '0') > 1000 then -- else it is known well enough
    redis.call('ZADD', holds_key, until_, pod)
    redis.call('PEXPIRE', holds_key, math.max(redis.call('PTTL', holds_key), until_ - now))
  end
end

-- enter_line gives a ticket its place, unless it has one; arrival is '' for now. It returns 1 if it had none.
local function enter_line(queue_key, arrival, ticket)
  return redis.call('ZADD', queue_key, 'NX', arrival == '' and now or arrival, ticket)
end

-- rank_of returns how many stand before a ticket, false if it has no place. Tickets of pods whose lease has ended
-- that stand right before it are removed, whatever stands further in front.
local function rank_of(queue_key, ticket)
  local rank = redis.call('ZRANK', queue_key, ticket)
  while rank and rank > 0 and room > 0 do
    local before = redis.call('ZRANGE', queue_key, rank - 1, rank - 1)[1]
    if lives(pod_of(before)) then break end
    redis.call('ZREM', queue_key, before)
    rank, room = rank - 1, room - 1
  end
  return rank
end

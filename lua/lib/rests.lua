-- A shard that identifies too often rests before the next, ever longer, from its last grant on that was used.

-- rest_of: until when the grant of a ticket lets its shard rest, with a space before it; '' if it does not, or if it is
-- not known. A later grant of the shard ends later, since it waits for this one's: so who set a rest is certain.
local function rest_of(paid) return string.match(paid or '', '^granted %S+ %d+( %d+)$') or '' end

-- begin_rest lets a shard rest from now on: a step, and twice as long each time, an hour at most.
local function begin_rest(shard, step, times, lasts)
  local rested = now + math.min(step * 2 ^ math.min(times, 30), 3600000)
  redis.call('HSET', rests_key, shard, rested)
  redis.call('PEXPIRE', rests_key, lasts)
  return rested
end

-- end_rest ends the rest of a grant that was not used.
local function end_rest(shard, paid)
  local rest = rest_of(paid)
  if rest ~= '' and ' ' .. (redis.call('HGET', rests_key, shard) or '') == rest then
    redis.call('HSET', rests_key, shard, now) -- not deleted: claim takes a missing one for an older pod's
  end
end

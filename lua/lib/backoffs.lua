-- A shard that identifies too often backs off before the next, longer each time, from its last grant that was used.

-- backoff_of: until when the grant of a ticket has its shard back off, with a space before it; '' if it does not, or if it is
-- not known. A later grant of the shard ends later, since it waits for this one's: so whose backoff it is is certain.
local function backoff_of(paid) return string.match(paid or '', '^granted %S+ %d+( %d+)$') or '' end

-- begin_backoff has a shard back off from now on: a step, and twice as long each time, an hour at most.
local function begin_backoff(shard, step, times, lasts)
  local ends = now + math.min(step * 2 ^ math.min(times, 30), 3600000)
  redis.call('HSET', backoffs_key, shard, ends)
  redis.call('PEXPIRE', backoffs_key, lasts)
  return ends
end

-- end_backoff ends the backoff of a grant that was not used.
local function end_backoff(shard, paid)
  local backoff = backoff_of(paid)
  if backoff ~= '' and ' ' .. (redis.call('HGET', backoffs_key, shard) or '') == backoff then
    redis.call('HSET', backoffs_key, shard, now) -- not deleted: claim takes a missing one for an older pod's
  end
end

-- A bucket is closed until a moment that has two witnesses, of which the later counts: `opens`, to the microsecond, and
-- the slot, which expires up to 1 ms later and can be deleted, or set, by hand.

local function is_of(slot, ticket) return slot == ticket or slot == ticket .. ' permit' end

-- read_bucket returns when a bucket opens and what its slot says, nil if `opens` is no time. permit is true while one is
-- out; endless if the slot has no end, and closes the bucket for a step; unseen if there is no witness.
local function read_bucket(slot_key, bucket, step)
  local slot, stored = redis.call('GET', slot_key), redis.call('HGET', opens_key, bucket)
  local opens = decimal(stored or '0')
  if not opens then return nil end
  local ttl = slot and redis.call('PTTL', slot_key) or -2
  if ttl == -1 then opens = math.max(opens, exact + step) end
  if ttl >= math.max(opens - exact + 1, 0) then opens = exact + ttl + 1 end -- it was set by hand
  return {
    holder = slot, opens = opens, endless = ttl == -1, unseen = not slot and not stored,
    permit = opens > exact and slot and string.sub(slot, -7) == ' permit',
  }
end

-- close_bucket gives the slot to somebody, for so long.
local function close_bucket(slot_key, bucket, holder, lasts)
  redis.call('SET', slot_key, holder, 'PX', lasts)
  redis.call('HSET', opens_key, bucket, string.format('%.3f', exact + lasts))
end

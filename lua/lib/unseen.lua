-- opens_by_out is when a bucket opens by what is in `out`, a step after its last grant could be used: 0 if there was none,
-- nil if nothing is there. It is noted in `opens`, since figures of Discord take out of `out` what they contain.
local function opens_by_out(bucket, buckets, step)
  local all = redis.call('ZRANGE', out_key, 0, -1, 'WITHSCORES')
  local opens = all[1] and 0
  for i = 1, #all, 2 do -- by rising times
    if shard_of(all[i]) % buckets == tonumber(bucket) then opens = all[i + 1] + step end
  end
  if opens and opens > exact then redis.call('HSET', opens_key, bucket, string.format('%.3f', opens)) end
  return opens
end

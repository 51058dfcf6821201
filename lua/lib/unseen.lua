-- opens_by_out is when a bucket opens by what is in `out`, a step after its last grant could be used; 0 if nothing of it is
-- there. It is noted in `opens`, since figures of Discord take out of `out` what they contain. evicted says that `opens` is gone
-- as a whole, and that `out` does not tell of all grants whose windows may not be over.
local function opens_by_out(bucket, buckets, step)
  local opens, all, forgot = 0, redis.call('ZRANGE', out_key, 0, -1, 'WITHSCORES'), whole(redis.call('HGET', limits_key, 'forgot')) or 0
  local evicted = redis.call('HLEN', opens_key) == 0 and (not all[1] or forgot + step > now)
  for i = 1, #all, 2 do -- by rising times
    if shard_of(all[i]) % buckets == tonumber(bucket) then opens = all[i + 1] + step end
  end
  if opens > exact then redis.call('HSET', opens_key, bucket, string.format('%.3f', opens)) end
  return opens, evicted
end

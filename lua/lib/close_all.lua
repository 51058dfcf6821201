-- close_all closes every bucket for so long.
local function close_all(limits, lasts)
  limits.closed_until = math.max(limits.closed_until or 0, now + lasts)
  redis.call('HSET', limits_key, 'closed_until', limits.closed_until)
end

-- distrust: a grant of before may be in use, and needs its window.
local function distrust(limits, server, hold)
  close_all(limits, hold)
  redis.call('HSET', limits_key, 'refresh_at', '0', 'run_id', server.run, 'master_replid', server.replid)
end

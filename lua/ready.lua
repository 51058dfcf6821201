-- ready: could this server grant? It reads one key, asks whether it may write, and changes nothing.
--
-- KEYS  limits pods
-- ARGV
-- Reply  epoch total max_concurrency   '' for what is missing
-- Error of a server that refuses writes: a replica, a full one, one without the replicas that it wants.

redis.call('ZADD', pods_key, 'XX', '0', '') -- no pod has this name
local limits = redis.call('HMGET', limits_key, 'epoch', 'total', 'max_concurrency')
return {limits[1] or '', limits[2] or '', limits[3] or ''}

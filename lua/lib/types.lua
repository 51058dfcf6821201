-- What claim writes before it reads it: a key of a wrong type ends the call while nothing has changed.
redis.call('ZCARD', queue_key)
redis.call('ZCARD', holds_key)
redis.call('ZCARD', out_key)
redis.call('ZCARD', pods_key)
redis.call('HLEN', backoffs_key)

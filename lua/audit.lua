-- audit: the orders that operators have given, the latest first.
--
-- KEYS  audit
-- ARGV
--   most (n)  how many at most
-- Reply  code orders   'ok', and each as one line of JSON

return {'ok', redis.call('LRANGE', audit_key, 0, most - 1)}

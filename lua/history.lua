-- history: what was granted in each minute of the last day. It writes nothing.
--
-- KEYS  history
-- ARGV
-- Reply  now minutes   minutes (time of day, text, ...): as record writes them, and maybe older ones

-- include lib/values.lua

return {now, redis.call('HGETALL', history_key)}

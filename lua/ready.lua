-- ready: could this server grant? It looks whether claims are refused, asks whether it may write, and changes nothing.
--
-- KEYS  limits remaining spent pods opens backoffs holds out
-- ARGV
-- Reply  epoch total max_concurrency   '' for what is missing
-- Error BADVALUE <key> <field>, as claim has it; or of a key of another type; or of a server that refuses writes

-- include lib/values.lua
-- include lib/limits.lua
-- include lib/period.lua
-- include lib/refused.lua

local limits, _ = look_at_all()
local err = refused[4] ~= '' and refused[4] or writes()
if err ~= '' then return redis.error_reply(err) end
if refused[1] ~= '' then return redis.error_reply('BADVALUE ' .. refused[1] .. ' ' .. refused[2]) end
return {limits.epoch or '', limits.epoch and tostring(limits.total) or '', limits.epoch and tostring(limits.max_concurrency) or ''}

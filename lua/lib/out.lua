-- What is paid by the period in force and in the key `out`: tickets, or the shards and waits of those that are one of
-- several for a wait. Its score is until when it may identify, and once it has, when that was said. Those of Wait have
-- '/wait' behind them.

local function out_of(ticket)
  local wait = string.match(ticket, '#%d+~(.-)~?$')
  return wait and string.match(ticket, '^%d+') .. '~' .. wait or ticket
end
local function shard_of(ticket) return tostring(tonumber(string.match(ticket, '^%d+') or '0')) end

-- out_after: what is in `out` that may have identified after a moment, and the last moment up to then of the others.
local function out_after(moment)
  local found, last, all = {}, 0, redis.call('ZRANGE', out_key, 0, -1, 'WITHSCORES')
  for i = 1, #all, 2 do
    local at = tonumber(all[i + 1])
    if at > moment then found[#found + 1] = all[i] else last = math.max(last, at) end
  end
  return found, last
end

-- permits_out: how many permits may yet be identified.
local function permits_out()
  local n = 0
  for _, entry in ipairs((out_after(now))) do n = n + (string.sub(entry, -5) == '/wait' and 0 or 1) end
  return n
end

local function put_out(entry, until_, period)
  redis.call('ZADD', out_key, until_, entry)
  redis.call('PEXPIRE', out_key, 7 * period) -- a permit that lapses may begin a period, at whichever call comes next
end

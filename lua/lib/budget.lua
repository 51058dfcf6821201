-- The budget, for every script that spends of it. What is in `out` is paid by the period in force: tickets, or the
-- shards and waits of those that are one of several for a wait. Its score is until when it may identify, and once it
-- has, when that was said. Those of Wait have '/wait' behind them. Only a period's first IDENTIFY makes a reset; limits has
-- 'first' while that is not certain: whose Wait it was, or '?' where a permit lapsed that may have been used.

local function out_of(ticket)
  local wait = string.match(ticket, '#%d+~(.-)~?$')
  return wait and string.match(ticket, '^%d+') .. '~' .. wait or ticket
end
local function shard_of(ticket) return tostring(tonumber(string.match(ticket, '^%d+') or '0')) end

-- until_after: tickets of `out` that may have identified after a moment, and the last moment up to then of the others.
local function until_after(out_key, moment)
  local found, last, all = {}, 0, redis.call('ZRANGE', out_key, 0, -1, 'WITHSCORES')
  for i = 1, #all, 2 do
    local at = tonumber(all[i + 1])
    if at > moment then found[#found + 1] = all[i] else last = math.max(last, at) end
  end
  return found, last
end

-- permits_out: how many permits may yet be identified.
local function permits_out(out_key, now)
  local n = 0
  for _, ticket in ipairs((until_after(out_key, now))) do n = n + (string.sub(ticket, -5) == '/wait' and 0 or 1) end
  return n
end

-- charged: whether a ticket's unit is one of the period in force, where `out` does not say so.
local function charged(paid, epoch, era, now)
  local of, which = string.match(paid or '', '^%l+ (%S+) (%d+)')
  return of == epoch and (which == era or tonumber(which) > now) -- a former version wrote the reset
end

-- in_spent: whether `spent` has the unit of a ticket that is not charged: Discord's figure was below ours since, and
-- `remaining` took it over. `counted` is the first of the eras that `spent` counts, none if that is only the one in force.
local function in_spent(spent_key, ticket, paid, epoch, era, counted)
  local of, which = string.match(paid or '', '^%l+ (%S+) (%d+)')
  return of == epoch and whole(counted) and tonumber(which) >= tonumber(counted) and tonumber(which) <= tonumber(era)
    and (whole(redis.call('HGET', spent_key, shard_of(ticket))) or 0) > 0
end

-- rest_of: until when the grant of a ticket lets its shard rest, with a space before it; '' if it does not, or if it is
-- not known. A later grant of the shard ends later, since it waits for this one's: so who set a rest is certain.
local function rest_of(paid) return string.match(paid or '', '^granted %S+ %d+( %d+)$') or '' end

-- announced: how often it was said, and executed, that a ticket's IDENTIFY is about to leave; false for never.
local function announced(paid) return tonumber(string.match(paid or '', '^announced %S+ %d+ (%d+)$') or '') or false end

-- over_with: the ticket was settled, or its IDENTIFY announced: nothing is granted to it, and no permit renewed.
local function over_with(paid) return paid == 'left' or paid == 'identified' or announced(paid) end

-- recount: another period is in force, and has paid for these tickets alone.
local function recount(limits_key, spent_key, tickets)
  redis.call('DEL', spent_key)
  for _, ticket in ipairs(tickets) do redis.call('HINCRBY', spent_key, shard_of(ticket), 1) end
  redis.call('HDEL', limits_key, 'first', 'counted')
end

-- asks_first: a period is over, and before anything is granted of the next the limit source is asked, unless whoever
-- answers there wants to be left alone.
local function asks_first(over, asks, ask_after, now) return over and asks and (whole(ask_after) or 0) <= now end

-- turn: the period is over. The next is full but for those that may identify in it though they were granted before.
-- Discord's may have ended some time before our reset: reset less `slack`, which is `ended` here.
local function turn(limits_key, remaining_key, spent_key, out_key, total, reset, ended)
  local carried = until_after(out_key, ended)
  local left = math.max(total - #carried, 0)
  redis.call('ZREMRANGEBYSCORE', out_key, '-inf', ended)
  recount(limits_key, spent_key, carried)
  redis.call('SET', remaining_key, left)
  redis.call('HSET', limits_key, 'reset_at', '0', 'since', reset)
  return left, redis.call('HINCRBY', limits_key, 'period', 1)
end

-- begin: the period's reset is known, but for so much that it may be sooner at Discord; `remaining` and `spent` end
-- with it.
local function begin(limits_key, remaining_key, spent_key, reset, slack, now)
  redis.call('HSET', limits_key, 'reset_at', reset, 'since', now)
  if tonumber(slack) > 0 then redis.call('HSET', limits_key, 'slack', slack) else redis.call('HDEL', limits_key, 'slack') end
  redis.call('PEXPIRE', remaining_key, math.max(reset - now, 1))
  redis.call('PEXPIRE', spent_key, math.max(reset - now, 1))
end

-- What tickets have paid: the units of the budget.

-- charged: whether a ticket's unit is one of the period in force, where `out` does not say so.
local function charged(limits, paid)
  local of, which = string.match(paid or '', '^%l+ (%S+) (%d+)')
  return of and of == limits.epoch and (which == limits.period or tonumber(which) > now) -- a former version wrote the reset
end

-- in_spent: whether `spent` has the unit of a ticket that is not charged: Discord's figure was below ours since, and
-- `remaining` took it over. `counted` is the first of the periods that `spent` counts, none if that is only the one in force.
local function in_spent(limits, ticket, paid)
  local of, which = string.match(paid or '', '^%l+ (%S+) (%d+)')
  return of and of == limits.epoch and whole(limits.counted) and tonumber(which) >= tonumber(limits.counted)
    and tonumber(which) <= tonumber(limits.period) and (whole(redis.call('HGET', spent_key, shard_of(ticket))) or 0) > 0
end

-- paid_in_force is what was paid for a ticket, unless another period has paid it, or a figure does not know of it.
local function paid_in_force(limits, paid, entry)
  local usable_until = paid and tonumber(redis.call('ZSCORE', out_key, entry) or '')
  if is_over(limits) then return usable_until and usable_until > end_of(limits) and paid end
  return (usable_until or charged(limits, paid)) and paid
end

-- pay takes a unit for a ticket that has not paid in this period. It returns what is left, and what its shard has spent.
local function pay(limits, ticket, paid, left, spent)
  if not in_spent(limits, ticket, paid) then spent = redis.call('HINCRBY', spent_key, shard_of(ticket), 1) end
  if limits.reset_at > now then
    redis.call('SET', remaining_key, left - 1, 'PX', limits.reset_at - now)
    redis.call('PEXPIRE', spent_key, limits.reset_at - now)
  else
    redis.call('SET', remaining_key, left - 1)
  end
  return left - 1, spent
end

-- pay_again: the period in force has not paid for a ticket: another has, or what had paid was lost.
local function pay_again(limits, ticket, paid, left)
  redis.call('SET', remaining_key, math.max(left - 1, 0), 'KEEPTTL')
  if not in_spent(limits, ticket, paid) then redis.call('HINCRBY', spent_key, shard_of(ticket), 1) end
end

-- announced: how often it was said, and executed, that a ticket's IDENTIFY is about to leave; false for never.
local function announced(paid) return tonumber(string.match(paid or '', '^announced %S+ %d+ (%d+)$') or '') or false end

-- settled: the ticket left or identified, or its IDENTIFY was announced: nothing is granted to it, and no permit renewed.
local function settled(paid) return paid and (paid == 'left' or paid == 'identified' or announced(paid)) end

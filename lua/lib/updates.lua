-- Updates by hand. Their figures are as of when they are executed, so each is executed once: a late copy would forget what
-- was granted since. `updates` has the names of the last 8.

-- read_updates returns them, and whether one of these is that of a name.
local function read_updates(name)
  local updates = redis.call('HGET', limits_key, 'updates') or ''
  return updates, string.find(' ' .. updates .. ' ', ' ' .. name .. ' ', 1, true) ~= nil
end

-- note_update puts one before them.
local function note_update(name, updates)
  local names = {name}
  for one in string.gmatch(updates, '%S+') do
    if #names < 8 and #one <= 64 then names[#names + 1] = one end
  end
  redis.call('HSET', limits_key, 'updates', table.concat(names, ' '))
end

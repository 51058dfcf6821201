-- What claims are refused for by what Redis holds, for those who only look: a value that cannot be used, by the rules that
-- claim reads it by, or a key of another type. The first is told.

local refused = {'', '', '', ''} -- key, field, what is there, and Redis's error if that is the matter

local function refuse(some_key, field, value, err)
  if refused[1] == '' then refused = {some_key, field, value or '', err or ''} end
end

-- seen passes on a reply of Redis; nil where that is an error, which is noted.
local function seen(some_key, reply)
  if type(reply) ~= 'table' or not reply.err then return reply end
  refuse(some_key, '', '', reply.err)
end

-- look_at_all notes what all claims are refused for. It returns the limits, nil where they cannot be read, and `remaining`.
local function look_at_all()
  seen(spent_key, redis.pcall('HLEN', spent_key))
  seen(opens_key, redis.pcall('HLEN', opens_key))
  seen(backoffs_key, redis.pcall('HLEN', backoffs_key))
  seen(holds_key, redis.pcall('ZCARD', holds_key))
  seen(pods_key, redis.pcall('ZCARD', pods_key))
  seen(out_key, redis.pcall('ZCARD', out_key))
  local left = seen(remaining_key, redis.pcall('GET', remaining_key))
  local limits = seen(limits_key, redis.pcall('HLEN', limits_key)) and read_limits()
  if limits and limits.epoch then
    if limits.bad then
      refuse(limits_key, limits.bad, redis.call('HGET', limits_key, limits.bad))
    elseif left and not whole(left) and not is_over(limits) then
      refuse(remaining_key, '', left)
    end
  end
  return limits, left
end

-- writes is the error of a server that refuses to write, '' of one that would: a replica, a full one, one without the
-- replicas that it wants. Nothing is written: no pod has this name.
local function writes()
  local reply = redis.pcall('ZADD', pods_key, 'XX', '0', '')
  return type(reply) == 'table' and reply.err or ''
end

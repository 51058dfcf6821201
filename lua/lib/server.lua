-- Who this server is. What a restart, a failover or a moved slot may have lost was granted by another process
-- (run_id), or before its data came from elsewhere (master_replid: also new when a first replica attaches, or a
-- backlog is freed). That is told in words:
--   same | new (none is stored) | process | replication | blind, or notice, and why scripts are not told
-- Where they are not, all that is left is the notice that the server did not know the script.
local function identity(stored_run, stored_replid, notice)
  local why
  local function info(...)
    local text = redis.pcall('INFO', ...)
    if type(text) == 'table' then why = text.err end
    return type(text) == 'string' and text or ''
  end
  local text = info('server', 'replication')
  if why then -- Redis 6 takes one section at a time
    why = nil
    text = info('server') .. info('replication')
  end
  local function field(name)
    local _, before = string.find(text, name .. ':', 1, true)
    if not before then why = why or 'INFO has no ' .. name end
    return before and string.match(text, '^%x*', before + 1) or ''
  end
  local run, replid, word = field('run_id'), field('master_replid'), 'same'
  if run ~= '' and run ~= stored_run then
    word = (stored_run or '') == '' and 'new' or 'process'
  elseif replid ~= '' and replid ~= stored_replid then
    word = 'replication'
  elseif why then
    word = (notice and 'notice ' or 'blind ') .. why
  end
  return {run = run, replid = replid, word = word, lost = word ~= 'same' and string.sub(word, 1, 5) ~= 'blind'}
end

-- What pods must agree on: the longest, or most, that any of them had in the last 5 minutes counts for all, so that a
-- roll-out which changes it is safe, and a change to less is in force once the last pod with more has gone for
-- longer than a permit lasts. A field holds the value and when it was heard last.
local function agree(limits_key, field, stored, own, now)
  local value, heard = string.match(stored or '', '^(%d+)@(%d+)$')
  value, heard, own = tonumber(value) or 0, tonumber(heard) or 0, tonumber(own)
  local longest = heard + 300000 > now and math.max(value, own) or own
  if longest ~= value or own == value and heard + 60000 <= now then
    redis.call('HSET', limits_key, field, longest .. '@' .. now)
  end
  return longest, value > 0 and longest > value
end

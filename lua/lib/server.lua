-- The identity of this server. What a restart, a failover or a moved slot may have lost was granted by another process
-- (run_id), or before its data came from elsewhere (master_replid: also new when a first replica attaches, or a
-- backlog is freed). That is told in words:
--   same | new (none is stored) | process | replication | blind, or notice, and why scripts are not told
-- Where they are not, all that is left is the notice that the server did not know the script.
local function identity(limits, notice)
  local text, why = redis.pcall('INFO', 'server', 'replication'), nil
  if type(text) == 'table' then -- Redis 6 takes one section at a time
    text = ''
    for _, section in ipairs({'server', 'replication'}) do
      local one = redis.pcall('INFO', section)
      if type(one) == 'table' then why = one.err else text = text .. one end
    end
  end
  local function field(name, stored)
    if stored and string.find(text, name .. ':' .. stored .. '\r', 1, true) then return stored end
    local _, before = string.find(text, name .. ':', 1, true)
    if not before then why = why or 'INFO has no ' .. name end
    return before and string.match(text, '^%x*', before + 1) or ''
  end
  local run, replid = field('run_id', limits.run_id), field('master_replid', limits.master_replid)
  local word = 'same'
  if run ~= '' and run ~= limits.run_id then
    word = (limits.run_id or '') == '' and 'new' or 'process'
  elseif replid ~= '' and replid ~= limits.master_replid then
    word = 'replication'
  elseif why then
    word = (notice and 'notice ' or 'blind ') .. why
  end
  return {run = run, replid = replid, word = word, lost = word ~= 'same' and string.sub(word, 1, 5) ~= 'blind'}
end

-- check_server: without closed_until the end of a hold is not known, as if the server had lost it. A notice does not count
-- while a queue is fresh: to a new server the script is new too.
local function check_server(limits, notice)
  local server = identity(limits, notice and (whole(limits.fresh_until) or 0) <= now)
  if not limits.hold_known and not server.lost then server.word, server.lost = 'edited', true end
  return server
end

-- The moment of this call on the server's clock, and values that people may have edited.

local clock = redis.call('TIME')
local exact = clock[1] * 1000 + clock[2] / 1000 -- in ms, to the microsecond
local now = math.floor(exact)

-- whole reads a whole number, decimal one that may have decimals; nil or false if a text is no such number, or is longer
-- than ours.
local function whole(v) return v and #v < 16 and string.find(v, '^%-?%d+$') and v + 0 end
local function decimal(v)
  local n = string.find(v, '^%-?%d+%.?%d*$') and v + 0
  return n and n < 1e15 and n
end

-- Times for people.

-- date writes a moment (ms since 1970) as RFC 3339 does, in UTC.
local function date(moment)
  local seconds = math.floor(moment / 1000)
  local days = math.floor(seconds / 86400) + 719468 -- since 0000-03-01, where years begin with March
  local era = math.floor(days / 146097) -- of 400 years
  local day = days - era * 146097
  local year = math.floor((day - math.floor(day / 1460) + math.floor(day / 36524) - math.floor(day / 146096)) / 365)
  day = day - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local month = math.floor((5 * day + 2) / 153) -- 0 is March
  local ahead = month < 10 and 0 or 1
  return string.format('%04d-%02d-%02dT%02d:%02d:%02dZ', year + 400 * era + ahead, month + 3 - 12 * ahead,
    day - math.floor((153 * month + 2) / 5) + 1, math.floor(seconds / 3600) % 24, math.floor(seconds / 60) % 60, seconds % 60)
end

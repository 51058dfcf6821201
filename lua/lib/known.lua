-- What a pod knows of the limits and state in force, as claim and beat are told.

-- up_to_date says that it is all there is to know. A total counts too: the reserve may be a part of it.
local function up_to_date(limits)
  return limits.epoch == known_epoch and (limits.seq or 0) >= known_seq and limits.max_concurrency == known_buckets
    and limits.total == known_total
end

package redisqueue

import (
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/pod"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

var (
	// ErrLimitMismatch is returned when WithLimit gave another max_concurrency
	// than the queue runs with: one of the two must be wrong, and with the
	// wrong one shards would be counted in the wrong buckets.
	ErrLimitMismatch = pod.ErrLimitMismatch

	// ErrNeverGrants is returned by Ready, and said once by the log, where the limits
	// in force allow no grant at all: not now, and not after the budget's reset.
	ErrNeverGrants = pod.ErrNeverGrants

	// ErrBadValue is returned when a value in Redis was edited to something
	// that cannot be used.
	ErrBadValue = wire.ErrBadValue

	// ErrUnexpectedReply is returned when a script answers what it cannot: the
	// server is not Redis, or something between rewrites replies.
	ErrUnexpectedReply = wire.ErrUnexpectedReply
)

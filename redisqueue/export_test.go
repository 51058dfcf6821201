package redisqueue

import (
	"context"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// What the tests reach inside for.
var (
	FormatTicket = wire.FormatTicket
	ParseTicket  = wire.ParseTicket
	Explain      = func(err error) error { return wire.Explain(err, wire.KeysOf("app")) }
	Returned     = func(err error) bool { return wire.ClassOf(err) == wire.Returned }
)

// Decode takes a reply as that of each script, and returns what each makes of
// it.
func Decode(answer any) []error {
	keys := wire.KeysOf("app")
	_, claim := wire.Claim{}.Decode(keys, answer)
	_, identified := wire.Identified{}.Decode(keys, answer)
	_, renew := wire.Renew{Permits: make([]wire.Renewal, 1)}.Decode(keys, answer)
	_, beat := wire.Beat{Lines: make([]wire.BeatLine, 3)}.Decode(keys, answer)
	_, sync := wire.Sync{Buckets: 2}.Decode(keys, answer)
	_, status := wire.Status{Buckets: 2}.Decode(keys, answer)
	_, abandon := wire.Abandon{Tickets: []string{"00001@a#1"}}.Decode(keys, answer)
	return []error{claim, identified, renew, abandon, beat, sync, status}
}

// Refreshed takes over what Discord has answered, asked just now.
func Refreshed(ctx context.Context, q *RedisQueue, limit gatewayqueue.SessionStartLimit) error {
	status, err := q.Status(ctx)
	if err != nil {
		return err
	}
	return q.update(ctx, wire.Report{SessionStartLimit: limit, Asked: status.Time.UnixMilli()})
}

// Observe has a queue hear an event.
func Observe(q *RedisQueue, e gatewayqueue.Event) { q.config.observe(e) }

// What a queue can do for servers: a type, so that no wrapper loses a part of
// it unnoticed.

package httpqueue

import (
	"context"
	"log/slog"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// SharedQueue is a queue that many servers share, so that none of them keeps
// what another one needs. *redisqueue.RedisQueue is one, and says what its
// methods do. A wrapper embeds the whole interface, or is no SharedQueue.
type SharedQueue interface {
	gatewayqueue.PermitQueue
	gatewayqueue.Statuser

	// Update puts a limit in force for all servers.
	Update(ctx context.Context, limit gatewayqueue.SessionStartLimit) error

	// WaitSince and AcquireSince are Wait and Acquire for a caller that comes
	// back, maybe to another server, and has the place that it had.
	WaitSince(ctx context.Context, shardID int, since time.Time, placed func(since time.Time) bool) error
	AcquireSince(ctx context.Context, shardID int, since time.Time, placed func(since time.Time) bool) (gatewayqueue.Permit, error)

	// Export and Import hand a permit over: any server renews and settles it.
	Export(permit gatewayqueue.Permit) (record string, err error)
	Import(record string) (gatewayqueue.Permit, error)
}

// sharedParts are the parts of a SharedQueue that no other queue has.
var sharedParts = []struct {
	name string
	has  func(any) bool
}{
	{"WaitSince", has[interface {
		WaitSince(context.Context, int, time.Time, func(time.Time) bool) error
	}]},
	{"AcquireSince", has[interface {
		AcquireSince(context.Context, int, time.Time, func(time.Time) bool) (gatewayqueue.Permit, error)
	}]},
	{"Export", has[interface {
		Export(gatewayqueue.Permit) (string, error)
	}]},
	{"Import", has[interface {
		Import(string) (gatewayqueue.Permit, error)
	}]},
}

func has[T any](queue any) bool { _, ok := queue.(T); return ok }

// sharedOf is the queue as a SharedQueue, or nil if it is none. One that has
// only some of the parts was one before it was wrapped: that is an error.
func sharedOf(queue gatewayqueue.PermitQueue) (SharedQueue, error) {
	if shared, ok := queue.(SharedQueue); ok {
		return shared, nil
	}
	parts, missing := 0, "Status or Update"
	for _, part := range sharedParts {
		if part.has(queue) {
			parts++
		} else {
			missing = part.name
		}
	}
	if parts == 0 {
		return nil, nil //nolint:nilnil // a queue of one process
	}
	return nil, &gatewayqueue.InvalidError{
		Field: "queue", Value: "a queue of many servers without " + missing, Want: "the whole of httpqueue.SharedQueue, or nothing of it",
	}
}

// announce says in the log what the handler can do, because an operator who
// runs two servers must know.
func (h *Handler) announce(log *slog.Logger) {
	if h.shared != nil {
		log.Info("the handler is stateless: any server of this queue renews and settles any permit, and a caller keeps its place at another one")
		return
	}
	_, status := h.queue.(gatewayqueue.Statuser)
	_, update := h.queue.(updater)
	log.Info("the handler keeps permits and places itself: only this server knows them", "status", status, "limits", update)
}

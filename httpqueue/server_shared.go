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
	gatewayqueue.StatusReader

	// Update puts a limit in force for all servers.
	Update(ctx context.Context, limit gatewayqueue.SessionStartLimit) error

	// WaitAs and AcquireAs are Wait and Acquire for a caller that comes back,
	// maybe to another server: it has the place that it had, and pays once.
	WaitAs(ctx context.Context, shardID int, visit gatewayqueue.Visit) error
	AcquireAs(ctx context.Context, shardID int, visit gatewayqueue.Visit) (gatewayqueue.Permit, error)

	// Export and Import hand a permit over: any server renews and settles it.
	Export(permit gatewayqueue.Permit) (record string, err error)
	Import(record string) (gatewayqueue.Permit, error)

	// Remember keeps a value by its name for all servers.
	Remember(ctx context.Context, name, value string, keep time.Duration, replace bool) (inForce string, left time.Duration, err error)
}

// visited is a queue in which the calls of one wait are paid once.
type visited interface {
	WaitAs(ctx context.Context, shardID int, visit gatewayqueue.Visit) error
	AcquireAs(ctx context.Context, shardID int, visit gatewayqueue.Visit) (gatewayqueue.Permit, error)
}

// sharedParts are the parts of a SharedQueue that no other queue has.
var sharedParts = []struct {
	name string
	has  func(any) bool
}{
	{"Export", has[interface {
		Export(gatewayqueue.Permit) (string, error)
	}]},
	{"Import", has[interface {
		Import(string) (gatewayqueue.Permit, error)
	}]},
	{"Remember", has[notes]},
}

func has[T any](queue any) bool { _, ok := queue.(T); return ok }

// sharedOf is the queue as a SharedQueue, or nil if it is not one. One that has
// only some of the parts was one before it was wrapped: that is an error.
func sharedOf(queue gatewayqueue.PermitQueue) (SharedQueue, error) {
	if shared, ok := queue.(SharedQueue); ok {
		return shared, nil
	}
	parts, missing := 0, "WaitAs, AcquireAs, Status or Update"
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
	_, status := h.queue.(gatewayqueue.StatusReader)
	_, update := h.queue.(updater)
	log.Info("the handler keeps permits and places itself: only this server knows them", "status", status, "limits", update, "pays_once", h.visited != nil)
}

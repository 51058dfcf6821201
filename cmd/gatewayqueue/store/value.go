// What Redis holds that grants are refused for, and what to type.

package store

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// ExplainValue is Explain, and where Redis holds what the queue cannot use it says
// which key and value that is, and what to type. The queue that the error is of may be
// closed by then.
func (s *Store) ExplainValue(ctx context.Context, err error, app string) error {
	if err == nil || !errors.Is(err, redisqueue.ErrBadValue) && !strings.Contains(err.Error(), "WRONGTYPE") {
		return s.Explain(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	client := s.Impatient()
	defer client.Close() // It only looked.
	queue, failed := redisqueue.New(client, redisqueue.WithApp(app), redisqueue.WithLogger(slog.New(slog.DiscardHandler)))
	if failed != nil {
		return s.Explain(err)
	}
	defer queue.Close() // As above.
	status, failed := queue.Status(ctx)
	if failed != nil || status.Store.Error == "" {
		return s.Explain(err)
	}
	of := s.Located(status.Store)
	return &wrongValue{of.Error + ": type " + of.Cure, err}
}

// Located has redis-cli, where that is the cure, connect to this Redis.
func (s *Store) Located(of gatewayqueue.StoreStatus) gatewayqueue.StoreStatus {
	if command, is := strings.CutPrefix(of.Cure, "redis-cli "); is {
		of.Cure = "redis-cli -u " + s.String() + " " + command
	}
	return of
}

type wrongValue struct {
	text string
	err  error
}

func (e *wrongValue) Error() string { return e.text }
func (e *wrongValue) Unwrap() error { return e.err }

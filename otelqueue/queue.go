// Queues that are traced: one type for each set of methods that packages look for.

package otelqueue

import (
	"context"
	"io"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// What queues can do beside a PermitQueue. httpqueue, gatewayproxy and the
// program look for it.
type (
	visited interface {
		WaitAs(ctx context.Context, shardID int, visit gatewayqueue.Visit) error
		AcquireAs(ctx context.Context, shardID int, visit gatewayqueue.Visit) (gatewayqueue.Permit, error)
	}
	placed interface {
		AcquireSince(ctx context.Context, shardID int, since time.Time, placed func(since time.Time) bool) (gatewayqueue.Permit, error)
	}
	looked interface {
		gatewayqueue.StatusReader
		Update(ctx context.Context, limit gatewayqueue.SessionStartLimit) error
	}
	owned interface { // what the owner of the queue does with it
		gatewayqueue.Pauser
		io.Closer
		History(ctx context.Context) ([]gatewayqueue.Minute, error)
	}
	refreshed interface {
		Refresh(ctx context.Context, ask func(context.Context) (gatewayqueue.SessionStartLimit, error)) error
	}
	exporter interface {
		Export(permit gatewayqueue.Permit) (record string, err error)
	}
	importer interface {
		Import(record string) (gatewayqueue.Permit, error)
		Remember(ctx context.Context, name, value string, keep time.Duration, replace bool) (inForce string, left time.Duration, err error)
	}
	fleet interface { // of proxies, on one Redis
		TellSight(ctx context.Context, news gatewayqueue.SightNews) (gatewayqueue.Storm, error)
		Sights(ctx context.Context) (map[int]gatewayqueue.Sight, gatewayqueue.Storm, error)
		SetFloor(units int)
		AskSource(ctx context.Context) error
		Ready(ctx context.Context) error
	}
	waitsSince interface {
		WaitSince(ctx context.Context, shardID int, since time.Time, placed func(since time.Time) bool) error
	}
)

// New traces a queue. A *redisqueue.RedisQueue, *memqueue.Queue or
// *httpqueue.Client has all of its methods behind the result, so that
// httpqueue.NewHandler, gatewayproxy and the packages for bot libraries find what
// they look for; so has an httpqueue.SharedQueue all of that interface, and every
// permit what its queue gave it. Of any other queue there are Wait and Acquire
// alone. A permit that was imported has no span: it was exported by another
// process, and the HTTP requests about it have theirs.
//
// The queue stays the caller's, who closes it. The result may be used from any
// number of goroutines. A sampled wait takes tens of microseconds more, and its
// permit a timer.
func New(queue gatewayqueue.PermitQueue, opts ...Option) gatewayqueue.PermitQueue {
	t := newTracing(opts)
	waits := plain{t, queue}
	switch q := queue.(type) {
	case interface {
		shared
		placed
		waitsSince
		owned
		fleet
	}:
		return &redisQueue{sharedOf(waits, q), since{t, q}, sinceWait{t, q}, q, q}
	case shared:
		s := sharedOf(waits, q)
		return &s
	case interface {
		visited
		placed
		looked
		owned
		refreshed
	}:
		return &inMemory{waits, visits{t, q}, since{t, q}, q, q, q}
	case interface {
		looked
		owned
	}:
		return &client{waits, q, q}
	}
	return &waits
}

// plain is Wait and Acquire, of any queue.
type plain struct {
	t     *tracing
	queue gatewayqueue.PermitQueue
}

func (p *plain) Wait(ctx context.Context, shardID int) error {
	return p.t.wait(ctx, shardID, nil, func(ctx context.Context) error { return p.queue.Wait(ctx, shardID) })
}

func (p *plain) Acquire(ctx context.Context, shardID int) (gatewayqueue.Permit, error) {
	return p.t.acquire(ctx, shardID, nil, func(ctx context.Context) (gatewayqueue.Permit, error) { return p.queue.Acquire(ctx, shardID) })
}

// visits are the calls of callers that come and go.
type visits struct {
	t     *tracing
	queue visited
}

func (v visits) WaitAs(ctx context.Context, shardID int, visit gatewayqueue.Visit) error {
	return v.t.wait(ctx, shardID, &visit, func(ctx context.Context) error { return v.queue.WaitAs(ctx, shardID, visit) })
}

func (v visits) AcquireAs(ctx context.Context, shardID int, visit gatewayqueue.Visit) (gatewayqueue.Permit, error) {
	return v.t.acquire(ctx, shardID, &visit, func(ctx context.Context) (gatewayqueue.Permit, error) {
		return v.queue.AcquireAs(ctx, shardID, visit)
	})
}

type since struct {
	t     *tracing
	queue placed
}

func (s since) AcquireSince(ctx context.Context, shardID int, from time.Time, placed func(since time.Time) bool) (gatewayqueue.Permit, error) {
	visit := gatewayqueue.Visit{Placed: placed}
	return s.t.acquire(ctx, shardID, &visit, func(ctx context.Context) (gatewayqueue.Permit, error) {
		return s.queue.AcquireSince(ctx, shardID, from, visit.Placed)
	})
}

type sinceWait struct {
	t     *tracing
	queue waitsSince
}

func (s sinceWait) WaitSince(ctx context.Context, shardID int, from time.Time, placed func(since time.Time) bool) error {
	visit := gatewayqueue.Visit{Placed: placed}
	return s.t.wait(ctx, shardID, &visit, func(ctx context.Context) error { return s.queue.WaitSince(ctx, shardID, from, visit.Placed) })
}

// shared is what httpqueue calls a SharedQueue.
type shared interface {
	gatewayqueue.PermitQueue
	visited
	looked
	exporter
	importer
}

type sharedQueue struct {
	plain
	visits
	looked
	importer
	exporter exporter
}

func sharedOf(waits plain, q shared) sharedQueue {
	return sharedQueue{waits, visits{waits.t, q}, q, q, q}
}

// Export hands over the permit itself: a queue knows only its own.
func (s *sharedQueue) Export(permit gatewayqueue.Permit) (record string, err error) {
	traced, ok := permit.(interface{ export() gatewayqueue.Permit })
	if ok {
		permit = traced.export()
	}
	return s.exporter.Export(permit)
}

type redisQueue struct {
	sharedQueue
	since
	sinceWait
	owned
	fleet
}

type inMemory struct {
	plain
	visits
	since
	looked
	owned
	refreshed
}

type client struct {
	plain
	looked
	owned
}

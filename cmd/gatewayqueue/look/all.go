// All queues of a Redis.

package look

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

const (
	// mostQueues is how many queues of one Redis are looked at: each costs it two calls.
	mostQueues = 200

	// scanEvery is how often it is looked which queues there are, which walks all keys.
	scanEvery = 10 * time.Second
)

// Queue is one of several.
type Queue struct {
	App string
	Snapshot
	Err error // why it could not be read; the rest is empty then
}

// All is the queues of a Redis.
type All struct {
	redis  *store.Store
	client redis.UniversalClient
	queues map[string]*redisqueue.RedisQueue

	mu      sync.Mutex // held while it looks
	apps    []string
	scanned time.Time

	More int // queues that are not looked at, since there are more than 200
}

// OpenAll finds the queues of the Redis. It needs the right to SCAN.
func (f *Flags) OpenAll(ctx context.Context) (*All, error) {
	opened, err := store.Open(ctx, f.Redis.Redis)
	if err != nil {
		return nil, err
	}
	a := NewAll(opened)
	if err := a.scan(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	if len(a.apps) == 0 {
		return nil, errors.Join(fmt.Errorf("there is no queue in Redis at %s: is it the right server and database?", opened), a.Close())
	}
	return a, nil
}

// NewAll is OpenAll of a Redis that need not answer yet. It closes opened with itself.
func NewAll(opened *store.Store) *All {
	return &All{redis: opened, client: opened.Impatient(), queues: make(map[string]*redisqueue.RedisQueue)}
}

// From is what is asked, without secrets.
func (a *All) From() string { return a.redis.String() }

func (a *All) scan(ctx context.Context) error {
	apps, err := a.redis.Apps(ctx)
	if err != nil {
		return err
	}
	a.apps, a.More, a.scanned = apps[:min(len(apps), mostQueues)], max(0, len(apps)-mostQueues), time.Now()
	for _, app := range a.apps {
		a.open(app)
	}
	a.apps = slices.DeleteFunc(a.apps, func(app string) bool { return a.queues[app] == nil })
	return nil
}

// open makes the queue of an application, unless its name is invalid: nil then. The caller holds mu.
func (a *All) open(app string) *redisqueue.RedisQueue {
	if a.queues[app] == nil {
		queue, err := redisqueue.New(a.client, redisqueue.WithApp(app), redisqueue.WithLogger(slog.New(slog.DiscardHandler)))
		if err != nil {
			return nil
		}
		a.queues[app] = queue
	}
	return a.queues[app]
}

// Queue is that of an application; nil where Redis has none of that name. It asks Redis,
// whatever Look has shown: another server may have listed it.
func (a *All) Queue(ctx context.Context, app string) (*redisqueue.RedisQueue, error) {
	if !cli.IsName(app) {
		return nil, nil
	}
	if exists, err := a.redis.HasQueue(ctx, app); err != nil || !exists {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.open(app), nil
}

// Look takes a snapshot of each queue, one after the other: they are not of one
// moment.
func (a *All) Look(ctx context.Context) ([]Queue, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Since(a.scanned) >= scanEvery {
		if err := a.scan(ctx); err != nil {
			return nil, err
		}
	}
	var all []Queue
	for _, app := range a.apps {
		one := Queue{App: app}
		one.Status, one.Err = a.queues[app].Status(ctx)
		one.Store = a.redis.Located(one.Store)
		if one.Err != nil {
			one.Err = a.redis.Explain(one.Err)
			if ctx.Err() != nil {
				return nil, one.Err
			}
		} else if isNone(one.Status) { // it was there at the last scan
			continue
		} else if _, storm, err := a.queues[app].Sights(ctx); err == nil && !storm.Since.IsZero() {
			one.Storm = &storm
		}
		all = append(all, one)
	}
	return all, nil
}

// Close ends the connections.
func (a *All) Close() error {
	var errs []error
	for _, queue := range a.queues {
		errs = append(errs, queue.Close())
	}
	return errors.Join(append(errs, a.client.Close(), a.redis.Close())...)
}

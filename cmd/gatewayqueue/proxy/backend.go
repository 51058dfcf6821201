// The bots' queues: each token has its own, in memory or on the Redis that all share.

package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/server"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// queues are those of all bots that have come.
type queues struct {
	config  *config
	log     *slog.Logger
	metrics *metrics
	redis   *store.Store          // nil in memory
	probe   redis.UniversalClient // looks whether Redis answers, while there is no queue

	mu   sync.Mutex
	open map[*opened]struct{}
}

// opened is a queue, or one that waits for Discord's first answer.
type opened struct {
	ready func(context.Context) error // nil where a grant is possible, now or later
}

func openQueues(ctx context.Context, c *config, log *slog.Logger, m *metrics) (*queues, error) {
	q := &queues{config: c, log: log, metrics: m, open: make(map[*opened]struct{})}
	if c.Redis == "" {
		return q, nil
	}
	redis, err := store.Lazy(c.Redis)
	if err != nil {
		return nil, err
	}
	warn := func(message string, err error) { log.Warn(message, "error", cli.OneLine(err)) }
	if err := redis.Meet(ctx, redisqueue.DefaultApp, warn); err != nil {
		return nil, errors.Join(err, redis.Close())
	}
	q.redis, q.probe = redis, redis.Impatient()
	return q, nil
}

func (q *queues) close() error {
	if q.redis == nil {
		return nil
	}
	return errors.Join(q.probe.Close(), q.redis.Close())
}

// name is for the log.
func (q *queues) name() string {
	if q.redis == nil {
		return "in memory"
	}
	return q.redis.String()
}

// files are how many the queues may open.
func (q *queues) files() int {
	if q.redis == nil {
		return 0
	}
	const ofProbe = 2
	return q.redis.Connections() + ofProbe
}

// find is a [gatewayproxy.Queues]. Discord is asked about the token first, so that
// no bot with an invalid token stands in line, or becomes a name in Redis.
func (q *queues) find(ctx context.Context, bot gatewayproxy.Bot) (gatewayqueue.PermitQueue, error) {
	log := q.log.With("app", bot.App)
	discord := server.NewSource(bot.Token, q.config.limitsAPI(), log)
	if q.redis != nil {
		return q.onRedis(ctx, bot.App, discord, log)
	}
	return q.inMemory(ctx, bot.App, discord, log)
}

// add notes a queue that is open; remove has it forgotten.
func (q *queues) add(ready func(context.Context) error) (remove func()) {
	o := &opened{ready}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open[o] = struct{}{}
	return sync.OnceFunc(func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.open, o)
	})
}

// refused is what the proxy wants to hear of a token that Discord refuses.
func refused(err error) error { return fmt.Errorf("%w: %w", gatewayproxy.ErrToken, err) }

// --- Redis ----------------------------------------------------------------------

// onRedis is a queue that ends with what was begun for it.
type onRedis struct {
	*redisqueue.RedisQueue
	done func()
}

// Close implements [io.Closer].
func (o *onRedis) Close() error {
	defer o.done()
	return o.RedisQueue.Close()
}

// onRedis makes the queue of a token. Where Discord cannot be asked it goes by what is
// in Redis, as any pod does; where there is nothing, nothing is granted.
func (q *queues) onRedis(ctx context.Context, app string, discord *server.Source, log *slog.Logger) (gatewayqueue.PermitQueue, error) {
	_, err := discord.Once(ctx)
	switch {
	case errors.Is(err, redisqueue.ErrUnauthorized):
		return nil, refused(err)
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		log.Warn("Discord cannot be asked about a bot's token yet: its queue goes by what is in Redis", "error", err)
	}
	c := q.config
	watched, unwatch := q.metrics.queue(app)
	options := append(c.Options(c.Pod, c.Refresh, c.window, c.FreshStart),
		redisqueue.WithApp(app), redisqueue.WithLogger(q.log), redisqueue.WithObserver(watched.Observe), redisqueue.WithLimitSource(discord.Limits),
		redisqueue.WithMargin(c.grantMargin()), redisqueue.WithPermitMargin(c.Margin))
	queue, err := redisqueue.New(q.redis.Client, options...)
	if err != nil {
		unwatch()
		return nil, err
	}
	watched.Watch(&server.Snapshot{Queue: queue})
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	go discord.ComeBack(background, queue.AskSource)
	remove := q.add(func(ctx context.Context) error { return discord.Ready(queue.Ready(ctx)) })
	return &onRedis{queue, func() { remove(); stop(); unwatch() }}, nil
}

// grantMargin is for a permit of which nobody says what became of it.
func (c *config) grantMargin() time.Duration { return max(c.Margin, gatewayqueue.GrantMargin) }

// --- memory ---------------------------------------------------------------------

// inMemory is a queue that ends with what was begun for it.
type inMemory struct {
	*memqueue.Queue
	done func()
}

// Close implements [io.Closer].
func (m *inMemory) Close() error {
	defer m.done()
	return m.Queue.Close()
}

// inMemory makes the queue of a token, once Discord has given its limits. It is closed
// for a window at first: another process, or the queue of another token of the same
// application, may have identified a moment ago.
func (q *queues) inMemory(ctx context.Context, app string, discord *server.Source, log *slog.Logger) (gatewayqueue.PermitQueue, error) {
	asked := q.add(func(context.Context) error {
		if discord.Failing() != nil {
			return server.ErrUnheard
		}
		return nil
	})
	defer asked()
	limit, err := discord.Await(ctx)
	switch {
	case errors.Is(err, redisqueue.ErrUnauthorized):
		return nil, refused(err)
	case err != nil:
		return nil, err
	}
	c := q.config
	watched, unwatch := q.metrics.queue(app)
	options := []memqueue.Option{
		memqueue.WithWindow(c.window), memqueue.WithMargin(c.grantMargin()), memqueue.WithPermitMargin(c.Margin),
		memqueue.WithObserver(watched.Observe), memqueue.WithLogger(log),
	}
	if !c.FreshStart {
		options = append(options, memqueue.WithHold(c.window+c.Margin))
	}
	queue, err := memqueue.New(limit, options...)
	if err != nil {
		unwatch()
		return nil, err
	}
	log.Info("a bot has come", "remaining", limit.Remaining, "total", limit.Total, "max_concurrency", limit.MaxConcurrency, "reset_after", limit.ResetAfter)
	watched.Watch(queue)
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	go discord.KeepFresh(background, c.Refresh, queue)
	remove := q.add(func(ctx context.Context) error { return discord.Ready(server.InMemoryReady(ctx, queue)) })
	return &inMemory{queue, func() { remove(); stop(); unwatch() }}, nil
}

// --- readiness ------------------------------------------------------------------

// ready is nil where the queue of some bot can grant. What stands in the way of one of
// several is no reason to send the others elsewhere.
func (q *queues) ready(ctx context.Context) error {
	q.mu.Lock()
	asks := make([]func(context.Context) error, 0, len(q.open))
	for o := range q.open {
		asks = append(asks, o.ready)
	}
	q.mu.Unlock()
	if len(asks) == 0 {
		return q.reachable(ctx)
	}
	var first error
	for _, ask := range asks {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// reachable is nil where Redis answers.
func (q *queues) reachable(ctx context.Context) error {
	if q.redis == nil {
		return nil
	}
	return store.Answers(ctx, q.probe)
}

// The queue behind the server: in memory, or on Redis.

package serve

import (
	"context"
	"errors"
	"log/slog"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/server"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// backend is a queue that can be looked at, and whose limits can be changed.
type backend struct {
	queue
	shared  httpqueue.SharedQueue       // the same, or nil if this process has it alone
	name    string                      // for the log
	explain func(error) error           // words the store's errors
	close   func() error                // ends it
	refresh func(ctx context.Context)   // keeps the limits fresh until ctx ends
	ready   func(context.Context) error // nil where a grant is possible, now or later
	files   int                         // that it may open
}

type queue interface {
	gatewayqueue.PermitQueue
	gatewayqueue.StatusReader
	Update(ctx context.Context, limit gatewayqueue.SessionStartLimit) error
}

// trouble is an error of the queue in one line, for people who may look.
func (b *backend) trouble(err error) string { return cli.OneLine(b.explain(err)) }

func open(ctx context.Context, c *config, log *slog.Logger, observe func(gatewayqueue.Event)) (*backend, error) {
	if c.Redis != "" {
		return onRedis(ctx, c, log, observe)
	}
	return inMemory(ctx, c, log, observe)
}

// --- Redis ----------------------------------------------------------------------

func onRedis(ctx context.Context, c *config, log *slog.Logger, observe func(gatewayqueue.Event)) (*backend, error) {
	redis, err := store.Lazy(c.Redis)
	if err != nil {
		return nil, err
	}
	warn := func(message string, err error) { log.Warn(message, "error", cli.OneLine(err)) }
	if err := redis.Meet(ctx, c.App, warn); err != nil {
		return nil, errors.Join(err, redis.Close())
	}
	options := append(c.Options(c.Pod, c.Refresh, c.window, c.FreshStart),
		redisqueue.WithApp(c.App), redisqueue.WithLogger(log), redisqueue.WithObserver(observe), redisqueue.WithMargin(c.Margin))
	discord := server.NewSource(c.token, c.discord, log)
	if discord != nil {
		options = append(options, redisqueue.WithLimitSource(discord.Limits))
	} else if c.limitGiven {
		options = append(options, redisqueue.WithLimit(c.limit()))
	}
	q, err := redisqueue.New(redis.Client, options...)
	if err != nil {
		return nil, errors.Join(err, redis.Close())
	}
	b := &backend{
		queue: q, shared: q, name: redis.String(), explain: redis.Explain,
		close:   func() error { return errors.Join(q.Close(), redis.Close()) },
		refresh: func(ctx context.Context) { discord.ComeBack(ctx, q.AskSource) }, // the queue refreshes them itself, while somebody waits
		ready:   func(ctx context.Context) error { return discord.Ready(q.Ready(ctx)) },
		files:   redis.Connections(),
	}
	if err := discord.Try(ctx, q); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

// --- memory ---------------------------------------------------------------------

func inMemory(ctx context.Context, c *config, log *slog.Logger, observe func(gatewayqueue.Event)) (*backend, error) {
	limit := c.limit()
	discord := server.NewSource(c.token, c.discord, log)
	if discord != nil {
		var known bool
		var err error
		if limit, known, err = discord.First(ctx); err != nil {
			return nil, err
		}
		if known {
			log.Info("read the limits from Discord", "remaining", limit.Remaining, "total", limit.Total,
				"max_concurrency", limit.MaxConcurrency, "reset_after", limit.ResetAfter)
		}
	}
	q, err := newInMemory(c, limit, log, observe)
	if err != nil {
		return nil, err
	}
	if !c.FreshStart {
		log.Info("it cannot be known who identified just now: every bucket stays closed for a window", "closed", c.window+c.Margin)
	}
	b := &backend{
		queue: q, name: "in memory", close: q.Close,
		explain: func(err error) error { return err },
		refresh: func(ctx context.Context) { discord.KeepFresh(ctx, c.Refresh, q) },
		ready: func(ctx context.Context) error {
			err := server.InMemoryReady(ctx, q)
			if errors.Is(err, redisqueue.ErrNeverGrants) && discord.Unheard() {
				err = server.ErrUnheard
			}
			return discord.Ready(err)
		},
	}
	return b, nil
}

// newInMemory makes a queue whose buckets open a window from now, because a
// server before this one may have granted a moment ago. It has no limit where
// that was asked for by flag.
func newInMemory(c *config, limit gatewayqueue.SessionStartLimit, log *slog.Logger, observe func(gatewayqueue.Event)) (*memqueue.Queue, error) {
	options := []memqueue.Option{
		memqueue.WithWindow(c.window), memqueue.WithMargin(c.Margin), memqueue.WithObserver(observe),
		memqueue.WithLogger(log),
	}
	if c.History {
		options = append(options, memqueue.WithHistory())
	}
	if !c.FreshStart {
		options = append(options, memqueue.WithHold(c.window+c.Margin))
	}
	if c.token == "" && c.MaxConcurrency == 0 {
		return memqueue.NewUnlimited(options...)
	}
	return memqueue.New(limit, options...)
}

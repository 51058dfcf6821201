// The queue behind the server: in memory, or on Redis.

package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
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
	gatewayqueue.Statuser
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

// source asks Discord for the limits.
func (c *config) source() redisqueue.LimitSource {
	if c.discord != "" {
		return redisqueue.DiscordLimitsAt(c.discord, nil, c.token)
	}
	return redisqueue.DiscordLimits(nil, c.token)
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
	options := []redisqueue.Option{
		redisqueue.WithApp(c.App), redisqueue.WithLogger(log), redisqueue.WithObserver(observe),
		redisqueue.WithRefresh(c.Refresh), redisqueue.WithMargin(c.Margin), redisqueue.WithWindow(c.window),
		redisqueue.WithBreaker(c.Breaker),
	}
	if c.Pod != "" {
		options = append(options, redisqueue.WithPod(c.Pod))
	}
	if c.token != "" {
		options = append(options, redisqueue.WithLimitSource(c.source()))
	} else if c.limitGiven {
		options = append(options, redisqueue.WithLimit(c.limit()))
	}
	if c.Reserve != reserveByTotal {
		options = append(options, redisqueue.WithReserve(c.Reserve))
	}
	if c.FreshStart {
		options = append(options, redisqueue.WithFreshStart())
	}
	q, err := redisqueue.New(redis.Client, options...)
	if err != nil {
		return nil, errors.Join(err, redis.Close())
	}
	return &backend{
		queue: q, shared: q, name: redis.String(), explain: redis.Explain,
		close:   func() error { return errors.Join(q.Close(), redis.Close()) },
		refresh: func(context.Context) {}, // the queue does, while somebody waits
		ready:   q.Ready, files: redis.Connections(),
	}, nil
}

// --- memory ---------------------------------------------------------------------

func inMemory(ctx context.Context, c *config, log *slog.Logger, observe func(gatewayqueue.Event)) (*backend, error) {
	limit := c.limit()
	if c.token != "" {
		var err error
		if limit, err = firstAnswer(ctx, c.source(), log); err != nil {
			return nil, err
		}
		log.Info("read the limits from Discord", "remaining", limit.Remaining, "total", limit.Total,
			"max_concurrency", limit.MaxConcurrency, "reset_after", limit.ResetAfter)
	}
	q, err := newInMemory(c, limit, observe)
	if err != nil {
		return nil, err
	}
	if !c.FreshStart {
		log.Info("it cannot be known who identified just now: every bucket stays closed for a window", "closed", c.window+c.Margin)
	}
	b := &backend{
		queue: q, name: "in memory", close: q.Close,
		explain: func(err error) error { return err },
		refresh: func(context.Context) {},
		ready:   func(ctx context.Context) error { return inMemoryReady(ctx, q) },
	}
	if c.token != "" {
		b.refresh = func(ctx context.Context) { keepFresh(ctx, c, q, log) }
	}
	return b, nil
}

// inMemoryReady is Redis's Ready for a queue in memory.
func inMemoryReady(ctx context.Context, q gatewayqueue.Statuser) error {
	s, err := q.Status(ctx)
	if err == nil && s.Budget.Total == 0 && s.Budget.MaxConcurrency > 0 {
		err = redisqueue.ErrNeverGrants
	}
	return err
}

// newInMemory makes a queue whose buckets open a window from now, because a
// server before this one may have granted a moment ago. It has no limit where
// that was asked for by flag.
func newInMemory(c *config, limit gatewayqueue.SessionStartLimit, observe func(gatewayqueue.Event)) (*gatewayqueue.InMemoryQueue, error) {
	options := []gatewayqueue.InMemoryOption{
		gatewayqueue.WithWindow(c.window), gatewayqueue.WithMargin(c.Margin), gatewayqueue.WithObserver(observe),
	}
	if !c.FreshStart {
		options = append(options, gatewayqueue.WithHold(c.window+c.Margin))
	}
	if c.token == "" && c.MaxConcurrency == 0 {
		return gatewayqueue.NewUnlimited(options...)
	}
	return gatewayqueue.NewInMemory(limit, options...)
}

// patience is how long Discord may take to answer at the start.
const patience = time.Minute

// refusedToken is what the source says of a token that Discord does not know.
const refusedToken = "Discord refuses the bot token"

// firstAnswer asks until Discord answers, or refuses the token.
func firstAnswer(ctx context.Context, ask redisqueue.LimitSource, log *slog.Logger) (gatewayqueue.SessionStartLimit, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for pause := time.Second; ; pause = min(2*pause, 15*time.Second) {
		limit, err := ask(ctx)
		if err == nil || strings.Contains(err.Error(), "401") {
			return limit, err
		}
		log.Warn("cannot read the limits from Discord yet", "error", err, "again_in", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
				return limit, fmt.Errorf("cannot read the limits from Discord: %w", err)
			}
			return limit, context.Cause(ctx)
		}
	}
}

// keepFresh asks Discord from time to time.
func keepFresh(ctx context.Context, c *config, q *gatewayqueue.InMemoryQueue, log *slog.Logger) {
	ask := c.source()
	for {
		select {
		case <-time.After(c.Refresh):
		case <-ctx.Done():
			return
		}
		if err := q.Refresh(ctx, ask); err != nil && ctx.Err() == nil {
			log.Warn("could not refresh the limits: those in force stay", "error", err)
		}
	}
}

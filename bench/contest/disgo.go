package contest

// disgo's own limiter, the reference of one process.

import (
	"context"
	"log/slog"
	"time"

	"github.com/disgoorg/disgo/gateway"
	"github.com/redis/go-redis/v9"
)

func disgo() Contestant {
	return Contestant{
		Name: "disgo's limiter", Local: true, Permits: true,
		How: "`gateway.NewIdentifyRateLimiter` of `github.com/disgoorg/disgo`: `Wait`, dial, IDENTIFY, `Unlock` (disgo unlocks at READY). All pods share it, which only goroutines can.",
		Open: func(s Setup, _ *redis.Client) (Pod, error) {
			return disgoPod{gateway.NewIdentifyRateLimiter(
				gateway.WithIdentifyMaxConcurrency(s.Limit.MaxConcurrency),
				gateway.WithIdentifyWait(s.Window+s.PermitMargin),
				gateway.WithIdentifyRateLimiterLogger(slog.New(slog.DiscardHandler)),
			)}, nil
		},
	}
}

type disgoPod struct{ limiter gateway.IdentifyRateLimiter }

func (p disgoPod) Turn(ctx context.Context, shard int, dial, identify func()) error {
	if err := p.limiter.Wait(ctx, shard); err != nil {
		return err
	}
	defer p.limiter.Unlock(shard)
	dial()
	identify()
	return nil
}

func (p disgoPod) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	p.limiter.Close(ctx)
}

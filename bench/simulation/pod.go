package simulation

// One pod: a real RedisQueue with a client of its own, and its shards.

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

type pod struct {
	first, end, life int // its shards, and how many pods had them before
	queue            *redisqueue.RedisQueue
	wire             *wire
	ctx              context.Context // of its shards
	cancel           context.CancelFunc

	// Under the fleet's mu.
	down     int // shards that have not been up yet
	recovery *recovery
}

const app = "simulation"

// open makes a pod. The caller holds mu.
func (f *fleet) open(i int) (*pod, error) {
	p := &pod{wire: f.wire(), life: f.lives[i]}
	p.first, p.end = f.spec.block(i)
	p.down = p.end - p.first
	p.ctx, p.cancel = context.WithCancel(context.Background())
	var err error
	p.queue, err = redisqueue.New(p.wire, redisqueue.WithLogger(slog.New(slog.DiscardHandler)), redisqueue.WithApp(app), redisqueue.WithPod(fmt.Sprintf("pod-%d", i)), redisqueue.WithLimit(f.spec.limit()))
	return p, err
}

// stop stops the pod's shards and gives up its queue: with a goodbye, unless
// its wire was cut.
func (p *pod) stop() {
	p.cancel()
	_ = p.queue.Close() // it always succeeds
	_ = p.wire.Close()
}

// live is the life of a shard in a pod.
func (f *fleet) live(p *pod, shard int) {
	r := f.spec.random(ofShard, shard, p.life)
	for first := true; p.ctx.Err() == nil; first = false {
		if err := f.turn(p, shard, first, r); err != nil && p.ctx.Err() == nil {
			f.fail(fmt.Errorf("shard %d: %w", shard, err))
			return
		}
		if f.spec.Life == 0 {
			return
		}
		_ = ctxerr.Sleep(p.ctx, f.spec.calm(r)) // an error means that it is over
	}
}

// turn brings a shard up.
func (f *fleet) turn(p *pod, shard int, first bool, r *rand.Rand) error {
	t := turn{shard: shard, life: p.life, first: first, entered: f.now()}
	dialled := func(ctx context.Context) error { return ctxerr.Sleep(ctx, dial(r)) }
	if !f.spec.Wait {
		return gatewayqueue.Identify(p.ctx, p.queue, shard,
			func(ctx context.Context) error {
				t.granted = f.now()
				return dialled(ctx)
			},
			func(context.Context) error {
				f.identified(p, t)
				return nil
			})
	}
	if err := dialled(p.ctx); err != nil {
		return err
	}
	t.entered = f.now()
	if err := p.queue.Wait(p.ctx, shard); err != nil {
		return err
	}
	t.granted = f.now()
	f.identified(p, t)
	return nil
}

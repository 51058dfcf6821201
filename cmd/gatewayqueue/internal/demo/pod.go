// One pod: it brings up its shards through the queue, whether it is a
// goroutine of the demo or a process.

package demo

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// spec is all that a pod needs to know. A process is told it as JSON.
type spec struct {
	Pod      string                         `json:"pod"`
	Shards   []int                          `json:"shards"`
	Redis    string                         `json:"redis"`
	Judge    string                         `json:"judge,omitempty"` // for a process: where the judge listens
	App      string                         `json:"app"`
	Limit    gatewayqueue.SessionStartLimit `json:"limit"`
	Window   time.Duration                  `json:"window"`
	Margin   time.Duration                  `json:"margin"`
	PodLease time.Duration                  `json:"pod_lease"`
	Mode     string                         `json:"mode"`
	Dial     time.Duration                  `json:"dial"`
	Seed     uint64                         `json:"seed"`
}

// kind of an event.
type kind string

const (
	ready      kind = "ready"      // a process: the pod waits for its start
	granted    kind = "granted"    // the shard may identify
	identified kind = "identified" // the judge has heard of it
	failed     kind = "failed"     // the shard gives up
	ended      kind = "ended"      // the pod is done; Calls is final
)

// event is what a pod tells the fleet. A process writes it as a line of JSON.
type event struct {
	Kind      kind                `json:"kind"`
	Pod       string              `json:"pod"`
	Shard     int                 `json:"shard"`
	At        time.Time           `json:"at"`
	Ruling    *gatewaytest.Ruling `json:"ruling,omitempty"`
	Error     string              `json:"error,omitempty"`
	Exhausted bool                `json:"exhausted,omitempty"` // the budget is why it failed
	Calls     int64               `json:"calls"`               // script calls of this pod so far
}

// pod runs a spec.
type pod struct {
	spec
	queue    gatewayqueue.PermitQueue
	meter    *store.Meter
	identify func(ctx context.Context, shard int) (gatewaytest.Ruling, error)
	explain  func(error) error // words Redis's errors
	tell     func(event)
}

// newQueue makes the queue of a pod, or of a bystander that only looks.
func newQueue(s spec, client redis.Scripter) (*redisqueue.RedisQueue, error) {
	return redisqueue.New(client,
		redisqueue.WithLogger(slog.New(slog.DiscardHandler)), // the picture says it
		redisqueue.WithApp(s.App), redisqueue.WithPod(s.Pod), redisqueue.WithLimit(s.Limit),
		redisqueue.WithWindow(s.Window), redisqueue.WithMargin(s.Margin), redisqueue.WithPermitMargin(s.Margin),
		redisqueue.WithPermitLease(max(2*s.Window, s.Window+s.Margin+100*time.Millisecond)),
		redisqueue.WithPodLease(s.PodLease),
		redisqueue.WithReserve(0),      // --remaining is what it says
		redisqueue.WithFailExhausted(), // the reset is a day away
		redisqueue.WithFreshStart())    // no shard of this bot has ever identified
}

// bringUp has all shards of the pod identify, and returns when each has, or
// has failed.
func (p *pod) bringUp(ctx context.Context) {
	// Pods and shards do not come up in order: who is first in line is up to
	// the seed.
	random := rand.New(rand.NewPCG(p.Seed, 0))
	var shards sync.WaitGroup
	for _, shard := range p.Shards {
		late := time.Duration(random.Int64N(int64(p.Window)/50 + 1))
		dial := dialTime(random, p.Dial)
		shards.Go(func() {
			err := sleep(ctx, late)
			if err == nil {
				err = p.bringUpOne(ctx, shard, dial)
			}
			if err != nil && ctx.Err() == nil { // a pod that was told to end has not failed
				p.report(event{Kind: failed, Shard: shard, Error: cli.OneLine(p.explain(err)), Exhausted: errors.Is(err, gatewayqueue.ErrExhausted)})
			}
		})
	}
	shards.Wait()
}

func (p *pod) bringUpOne(ctx context.Context, shard int, dial time.Duration) error {
	dialled := func(ctx context.Context) error {
		p.report(event{Kind: granted, Shard: shard})
		return sleep(ctx, dial)
	}
	sent := func(ctx context.Context) error {
		ruling, err := p.identify(ctx, shard)
		if err == nil {
			p.report(event{Kind: identified, Shard: shard, Ruling: &ruling})
		}
		return err
	}
	if p.Mode == modeWait {
		if err := p.queue.Wait(ctx, shard); err != nil {
			return err
		}
		if err := dialled(ctx); err != nil {
			return err
		}
		return sent(ctx)
	}
	for {
		err := gatewayqueue.Identify(ctx, p.queue, shard, dialled, sent)
		if !errors.Is(err, gatewayqueue.ErrPermitExpired) { // a slow dial sent nothing: again
			return err
		}
	}
}

func (p *pod) report(e event) {
	e.Pod, e.At, e.Calls = p.Pod, time.Now(), p.meter.Calls()
	p.tell(e)
}

// dialTime is log-normal with a sigma of 0.5, as dials to Discord were measured.
func dialTime(random *rand.Rand, median time.Duration) time.Duration {
	return time.Duration(float64(median) * math.Exp(0.5*random.NormFloat64()))
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

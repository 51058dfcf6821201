package faults

// What people do without a queue, to show that the suite finds what is wrong
// with it: a slot with a TTL and a counter, asked for every few milliseconds.

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
)

const (
	naiveSlot   = "naive:{app}:slot:"
	naiveBudget = "naive:{app}:remaining"
)

// naiveScripts by kind:
//
//   - "naive" takes the slot if it is free, and a unit. A call that is sent again
//     because its reply was lost finds the slot taken, by itself: the unit is
//     lost.
//   - "token" lets the holder of the slot have it again, which saves the unit.
//     But what it then holds may be nearly over.
var naiveScripts = map[string]*redis.Script{
	"naive": redis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('DECR', KEYS[2])
return 1`),
	"token": redis.NewScript(`
local slot = redis.call('GET', KEYS[1])
if slot == ARGV[1] then return 1 end
if slot then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('DECR', KEYS[2])
return 1`),
}

const naiveBuckets = 2

type naive struct {
	client redis.UniversalClient
	window time.Duration
	kind   string
	pod    string
}

func (n *naive) Wait(ctx context.Context, shard int) error {
	bucket := strconv.Itoa(shard % naiveBuckets)
	for {
		got, err := naiveScripts[n.kind].Run(ctx, n.client, []string{naiveSlot + bucket, naiveBudget},
			n.pod+"-"+strconv.Itoa(shard), n.window.Milliseconds()).Int()
		if err == nil && got == 1 {
			return nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (n *naive) Acquire(ctx context.Context, shard int) (gatewayqueue.Permit, error) {
	return noPermit{}, n.Wait(ctx, shard)
}

// noPermit is the permit of who has none.
type noPermit struct{}

func (noPermit) Identified(context.Context) error { return nil }
func (noPermit) Abandon(context.Context) error    { return nil }
func (noPermit) Deadline() time.Time              { return time.Now().Add(time.Hour) }

// What proxies see of shards, kept for people, and storms: sessions that Discord
// refuses in numbers, across the fleet.

package redisqueue

import (
	"context"
	"math"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// TellSight tells what a proxy has seen since it told last, and returns how the fleet
// fares. It sends one short call, and does not try again: what was not told the
// caller tells with the next. It blocks until that is answered or ctx ends.
func (q *RedisQueue) TellSight(ctx context.Context, news gatewayqueue.SightNews) (gatewayqueue.Storm, error) {
	sights, err := q.sight(ctx, wire.Sight{News: news})
	return sights.Storm, err
}

// Sights returns what proxies have told of shards, by shard; a [gatewayqueue.Sight]
// that is old is of a proxy that tells no more. It blocks for one call, and does not
// try again.
func (q *RedisQueue) Sights(ctx context.Context) (map[int]gatewayqueue.Sight, gatewayqueue.Storm, error) {
	// A look makes no storm.
	sights, err := q.sight(ctx, wire.Sight{News: gatewayqueue.SightNews{Many: math.MaxInt32}, List: true})
	return sights.Shards, sights.Storm, err
}

func (q *RedisQueue) sight(ctx context.Context, request wire.Sight) (wire.Sights, error) {
	if q.shell.facts().Closed {
		return wire.Sights{}, gatewayqueue.ErrClosed
	}
	sights, err := call(ctx, q, request)
	return sights, q.explained(err)
}

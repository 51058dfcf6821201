// What proxies see of shards, kept for people, and storms: sessions that Discord
// refuses in numbers, across the fleet.

package redisqueue

import (
	"context"
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/lua"
)

// sightsKept is for how long sights are kept after the last of them came.
const sightsKept = time.Hour

// TellSight tells what a proxy has seen since it told last, and returns how the fleet
// fares. It sends one short call, and does not try again: what was not told the
// caller tells with the next. It blocks until that is answered or ctx ends.
func (q *RedisQueue) TellSight(ctx context.Context, news gatewayqueue.SightNews) (gatewayqueue.Storm, error) {
	_, storm, err := q.sight(ctx, news, false)
	return storm, err
}

// Sights returns what proxies have told of shards, by shard; a [gatewayqueue.Sight]
// that is old is of a proxy that tells no more. It blocks for one call, and does not
// try again.
func (q *RedisQueue) Sights(ctx context.Context) (map[int]gatewayqueue.Sight, gatewayqueue.Storm, error) {
	return q.sight(ctx, gatewayqueue.SightNews{Many: math.MaxInt32}, true) // a look makes no storm
}

func (q *RedisQueue) sight(ctx context.Context, news gatewayqueue.SightNews, list bool) (map[int]gatewayqueue.Sight, gatewayqueue.Storm, error) {
	if q.ctx.Err() != nil {
		return nil, gatewayqueue.Storm{}, gatewayqueue.ErrClosed
	}
	sights, storm, err := q.store.sight(ctx, news, list)
	if err != nil && classify(err) == returned {
		err = explain(err, q.store.keys)
	}
	return sights, storm, err
}

func (s *store) sight(ctx context.Context, news gatewayqueue.SightNews, list bool) (map[int]gatewayqueue.Sight, gatewayqueue.Storm, error) {
	var each []any
	for shard, sight := range news.Shards {
		text, err := json.Marshal(sight)
		if err != nil {
			return nil, gatewayqueue.Storm{}, err
		}
		each = append(each, shard, string(text))
	}
	values := lua.Values{
		"refused": news.Refused, "identified": news.Identified, "many": max(news.Many, 1), "lasts": gatewayqueue.StormLasts, "keep": sightsKept, "list": list,
	}
	r := s.run(ctx, sightScript, s.keys.of(sightScript.Keys, 0, ""), sightScript.Order(values, each...)...)
	now := r.at("now").int64()
	storm := gatewayqueue.Storm{Refused: r.at("refused").int(), Identified: r.at("identified").int()}
	if since := r.at("since").int64(); since > 0 {
		storm.Since = time.UnixMilli(since)
		storm.Lasts = inMilliseconds(now - since)
	}
	sights := make(map[int]gatewayqueue.Sight)
	for shard, text := range r.at("sights").list().pairs() {
		id, err := strconv.Atoi(shard)
		var sight gatewayqueue.Sight
		if err == nil && json.Unmarshal([]byte(text), &sight) == nil { // else of another version
			sights[id] = sight
		}
	}
	return sights, storm, r.done()
}

// SetFloor keeps so many units of the budget from being granted by this pod, until it
// is set again: as [WithReserve], but for a while. The more of the two counts. A
// queue that waits for the floor to fall notices within some seconds.
func (q *RedisQueue) SetFloor(units int) { q.config.floor.Store(int64(max(units, 0))) }

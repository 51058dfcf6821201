// What proxies have seen of shards, as the page gets it: the queue itself knows who
// was granted, not who is connected.

package dashboard

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

const (
	// sightsEvery is how often proxies' sights are asked for.
	sightsEvery = 2 * time.Second

	// sightsShown is how many shards are listed. Those that are not up come first.
	sightsShown = 200
)

// Sights asks what proxies have told of shards, as RedisQueue.Sights does.
type Sights func(ctx context.Context) (map[int]gatewayqueue.Sight, gatewayqueue.Storm, error)

// WithSights has the page show what proxies see of shards: which are up, and since
// when. It is asked every 2 s while somebody views. By default the page does not say.
func WithSights(ask Sights) Option { return func(b *Dashboard) { b.sights = ask } }

// sights are all of them, counted, and the first of them in words.
type sights struct {
	Up     int       `json:"up"`     // ready
	Coming int       `json:"coming"` // held, or between IDENTIFY or RESUME and READY
	Down   int       `json:"down"`   // gone, or refused
	Silent int       `json:"silent"` // whose proxy tells no more
	Storm  *storm    `json:"storm,omitempty"`
	Shards []sighted `json:"shards"`
}

type storm struct {
	Since      int64 `json:"since"`
	Refused    int   `json:"refused"` // in the last minute
	Identified int   `json:"identified"`
}

type sighted struct {
	Shard      int                   `json:"shard"`
	State      string                `json:"state"`
	Standing   gatewayqueue.Standing `json:"standing"`
	Since      int64                 `json:"since,omitempty"`
	By         string                `json:"by,omitempty"`
	Identifies int                   `json:"identifies"`
	Resumes    int                   `json:"resumes"`
	Invalid    int                   `json:"invalid,omitempty"`
	LastClose  int                   `json:"last_close,omitempty"`
	Heartbeat  int64                 `json:"heartbeat,omitempty"` // ms
}

// ranks order standings: what wants a look comes first.
var ranks = map[gatewayqueue.Standing]int{gatewayqueue.StandingDown: 0, gatewayqueue.StandingComing: 1, gatewayqueue.StandingSilent: 2, gatewayqueue.StandingUp: 3}

// sightsOf is what the page gets. now is this machine's clock, which proxies' should
// not be far from.
func sightsOf(seen map[int]gatewayqueue.Sight, weather gatewayqueue.Storm, now time.Time) *sights {
	out := &sights{Shards: []sighted{}}
	if !weather.Since.IsZero() {
		out.Storm = &storm{Since: weather.Since.UnixMilli(), Refused: weather.Refused, Identified: weather.Identified}
	}
	for shard, s := range seen {
		one := sighted{
			Shard: shard, State: string(s.State), By: s.By, Identifies: s.Identifies, Resumes: s.Resumes, Invalid: s.Invalid,
			LastClose: s.LastClose, Heartbeat: s.Heartbeat.Milliseconds(),
		}
		if !s.Since.IsZero() {
			one.Since = s.Since.UnixMilli()
		}
		switch one.Standing = s.Standing(now); one.Standing {
		case gatewayqueue.StandingUp:
			out.Up++
		case gatewayqueue.StandingComing:
			out.Coming++
		case gatewayqueue.StandingSilent:
			out.Silent++
		default:
			out.Down++
		}
		out.Shards = append(out.Shards, one)
	}
	slices.SortFunc(out.Shards, func(a, b sighted) int {
		return cmp.Or(cmp.Compare(ranks[a.Standing], ranks[b.Standing]), cmp.Compare(a.Shard, b.Shard))
	})
	out.Shards = out.Shards[:min(len(out.Shards), sightsShown)]
	return out
}

// lookAtSights asks proxies' sights, if it is time to. Only the poller calls it.
func (b *Dashboard) lookAtSights(ctx context.Context) {
	if b.sights == nil || time.Since(b.sightsAt) < sightsEvery {
		return
	}
	b.sightsAt = time.Now()
	seen, weather, err := b.sights(ctx)
	if err != nil { // the queue's own trouble is told
		b.seenSights = nil
		return
	}
	b.seenSights, b.storm = nil, &weather
	if len(seen) > 0 || !weather.Since.IsZero() {
		b.seenSights = sightsOf(seen, weather, time.Now())
	}
}

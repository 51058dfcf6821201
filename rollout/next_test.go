package rollout

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
)

// Every second of the minutes in which things change is tried: none before Next may be it,
// and Next is.
func TestNext_IsTheFirstMomentFromWhichItMayBeDone(t *testing.T) {
	found := make(map[string]int)
	for seed := range uint64(1000) {
		random := rand.New(rand.NewPCG(seed, 3))
		s, r := anyRequest(random)
		p, err := NewPlan(s, r)
		require.NoError(t, err)
		if p.OK {
			found["yes"]++
			continue
		}
		about := fmt.Sprintf("seed %d: %+v, %+v: %+v", seed, s, r, p)
		from, until := p.At, p.At.Add(20*time.Minute)
		if !p.Next.IsZero() {
			require.True(t, p.Next.After(p.At), about)
			found[string(p.Reason)]++
			require.True(t, mayBegin(s, at(r, p.Next)), about)
			require.False(t, mayBegin(s, at(r, p.Next.Add(-time.Millisecond))), about)
			until = p.Next.Add(-time.Millisecond) // as near as Next is found
		} else {
			found["never"]++
		}
		for moment := from; moment.Before(until); moment = moment.Add(time.Second) {
			if moment.Equal(from.Add(10*time.Minute)) && until.Sub(moment) > 10*time.Minute {
				moment = until.Add(-10 * time.Minute).Truncate(time.Second)
			}
			require.False(t, mayBegin(s, at(r, moment)), "at %v. %s", moment, about)
		}
	}
	t.Log(found)
	for _, reason := range []string{"yes", "never", "hold", "paused", "budget", "crash reserve", "time"} {
		assert.Positive(t, found[reason], reason)
	}
}

func at(r Request, moment time.Time) Request {
	r.At = moment
	return r
}

// anyRequest is a queue whose lines, holds and periods are over within minutes.
func anyRequest(random *rand.Rand) (gatewayqueue.Status, Request) {
	upTo := func(d time.Duration) time.Duration { return time.Duration(random.Int64N(int64(d))) }
	sometimes := func(then func()) {
		if random.IntN(3) == 0 {
			then()
		}
	}
	s := atNoon([]int{1, 1, 2, 3, 16}[random.IntN(5)], 0, func(s *gatewayqueue.Status) {
		s.Budget.Total = 12 + random.IntN(60)
		s.Budget.Remaining = random.IntN(s.Budget.Total + 1)
		s.Budget.Reserve = random.IntN(4)
		s.Budget.Reset = noon.Add(upTo(8 * time.Minute))
		for id := range s.Buckets {
			sometimes(func() { s.Buckets[id].Waiting = random.IntN(12) })
			sometimes(func() { s.Buckets[id].Closed = upTo(5 * time.Second) })
		}
		sometimes(func() { s.Budget.Reset = time.Time{} })
		sometimes(func() { s.Hold = upTo(3 * time.Minute) })
		sometimes(func() { s.Pause = &gatewayqueue.PauseStatus{Who: "anna", Until: noon.Add(upTo(4 * time.Minute))} })
		sometimes(func() { s.SpentBy = random.IntN(40) })
	})
	r := Request{Shards: 1 + random.IntN(s.Budget.Total+10)}
	sometimes(func() { r.At = noon.Add(upTo(5 * time.Minute)) })
	sometimes(func() { r.Within = 10*time.Second + upTo(2*time.Minute) })
	sometimes(func() { r.CrashReserve = &Amount{Units: random.IntN(s.Budget.Total / 2)} })
	return s, r
}

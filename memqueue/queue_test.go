package memqueue

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
)

// The scenarios of package queuetest are in conformance_test.go. Here
// is what they can't see from outside.

func newTestQueue(t testing.TB, limit gatewayqueue.SessionStartLimit, opts ...Option) *Queue {
	t.Helper()
	q, err := New(limit, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { q.Close() })
	return q
}

// observed collects what a queue tells, without the budget's events.
type observed struct {
	mu     sync.Mutex
	events []gatewayqueue.Event
	budget []int
}

func (o *observed) observe(e gatewayqueue.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e.Kind == gatewayqueue.EventBudget {
		o.budget = append(o.budget, e.Remaining)
		return
	}
	o.events = append(o.events, e)
}

func (o *observed) kinds() (kinds []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.events {
		kinds = append(kinds, fmt.Sprintf("%d %v", e.ShardID, e.Kind))
	}
	return kinds
}

func TestNewRefusesWhatIsInvalid(t *testing.T) {
	for _, limit := range []gatewayqueue.SessionStartLimit{
		{Total: -1}, {Total: 1, Remaining: 2}, {Remaining: -1}, {ResetAfter: -1}, {MaxConcurrency: -1},
	} {
		_, err := New(limit)
		assert.ErrorIs(t, err, gatewayqueue.ErrInvalid, "%+v", limit)
	}
	for _, opt := range []Option{WithWindow(-1), WithMargin(-1), WithPermitMargin(-1)} {
		_, err := New(gatewayqueue.DefaultLimit(), opt)
		assert.ErrorIs(t, err, gatewayqueue.ErrInvalid)
	}
}

func TestObserversHearOfEveryStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen observed
		q := newTestQueue(t, gatewayqueue.DefaultLimit(), WithObserver(seen.observe))
		p, err := q.Acquire(t.Context(), 0)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { assert.ErrorIs(t, q.Wait(ctx, 1), context.Canceled) }()
		synctest.Wait()
		cancel()
		synctest.Wait()
		time.Sleep(time.Second)
		require.NoError(t, p.Identified(t.Context()))
		require.NoError(t, q.Wait(t.Context(), 2))
		p, err = q.Acquire(t.Context(), 3)
		require.NoError(t, err)
		require.NoError(t, p.Abandon(t.Context()))
		_, err = q.Acquire(t.Context(), 4)
		require.NoError(t, err)
		require.NoError(t, q.Wait(t.Context(), 5))

		assert.Equal(t, []string{
			"0 waiting", "0 granted", "1 waiting", "1 left", "0 identified",
			"2 waiting", "2 granted", "3 waiting", "3 granted", "3 abandoned",
			"4 waiting", "4 granted", "5 waiting", "4 expired", "5 granted",
		}, seen.kinds())
		assert.Equal(t, []int{999, 998, 997, 998, 997, 996}, seen.budget)
		assert.Equal(t, time.Second, seen.events[4].Elapsed, "how long the permit was held")
		assert.Equal(t, gatewayqueue.IdentifyDelay+gatewayqueue.IdentifiedMargin, seen.events[6].Elapsed, "how long shard 2 waited")
		assert.ErrorIs(t, seen.events[3].Err, context.Canceled)
	})
}

// An observer that looks at the queue would deadlock.
func TestObserversAreNotCalledUnderTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q *Queue
		var calls atomic.Int32
		q = newTestQueue(t, gatewayqueue.SessionStartLimit{Total: 2, Remaining: 2, MaxConcurrency: 1}, WithObserver(func(gatewayqueue.Event) {
			calls.Add(1)
			if _, err := q.Status(context.Background()); err != nil {
				assert.ErrorIs(t, err, gatewayqueue.ErrClosed)
			}
		}))
		for range 5 { // into a third period, on alarms
			p, err := q.Acquire(t.Context(), 0)
			require.NoError(t, err)
			require.NoError(t, p.Identified(t.Context()))
		}
		require.NoError(t, q.Update(t.Context(), gatewayqueue.DefaultLimit()))
		require.NoError(t, q.Close())
		assert.Greater(t, calls.Load(), int32(15))
	})
}

// peek reads a figure of the queue.
func (q *Queue) peek(figure *int) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return *figure
}

// armed is how many timers of the queue run.
func (q *Queue) armed() (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	alarms := []*alarm{&q.reset}
	for _, b := range q.buckets {
		alarms = append(alarms, &b.alarm)
	}
	for _, a := range alarms {
		// A timer that Stop can stop was running.
		if a.timer != nil && a.timer.Stop() {
			a.timer.Reset(time.Until(a.at))
			n++
		}
	}
	return n
}

func TestTimersRunOnlyWhileSomeoneWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newTestQueue(t, gatewayqueue.SessionStartLimit{Total: 3, Remaining: 3, MaxConcurrency: 2})
		require.NoError(t, q.Wait(t.Context(), 0))
		assert.Zero(t, q.armed(), "a closed bucket, and nobody waits")

		ctx, cancel := context.WithCancel(t.Context())
		for range 3 {
			go q.Wait(ctx, 0) //nolint:errcheck // They are cancelled.
		}
		synctest.Wait()
		assert.Equal(t, 1, q.armed(), "three in one line")
		old := q.buckets[0]
		require.NoError(t, q.Update(t.Context(), gatewayqueue.SessionStartLimit{Total: 3, Remaining: 2, MaxConcurrency: 1, ResetAfter: time.Hour}))
		assert.False(t, old.alarm.timer.Stop(), "a bucket of the old mapping")
		assert.Equal(t, 1, q.armed(), "the same three, after an update")
		cancel()
		synctest.Wait()
		assert.Zero(t, q.armed(), "all have left")
		require.NoError(t, q.Update(t.Context(), gatewayqueue.SessionStartLimit{Total: 3, Remaining: 2, MaxConcurrency: 2, ResetAfter: time.Hour}))

		require.NoError(t, q.Wait(t.Context(), 0))
		require.NoError(t, q.Wait(t.Context(), 1))
		for range 3 {
			go q.Wait(context.Background(), 1) //nolint:errcheck // They end with Close.
		}
		synctest.Wait()
		time.Sleep(time.Minute)
		assert.Equal(t, 1, q.armed(), "an open bucket that waits for the reset")
		require.NoError(t, q.Update(t.Context(), gatewayqueue.SessionStartLimit{Total: 3, MaxConcurrency: 5, ResetAfter: time.Hour}))
		assert.Equal(t, 1, q.armed(), "the same, after an update")
		time.Sleep(2 * time.Hour)
		q.Wait(t.Context(), 1) //nolint:errcheck // Whatever comes of it.
		require.NoError(t, q.Close())
		assert.Zero(t, q.armed(), "after Close")
	})
}

func TestStatusIsASnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newTestQueue(t, gatewayqueue.SessionStartLimit{Total: 10, Remaining: 10, MaxConcurrency: 3})
		start := time.Now()
		require.NoError(t, q.Wait(t.Context(), 0))
		_, err := q.Acquire(t.Context(), 1)
		require.NoError(t, err)
		for shard := range 15 {
			time.Sleep(time.Millisecond)
			go q.Wait(t.Context(), 3*shard) //nolint:errcheck // They end with the test.
		}
		synctest.Wait()
		s, err := q.Status(t.Context())
		require.NoError(t, err)

		elapsed := 15 * time.Millisecond
		line := s.Buckets[0].Line
		assert.Equal(t, []int{0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36, 39, 42}, s.Buckets[0].Shards)
		s.Buckets[0].Line, s.Buckets[0].Shards = nil, nil
		assert.Equal(t, []gatewayqueue.BucketStatus{
			{Bucket: 0, Closed: gatewayqueue.IdentifyDelay + gatewayqueue.GrantMargin - elapsed, Holder: "0@#1", Waiting: 15},
			{Bucket: 1, Closed: gatewayqueue.MaxPermitDuration + gatewayqueue.IdentifyDelay + gatewayqueue.GrantMargin - elapsed, Holder: "1@#2", Permit: true},
			{Bucket: 2},
		}, s.Buckets)
		require.Len(t, line, 10)
		assert.Equal(t, "3@#4", line[1].Ticket)
		assert.True(t, line[1].Arrival.Equal(start.Add(2*time.Millisecond)))
		assert.Equal(t, map[int]int{0: 1, 1: 1}, s.Spent)
		assert.Equal(t, 8, s.Budget.Remaining)
		assert.True(t, s.Budget.Reset.Equal(start.Add(gatewayqueue.GrantMargin+gatewayqueue.LimitPeriod)))
		assert.Zero(t, s.Hold)

		require.NoError(t, q.Update(t.Context(), gatewayqueue.SessionStartLimit{Total: 10, Remaining: 8, MaxConcurrency: 1, ResetAfter: time.Hour}))
		s, err = q.Status(t.Context())
		require.NoError(t, err)
		assert.Equal(t, gatewayqueue.MaxPermitDuration+gatewayqueue.IdentifyDelay+gatewayqueue.GrantMargin-elapsed, s.Hold)
	})
}

// Update knows best, but what a permit took before it is in neither figure.
func TestAUnitFromBeforeAnUpdateDoesNotComeBack(t *testing.T) {
	q := newTestQueue(t, gatewayqueue.SessionStartLimit{Total: 10, Remaining: 10, MaxConcurrency: 1})
	p, err := q.Acquire(t.Context(), 0)
	require.NoError(t, err)
	require.NoError(t, q.Update(t.Context(), gatewayqueue.SessionStartLimit{Total: 10, Remaining: 4, MaxConcurrency: 1, ResetAfter: time.Hour}))
	require.NoError(t, p.Abandon(t.Context()))
	s, err := q.Status(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 4, s.Budget.Remaining)
}

func TestAnAbandonedFirstGrantBeginsNoPeriod(t *testing.T) {
	q := newTestQueue(t, gatewayqueue.DefaultLimit())
	p, err := q.Acquire(t.Context(), 0)
	require.NoError(t, err)
	require.NoError(t, p.Abandon(t.Context()))
	s, err := q.Status(t.Context())
	require.NoError(t, err)
	assert.Zero(t, s.Budget.Reset)
	assert.Empty(t, s.Spent)
}

func TestHugeFiguresAreHarmless(t *testing.T) {
	q := newTestQueue(t, gatewayqueue.SessionStartLimit{Total: math.MaxInt, Remaining: 0, MaxConcurrency: 1, ResetAfter: math.MaxInt64})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	require.ErrorIs(t, q.Wait(ctx, math.MaxInt), context.DeadlineExceeded)
	require.NoError(t, q.Update(t.Context(), gatewayqueue.SessionStartLimit{Total: math.MaxInt, Remaining: math.MaxInt - 1, MaxConcurrency: 2, ResetAfter: math.MaxInt64}))
	require.NoError(t, q.Wait(t.Context(), math.MaxInt))
}

// The deadlines of a line are compared with the reset once, however often the
// last unit is spent and given back.
func TestDeadlinesAreCheckedOncePerReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newTestQueue(t, gatewayqueue.SessionStartLimit{Total: 2, Remaining: 1, MaxConcurrency: 2, ResetAfter: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
		defer cancel()
		p, err := q.Acquire(t.Context(), 0)
		require.NoError(t, err)
		for range 100 {
			go q.Wait(ctx, 0) //nolint:errcheck // They end with the test.
		}
		synctest.Wait()
		assert.Equal(t, 100, q.peek(&q.hasty.length), "the unit may come back")
		require.NoError(t, p.Identified(t.Context()))
		assert.Zero(t, q.peek(&q.hasty.length), "checked, and found patient")
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Equal(t, 99, q.peek(&q.hasty.length), "another reset will come")
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Zero(t, q.peek(&q.waiting), "the next reset is beyond their deadline")
	})
}

// Real time, no pauses, every operation at once: what was granted is what was
// spent, no two hold a bucket, and nobody is forgotten.
func TestNothingIsLostInACrowd(t *testing.T) {
	const callers, rounds, buckets = 64, 200, 4
	limit := gatewayqueue.SessionStartLimit{Total: 1 << 20, Remaining: 1 << 20, MaxConcurrency: buckets}
	q := newTestQueue(t, limit, WithWindow(20*time.Microsecond), WithMargin(0), WithPermitMargin(0))
	var spent atomic.Int64
	var holders [buckets]atomic.Int32
	var crowd sync.WaitGroup
	for shard := range callers {
		crowd.Go(func() {
			dice := rand.New(rand.NewPCG(1, uint64(shard)))
			for range rounds {
				ctx, cancel := context.WithCancel(t.Context())
				if dice.IntN(2) == 0 {
					time.AfterFunc(time.Duration(dice.IntN(1000))*time.Microsecond, cancel)
				}
				if dice.IntN(2) == 0 {
					if q.Wait(ctx, shard) == nil {
						spent.Add(1)
					}
				} else if p, err := q.Acquire(ctx, shard); err == nil {
					assert.EqualValues(t, 1, holders[shard%buckets].Add(1), "holders of bucket %d", shard%buckets)
					holders[shard%buckets].Add(-1)
					if dice.IntN(2) == 0 {
						spent.Add(1)
						_ = p.Identified(ctx)
					} else {
						_ = p.Abandon(ctx)
					}
				}
				cancel()
			}
		})
	}
	crowd.Wait()
	s, err := q.Status(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, spent.Load(), s.Budget.Total-s.Budget.Remaining)
	assert.Zero(t, s.Waiting())
	assert.Zero(t, q.armed())
	assert.Empty(t, q.budget.out)
	assert.Zero(t, q.peek(&q.hasty.length))
}

// The same with updates in between: there, all that can be asked is that
// everyone gets an answer.
func TestTheLastEventOfTheBudgetIsWhatIsLeft(t *testing.T) {
	for range 50 {
		var last atomic.Int64
		limit := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 1000, MaxConcurrency: 16}
		q, err := New(limit, WithWindow(time.Microsecond), WithObserver(func(e gatewayqueue.Event) {
			if e.Kind == gatewayqueue.EventBudget {
				runtime.Gosched() // others overtake
				last.Store(int64(e.Remaining))
			}
		}))
		require.NoError(t, err)
		var all sync.WaitGroup
		for shard := range 16 {
			all.Go(func() {
				if permit, err := q.Acquire(t.Context(), shard); assert.NoError(t, err) && shard%2 == 0 {
					assert.NoError(t, permit.Abandon(t.Context()))
				}
			})
		}
		all.Wait()
		require.Eventually(t, func() bool { return last.Load() == 992 }, time.Minute, time.Millisecond)
		require.NoError(t, q.Close())
	}
}

func TestUpdatesInACrowdStrandNobody(t *testing.T) {
	q := newTestQueue(t, gatewayqueue.DefaultLimit(), WithWindow(20*time.Microsecond), WithMargin(0), WithPermitMargin(0))
	var crowd sync.WaitGroup
	for shard := range 32 {
		crowd.Go(func() {
			for i := range 100 {
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				p, err := q.Acquire(ctx, shard)
				switch {
				case err != nil:
					assert.ErrorIs(t, err, context.DeadlineExceeded)
				case i%3 == 0:
					_ = p.Abandon(ctx)
				default:
					_ = p.Identified(ctx)
				}
				cancel()
			}
		})
	}
	done := make(chan struct{})
	go func() { crowd.Wait(); close(done) }()
	for i := 0; ; i++ {
		select {
		case <-done:
		case <-time.After(100 * time.Microsecond):
			limit := gatewayqueue.SessionStartLimit{Total: 50, Remaining: i % 51, MaxConcurrency: 1 + i%6, ResetAfter: time.Millisecond}
			require.NoError(t, q.Update(t.Context(), limit))
			continue
		}
		break
	}
	assert.Zero(t, q.armed())
	assert.Zero(t, q.peek(&q.waiting))
}

func TestClosingACrowdAnswersEveryone(t *testing.T) {
	for range 20 {
		q := newTestQueue(t, gatewayqueue.DefaultLimit(), WithWindow(time.Microsecond), WithMargin(0))
		var crowd sync.WaitGroup
		for shard := range 32 {
			crowd.Go(func() {
				for {
					if err := q.Wait(context.Background(), shard); err != nil {
						assert.ErrorIs(t, err, gatewayqueue.ErrClosed)
						return
					}
				}
			})
		}
		time.Sleep(100 * time.Microsecond)
		require.NoError(t, q.Close())
		crowd.Wait()
	}
}

func TestALineKeepsItsLinks(t *testing.T) {
	now := time.Now()
	tickets := make([]ticket, 50)
	var l line
	var want []*ticket
	dice := rand.New(rand.NewPCG(3, 3))
	for range 2000 {
		tk := &tickets[dice.IntN(len(tickets))]
		if tk.place.ticket != nil {
			l.remove(&tk.place)
			l.remove(&tk.place) // does nothing
			want = slices.DeleteFunc(want, func(other *ticket) bool { return other == tk })
		} else {
			tk.shard, tk.arrival = dice.IntN(5), now.Add(time.Duration(dice.IntN(5)))
			l.insert(&tk.place, tk)
			at := len(want)
			for at > 0 && tk.compare(want[at-1]) < 0 {
				at--
			}
			want = slices.Insert(want, at, tk)
		}
		var forth, back []*ticket
		for k := l.head; k != nil; k = k.next {
			forth = append(forth, k.ticket)
		}
		for k := l.tail; k != nil; k = k.prev {
			back = append(back, k.ticket)
		}
		slices.Reverse(back)
		require.Equal(t, len(want), l.length)
		require.True(t, slices.Equal(want, forth) && slices.Equal(want, back))
	}
}

func TestCancelErrorsSayWhy(t *testing.T) {
	weary := errors.New("weary")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(weary)
	q := newTestQueue(t, gatewayqueue.DefaultLimit())
	for _, err := range []error{q.Wait(ctx, 0), q.Update(ctx, gatewayqueue.DefaultLimit())} {
		assert.ErrorIs(t, err, weary)
		assert.ErrorIs(t, err, context.Canceled)
	}
	_, err := q.Status(ctx)
	assert.ErrorIs(t, err, weary)
}

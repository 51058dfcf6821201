package rollout

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/words"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// noon is the moment of the snapshots below.
var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// atNoon is a snapshot of a queue at rest.
func atNoon(maxConcurrency, remaining int, change func(*gatewayqueue.Status)) gatewayqueue.Status {
	s := gatewayqueue.Status{
		Time: noon, Step: 5 * time.Second,
		Budget:  gatewayqueue.BudgetStatus{Total: 1000, Remaining: remaining, MaxConcurrency: maxConcurrency, Reset: noon.Add(4 * time.Hour), Reserve: 10},
		Buckets: make([]gatewayqueue.BucketStatus, maxConcurrency),
	}
	for id := range s.Buckets {
		s.Buckets[id].Bucket = id
	}
	if change != nil {
		change(&s)
	}
	return s
}

func TestPlan_OfASnapshot(t *testing.T) {
	none := &Amount{}
	in := noon.Add
	reset := in(4 * time.Hour)
	for name, c := range map[string]struct {
		of      gatewayqueue.Status
		request Request
		want    Plan // CrashReserve, Total, Reserve and Lowest (where it is Left) need not be said
	}{
		"empty queue, one bucket": {
			of: atNoon(1, 874, nil), request: Request{Shards: 16},
			want: Plan{OK: true, Up: in(75 * time.Second), Left: 858, Periods: []Period{{reset, 16, 858}}},
		},
		"16 buckets": {
			of: atNoon(16, 874, nil), request: Request{Shards: 160},
			want: Plan{OK: true, Up: in(45 * time.Second), Left: 714, Periods: []Period{{reset, 160, 714}}},
		},
		"64 buckets, shards no multiple of them": {
			of: atNoon(64, 874, nil), request: Request{Shards: 65},
			want: Plan{OK: true, Up: in(5 * time.Second), Left: 809, Periods: []Period{{reset, 65, 809}}},
		},
		"fewer shards than buckets": {
			of: atNoon(64, 874, nil), request: Request{Shards: 3},
			want: Plan{OK: true, Up: noon, Left: 871, Periods: []Period{{reset, 3, 871}}},
		},
		"no period has begun": {
			of:      atNoon(1, 1000, func(s *gatewayqueue.Status) { s.Budget.Reset = time.Time{} }),
			request: Request{Shards: 100, At: in(time.Hour)},
			want:    Plan{OK: true, At: in(time.Hour), Up: in(time.Hour + 495*time.Second), Left: 900, Periods: []Period{{in(25 * time.Hour), 100, 900}}},
		},
		"a queue in memory that has spent some without a reset": {
			of:      atNoon(1, 999, func(s *gatewayqueue.Status) { s.Budget.Reset, s.Budget.Reserve = time.Time{}, 0 }),
			request: Request{Shards: 2},
			want:    Plan{OK: true, Up: in(5 * time.Second), Left: 997, Periods: []Period{{in(24 * time.Hour), 2, 997}}},
		},
		"behind a line": {
			of:      atNoon(2, 874, func(s *gatewayqueue.Status) { s.Buckets[1].Waiting, s.Buckets[1].Closed = 3, 2*time.Second }),
			request: Request{Shards: 2},
			want:    Plan{OK: true, Ahead: 3, Up: in(17 * time.Second), Left: 869, Periods: []Period{{reset, 2, 869}}},
		},
		"behind a line of another bucket": {
			of:      atNoon(2, 874, func(s *gatewayqueue.Status) { s.Buckets[1].Waiting = 3 }),
			request: Request{Shards: 1},
			want:    Plan{OK: true, Ahead: 3, Up: noon, Left: 872, Lowest: 872, Periods: []Period{{reset, 1, 872}}},
		},
		"after a line": {
			of:      atNoon(1, 874, func(s *gatewayqueue.Status) { s.Buckets[0].Waiting = 3 }),
			request: Request{Shards: 1, At: in(time.Minute)},
			want:    Plan{OK: true, At: in(time.Minute), Ahead: 3, Up: in(time.Minute), Left: 870, Periods: []Period{{reset, 1, 870}}},
		},
		"behind a permit, whose holder will identify soon": {
			of:      atNoon(1, 874, func(s *gatewayqueue.Status) { s.Buckets[0].Closed, s.Buckets[0].Permit = 2*time.Minute, true }),
			request: Request{Shards: 1},
			want:    Plan{OK: true, Up: in(5 * time.Second), Left: 873, Periods: []Period{{reset, 1, 873}}},
		},
		"a time that has passed is now": {
			of: atNoon(1, 874, nil), request: Request{Shards: 1, At: in(-time.Hour)},
			want: Plan{OK: true, Up: noon, Left: 873, Periods: []Period{{reset, 1, 873}}},
		},
		"budget too small": {
			of: atNoon(1, 100, nil), request: Request{Shards: 200},
			want: Plan{
				Reason: gatewayqueue.ReasonBudget, Why: "the budget is too small: 110 of 200 shards would wait until its reset",
				Up: reset.Add(109 * 5 * time.Second), Left: 890, Lowest: 10,
				Periods: []Period{{reset, 90, 10}, {reset.Add(24 * time.Hour), 110, 890}}, Next: reset,
			},
		},
		"budget too small behind a line that has to wait for the reset": {
			of:      atNoon(1, 12, func(s *gatewayqueue.Status) { s.Buckets[0].Waiting = 3 }),
			request: Request{Shards: 2},
			want: Plan{
				Reason: gatewayqueue.ReasonBudget, Why: "the budget is too small: 2 of 2 shards would wait until its reset", Ahead: 3,
				Up: reset.Add(10 * time.Second), Left: 997, Periods: []Period{{reset.Add(24 * time.Hour), 2, 997}}, Next: reset,
			},
		},
		"more than a whole budget": {
			of: atNoon(1, 1000, nil), request: Request{Shards: 995},
			want: Plan{
				Reason: gatewayqueue.ReasonBudget, Why: "995 shards are more than a whole budget: 1000 units, of which 10 are never granted",
				Up: reset.Add(4 * 5 * time.Second), Left: 995, Lowest: 10,
				Periods: []Period{{reset, 990, 10}, {reset.Add(24 * time.Hour), 5, 995}}, Next: reset.Add(-740 * 5 * time.Second),
			},
		},
		"more than a whole budget, of which enough comes before the reset and enough after it": {
			of: atNoon(1, 40, func(s *gatewayqueue.Status) {
				s.Budget.Total, s.Budget.Reserve, s.Budget.Reset = 40, 0, in(time.Minute)
			}),
			request: Request{Shards: 41, CrashReserve: none},
			want: Plan{
				OK: true, Up: in(200 * time.Second), Left: 11, Lowest: 11,
				Periods: []Period{{in(time.Minute), 12, 28}, {in(24*time.Hour + time.Minute), 29, 11}},
			},
		},
		"period ends during the roll-out": {
			of:      atNoon(1, 600, func(s *gatewayqueue.Status) { s.Budget.Reset = in(time.Minute) }),
			request: Request{Shards: 100},
			want: Plan{
				OK: true, Up: in(495 * time.Second), Left: 912, Lowest: 588,
				Periods: []Period{{in(time.Minute), 12, 588}, {in(24*time.Hour + time.Minute), 88, 912}},
			},
		},
		"period ends during the roll-out, which would eat the crash reserve until then": {
			of:      atNoon(1, 115, func(s *gatewayqueue.Status) { s.Budget.Reset = in(time.Minute) }),
			request: Request{Shards: 100},
			want: Plan{
				Reason: ReasonCrashReserve, Why: "only 93 would be left of the 100 that are kept for crashes",
				Up: in(495 * time.Second), Left: 912, Lowest: 103,
				Periods: []Period{{in(time.Minute), 12, 103}, {in(24*time.Hour + time.Minute), 88, 912}}, Next: in(35 * time.Second), // the rest of it comes after the reset
			},
		},
		"after the reset": {
			of: atNoon(1, 12, nil), request: Request{Shards: 100, At: in(5 * time.Hour)},
			want: Plan{OK: true, At: in(5 * time.Hour), Up: in(5*time.Hour + 495*time.Second), Left: 900, Periods: []Period{{in(29 * time.Hour), 100, 900}}},
		},
		"400 shards, the second time in a day": {
			of: atNoon(16, 600, func(s *gatewayqueue.Status) { s.SpentBy = 400 }), request: Request{Shards: 400},
			want: Plan{
				Reason: ReasonCrashReserve, Why: "only 190 would be left of the 250 that are kept for crashes", CrashReserve: 250,
				Up: in(120 * time.Second), Left: 200, Periods: []Period{{reset, 400, 200}}, Next: reset.Add(-21 * 5 * time.Second),
			},
		},
		"some shards of a fleet, whose crash reserve is the fleet's": {
			of: atNoon(16, 300, func(s *gatewayqueue.Status) { s.SpentBy = 200 }), request: Request{Shards: 100},
			want: Plan{
				Reason: ReasonCrashReserve, Why: "only 190 would be left of the 200 that are kept for crashes", CrashReserve: 200,
				Up: in(30 * time.Second), Left: 200, Periods: []Period{{reset, 100, 200}}, Next: reset.Add(-5 * 5 * time.Second),
			},
		},
		"crash reserve of nothing": {
			of: atNoon(16, 410, nil), request: Request{Shards: 400, CrashReserve: none},
			want: Plan{OK: true, Up: in(120 * time.Second), Left: 10, Periods: []Period{{reset, 400, 10}}},
		},
		"crash reserve of half the total": {
			of: atNoon(16, 900, nil), request: Request{Shards: 400, CrashReserve: &Amount{Percent: 50}},
			want: Plan{
				Reason: ReasonCrashReserve, Why: "only 490 would be left of the 500 that are kept for crashes", CrashReserve: 500,
				Up: in(120 * time.Second), Left: 500, Periods: []Period{{reset, 400, 500}}, Next: reset.Add(-24 * 5 * time.Second),
			},
		},
		"crash reserve that no budget has": {
			of: atNoon(16, 900, nil), request: Request{Shards: 400, CrashReserve: &Amount{Units: 700}},
			want: Plan{
				Reason: ReasonCrashReserve, Why: "even of a full budget of 1000, 400 shards leave less than the 700 that are kept for crashes", CrashReserve: 700,
				Up: in(120 * time.Second), Left: 500, Periods: []Period{{reset, 400, 500}}, Next: reset.Add(-11 * 5 * time.Second),
			},
		},
		"held for 10 s": {
			of: atNoon(1, 874, func(s *gatewayqueue.Status) { s.Hold = 10 * time.Second }), request: Request{Shards: 2},
			want: Plan{OK: true, Up: in(15 * time.Second), Left: 872, Periods: []Period{{reset, 2, 872}}},
		},
		"held for an hour": {
			of: atNoon(1, 874, func(s *gatewayqueue.Status) { s.Hold = time.Hour }), request: Request{Shards: 2},
			want: Plan{
				Reason: gatewayqueue.ReasonHold, Why: "every bucket is held closed", Up: in(time.Hour + 5*time.Second), Left: 872,
				Periods: []Period{{reset, 2, 872}}, Next: in(59 * time.Minute), // a minute of a hold keeps nobody from a roll-out
			},
		},
		"after a hold": {
			of: atNoon(1, 874, func(s *gatewayqueue.Status) { s.Hold = time.Hour }), request: Request{Shards: 2, At: in(2 * time.Hour)},
			want: Plan{OK: true, At: in(2 * time.Hour), Up: in(2*time.Hour + 5*time.Second), Left: 872, Periods: []Period{{reset, 2, 872}}},
		},
		"paused until somebody resumes": {
			of:      atNoon(1, 874, func(s *gatewayqueue.Status) { s.Pause = &gatewayqueue.PauseStatus{Who: "anna", Why: "incident 7"} }),
			request: Request{Shards: 2, At: in(time.Hour)},
			want:    Plan{Reason: gatewayqueue.ReasonPaused, Why: "grants are paused by anna: incident 7", At: in(time.Hour), Left: 874},
		},
		"paused for an hour": {
			of: atNoon(1, 874, func(s *gatewayqueue.Status) {
				s.Pause = &gatewayqueue.PauseStatus{Who: "anna", Why: "incident 7", Until: in(time.Hour)}
			}),
			request: Request{Shards: 2},
			want: Plan{
				Reason: gatewayqueue.ReasonPaused, Why: "grants are paused by anna: incident 7", Up: in(time.Hour + 5*time.Second), Left: 872, Periods: []Period{{reset, 2, 872}}, Next: in(time.Hour),
			},
		},
		"after a pause": {
			of:      atNoon(1, 874, func(s *gatewayqueue.Status) { s.Pause = &gatewayqueue.PauseStatus{Until: in(time.Hour)} }),
			request: Request{Shards: 1, At: in(2 * time.Hour)},
			want:    Plan{OK: true, At: in(2 * time.Hour), Up: in(2 * time.Hour), Left: 873, Periods: []Period{{reset, 1, 873}}},
		},
		"storm": {
			of:      atNoon(1, 874, func(s *gatewayqueue.Status) { s.Storm = &gatewayqueue.Storm{Refused: 42, Since: noon} }),
			request: Request{Shards: 2, At: in(time.Hour)},
			want: Plan{
				Reason: ReasonStorm, Why: "Discord refuses sessions in numbers, 42 in the last minute: their shards come back first",
				At: in(time.Hour), Up: in(time.Hour + 5*time.Second), Left: 872, Periods: []Period{{reset, 2, 872}},
			},
		},
		"refused sessions that are no storm": {
			of: atNoon(1, 874, func(s *gatewayqueue.Status) { s.Storm = &gatewayqueue.Storm{Refused: 2} }), request: Request{Shards: 1},
			want: Plan{OK: true, Up: noon, Left: 873, Periods: []Period{{reset, 1, 873}}},
		},
		"budget unknown": {
			of: gatewayqueue.Status{Time: noon, Budget: gatewayqueue.BudgetStatus{Unknown: true}}, request: Request{Shards: 2},
			want: Plan{Reason: gatewayqueue.ReasonSource, Why: "the limits are not known: nobody has waited yet, or the limit source has not answered"},
		},
		"budget lost": {
			of: atNoon(1, 0, func(s *gatewayqueue.Status) { s.Budget.Unknown, s.Source.Error = true, "rate limited" }), request: Request{Shards: 2},
			want: Plan{Reason: gatewayqueue.ReasonSource, Why: "the limits are not known, and the limit source fails: rate limited"},
		},
		"limits that allow nothing": {
			of:      atNoon(1, 0, func(s *gatewayqueue.Status) { s.Budget.Total, s.Budget.Never = 0, "gatewayqueue: "+words.Never }),
			request: Request{Shards: 2},
			want:    Plan{Reason: gatewayqueue.ReasonLimits, Why: words.Never},
		},
		"nothing left, and nobody knows until when": {
			of:      atNoon(1, 10, func(s *gatewayqueue.Status) { s.Budget.Reset = time.Time{} }),
			request: Request{Shards: 2},
			want:    Plan{Reason: gatewayqueue.ReasonBudget, Why: "the budget is too small: 2 of 2 shards would wait until its reset", Left: 10},
		},
		"a shard backs off": {
			of:      atNoon(1, 874, func(s *gatewayqueue.Status) { s.Backoffs = map[int]time.Time{1: in(time.Hour), 7: in(2 * time.Hour)} }),
			request: Request{Shards: 2},
			want:    Plan{OK: true, Up: in(time.Hour), Left: 872, Periods: []Period{{reset, 2, 872}}},
		},
		"in time": {
			of: atNoon(1, 874, nil), request: Request{Shards: 16, Within: 75 * time.Second},
			want: Plan{OK: true, Up: in(75 * time.Second), Left: 858, Periods: []Period{{reset, 16, 858}}},
		},
		"not in time": {
			of: atNoon(1, 874, nil), request: Request{Shards: 16, Within: 74 * time.Second},
			want: Plan{
				Reason: ReasonTime, Why: "it takes 1m15s, which is longer than 1m14s", Up: in(75 * time.Second), Left: 858,
				Periods: []Period{{reset, 16, 858}},
			},
		},
		"not in time because of a line": {
			of:      atNoon(1, 874, func(s *gatewayqueue.Status) { s.Buckets[0].Waiting = 10 }),
			request: Request{Shards: 1, Within: 20 * time.Second},
			want: Plan{
				Reason: ReasonTime, Why: "it takes 50s, which is longer than 20s", Ahead: 10, Up: in(50 * time.Second), Left: 863,
				Periods: []Period{{reset, 1, 863}}, Next: in(30 * time.Second),
			},
		},
		"a line that uses up the next period": {
			of: atNoon(1, 10, func(s *gatewayqueue.Status) {
				s.Budget.Total, s.Buckets[0].Waiting = 100, 80
			}),
			request: Request{Shards: 50},
			want: Plan{
				Reason: gatewayqueue.ReasonBudget, Why: "the budget is too small: 50 of 50 shards would wait until its reset", Ahead: 80,
				Up: reset.Add(24*time.Hour + 39*5*time.Second), Left: 60, Lowest: 10, CrashReserve: 25,
				Periods: []Period{{reset.Add(24 * time.Hour), 10, 10}, {reset.Add(48 * time.Hour), 40, 60}}, Next: reset.Add(24 * time.Hour),
			},
		},
		"more than a week of budgets": {
			of: atNoon(1, 10, func(s *gatewayqueue.Status) { s.Budget.Total = 11 }), request: Request{Shards: 100},
			want: Plan{
				Reason: gatewayqueue.ReasonBudget, Why: "100 shards are more than a whole budget: 11 units, of which 10 are never granted", Left: 10, CrashReserve: 2,
				Periods: []Period{
					{reset.Add(24 * time.Hour), 1, 10}, {reset.Add(48 * time.Hour), 1, 10}, {reset.Add(72 * time.Hour), 1, 10}, {reset.Add(96 * time.Hour), 1, 10},
					{reset.Add(120 * time.Hour), 1, 10}, {reset.Add(144 * time.Hour), 1, 10}, {reset.Add(168 * time.Hour), 1, 10}, {reset.Add(192 * time.Hour), 1, 10},
				},
			},
		},
		"no limit at all": {
			of: gatewayqueue.Status{Time: noon}, request: Request{Shards: 50},
			want: Plan{OK: true, Up: noon},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := NewPlan(c.of, c.request)
			require.NoError(t, err)
			want := c.want
			want.Shards, want.Total, want.Reserve = c.request.Shards, c.of.Budget.Total, c.of.Budget.Reserve
			if want.Cost = want.Shards; want.OK && want.Total == 0 {
				want.Cost = 0
			}
			if want.At.IsZero() {
				want.At = noon
			}
			if !want.Up.IsZero() {
				want.Takes = want.Up.Sub(want.At)
			}
			if want.Lowest == 0 {
				want.Lowest = want.Left
			}
			if want.Periods == nil {
				want.Periods = []Period{}
			}
			if want.CrashReserve == 0 && c.request.CrashReserve == nil {
				want.CrashReserve = min(want.Shards, want.Total/4)
			}
			assert.Equal(t, want, got)
		})
	}
}

func TestPlan_RefusesARequestThatIsOutOfRange(t *testing.T) {
	for _, r := range []Request{{}, {Shards: -1}, {Shards: MaxShards + 1}, {Shards: 1, Within: -1}} {
		_, err := NewPlan(atNoon(1, 874, nil), r)
		assert.ErrorIs(t, err, gatewayqueue.ErrInvalid, "%+v", r)
	}
}

func TestAmount_IsUnitsOrAShareOfTheTotal(t *testing.T) {
	for text, of1000 := range map[string]int{"0": 0, "250": 250, "25%": 250, "2.5%": 25, "0.01%": 1, "7%": 70, "100%": 1000} {
		a, err := ParseAmount(text)
		require.NoError(t, err, text)
		assert.Equal(t, of1000, a.Of(1000), text)
		again, err := ParseAmount(a.String())
		require.NoError(t, err)
		assert.Equal(t, a, again)
	}
	for _, text := range []string{"", "-1", "%", "101%", "-1%", "NaN%", "x", "1e9%", "2000000000", "1 2"} {
		_, err := ParseAmount(text)
		assert.ErrorIs(t, err, gatewayqueue.ErrInvalid, text)
	}
}

func TestParseMoment_IsATimeOrATimeOfDayOrHowLongFromNow(t *testing.T) {
	now := time.Date(2026, 11, 27, 14, 30, 5, 0, time.FixedZone("", 3600))
	for text, want := range map[string]string{
		"2026-11-28T03:00:00Z": "2026-11-28T03:00:00Z", "2026-11-28T03:00:00+02:00": "2026-11-28T01:00:00Z",
		"+2h": "2026-11-27T15:30:05Z", "+0s": "2026-11-27T13:30:05Z", "15:00": "2026-11-27T14:00:00Z", "14:30": "2026-11-28T13:30:00Z", "03:05": "2026-11-28T02:05:00Z",
	} {
		at, err := ParseMoment(text, now)
		require.NoError(t, err, text)
		assert.Equal(t, want, at.UTC().Format(time.RFC3339), text)
	}
	for _, text := range []string{"", "2h", "-2h", "+2", "soon", "25:00", "2026-11-28", "tomorrow"} {
		_, err := ParseMoment(text, now)
		assert.ErrorIs(t, err, gatewayqueue.ErrInvalid, text)
	}
	for text, want := range map[string]string{
		"2026-11-27T13:29:04Z": "a moment that has not passed yet: it is 2026-11-27T14:30:05+01:00 now", "0001-01-01T00:00:00Z": "a moment that has not passed yet: it is 2026-11-27T14:30:05+01:00 now",
		"9999-01-01T00:00:00Z": "a moment within 366 days", "+2562047h": "a moment within 366 days", "+8784h1s": "a moment within 366 days",
	} {
		_, err := ParseMoment(text, now)
		var bad *gatewayqueue.InvalidError
		require.ErrorAs(t, err, &bad, text)
		assert.Equal(t, want, bad.Want, text)
	}
	for _, text := range []string{"2026-11-27T13:29:30Z", "+8784h"} { // a script took its time
		_, err := ParseMoment(text, now)
		assert.NoError(t, err, text)
	}
}

// A plan against what it foretells: a queue in which others wait, permits are out and
// windows run, and to which the shards then come.
func TestPlan_IsWhatAQueueThenDoes(t *testing.T) {
	for seed := range uint64(150) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { planAndRun(t, rand.New(rand.NewPCG(seed, 14))) })
		})
	}
}

func planAndRun(t *testing.T, random *rand.Rand) {
	limit := gatewayqueue.SessionStartLimit{
		Total: 20 + random.IntN(200), MaxConcurrency: []int{1, 2, 3, 16, 64}[random.IntN(5)],
		ResetAfter: time.Duration(random.Int64N(int64(30 * time.Minute))),
	}
	limit.Remaining = random.IntN(limit.Total + 1)
	q, err := memqueue.New(limit, memqueue.WithHold(time.Duration(random.Int64N(2))*20*time.Second), memqueue.WithLogger(slog.New(slog.DiscardHandler)))
	require.NoError(t, err)
	var all sync.WaitGroup
	defer all.Wait()
	wait := func(shard int, permit bool, granted func()) {
		holds := time.Duration(random.Int64N(int64(time.Second)))
		all.Go(func() {
			if !permit {
				if q.Wait(t.Context(), shard) == nil {
					granted()
				}
			} else if p, err := q.Acquire(t.Context(), shard); err == nil {
				granted()
				time.Sleep(holds)
				assert.NoError(t, p.Identified(t.Context()))
			}
		})
	}
	permits := random.IntN(2) * 4 // of 16 waiters
	for range random.IntN(40) {
		wait(random.IntN(100), random.IntN(16) < permits, func() {})
		if random.IntN(3) == 0 {
			time.Sleep(time.Duration(random.Int64N(int64(2 * time.Second))))
		}
	}
	synctest.Wait()
	status, err := q.Status(t.Context())
	require.NoError(t, err)
	r := Request{ // a moment later: of those who come at once the lower shard is first
		Shards: 1 + random.IntN(2*limit.Total), At: status.Time.Add(time.Millisecond + time.Duration(random.Int64N(int64(time.Hour)))*time.Duration(random.IntN(2))),
	}
	plan, err := NewPlan(status, r)
	require.NoError(t, err)
	if plan.Up.IsZero() {
		return // a total of which nothing is left
	}
	time.Sleep(time.Until(plan.At))
	var mu sync.Mutex
	var up time.Time
	left := 0
	for shard := range r.Shards {
		wait(shard, false, func() {
			s, err := q.Status(t.Context())
			mu.Lock()
			defer mu.Unlock()
			assert.NoError(t, err)
			if now := time.Now(); !now.Before(up) {
				up, left = now, s.Budget.Remaining
			}
		})
	}
	time.Sleep(time.Until(plan.Up.Add(time.Minute)))
	synctest.Wait()
	mu.Lock()
	defer mu.Unlock()
	about := fmt.Sprintf("%+v, then %+v", status, plan)
	// What a plan cannot know: how soon the holder of a permit identifies, who is first of
	// those who are granted in one instant, and so which bucket gets the last unit of a
	// period; and that an IDENTIFY right before a reset counts in the next period, too.
	near, unsure := gatewayqueue.IdentifyDelay, limit.MaxConcurrency-1
	if permits > 0 || !status.Budget.Reset.IsZero() && status.Budget.Reset.Before(plan.Up) || len(plan.Periods) > 1 {
		if unsure++; plan.Reason == gatewayqueue.ReasonBudget || plan.Lowest <= unsure {
			near += time.Duration(1+len(plan.Periods)) * status.Step
			unsure *= 1 + len(plan.Periods)
		}
	}
	if plan.Left < unsure {
		return // the last shard may have to wait for another period
	}
	assert.WithinDuration(t, plan.Up, up, near, about)
	assert.InDelta(t, plan.Left, left, float64(unsure), about)
	require.NoError(t, q.Close())
}

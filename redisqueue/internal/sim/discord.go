package sim

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/judge"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/pod"
)

// discord counts identifies, and says what is left of the budget.
type discord struct {
	world   *world
	limit   gatewayqueue.SessionStartLimit // at the start
	buckets int                            // max_concurrency now
	ever    []int                          // all values of it so far
	spends  []judge.Spend
	failing time.Time // until when it answers with errors
	all     []judge.Identify
}

func newDiscord(w *world) *discord {
	l := w.plan.limit()
	return &discord{world: w, limit: l, buckets: l.MaxConcurrency, ever: []int{l.MaxConcurrency}}
}

// periods are Discord's until a moment.
func (d *discord) periods(until time.Duration) []judge.Period {
	return judge.Periods(d.limit, 0, gatewayqueue.LimitPeriod, d.spends, until)
}

// report is session_start_limit as of now: the last identifies may not be in it yet.
func (d *discord) report() gatewayqueue.SessionStartLimit {
	now := d.world.since()
	l := gatewayqueue.SessionStartLimit{Total: d.limit.Total, Remaining: d.limit.Total, MaxConcurrency: d.buckets}
	if all := d.periods(now - d.world.plan.counted); len(all) > 0 && now < all[len(all)-1].Ends {
		last := all[len(all)-1]
		l.Remaining, l.ResetAfter = max(0, l.Total-last.Spent), last.Ends-now
	}
	return l
}

func (d *discord) change(buckets int) {
	d.buckets = buckets
	d.ever = append(d.ever, buckets)
}

var errSource = errors.New("HTTP 503")

// ask asks Discord for the limits.
func (p *simPod) ask(c pod.Ask) {
	w, r := p.world, p.config.Source.(*source).random
	p.in(some(r, 200*time.Millisecond), func() {
		limit, err := w.discord.report(), error(nil)
		if w.now.Before(w.discord.failing) {
			limit, err = gatewayqueue.SessionStartLimit{}, errSource
			w.reach(SourceFailed)
		}
		w.tell("%s: Discord says %+v, %v", p.name, limit, err)
		p.in(some(r, 400*time.Millisecond), func() { p.step(pod.SourceAnswered{To: c, Limit: limit, Err: err}) })
	})
}

// source is how a pod treats the limit source.
type source struct {
	random *rand.Rand
	failed bool
	until  time.Time
}

// Failed is a pod.Source's.
func (s *source) Failed(now time.Time, _ error) (wait time.Duration, tell bool) {
	tell = !s.failed
	wait = time.Second + some(s.random, 5*time.Second)
	s.failed, s.until = true, now.Add(wait)
	return wait, tell
}

// Answered is a pod.Source's.
func (s *source) Answered() bool {
	failed := s.failed
	s.failed, s.until = false, time.Time{}
	return failed
}

// Wait is a pod.Source's.
func (s *source) Wait(now time.Time) time.Duration { return max(0, s.until.Sub(now)) }

// ForAll is a pod.Source's.
func (s *source) ForAll(error) bool { return s.random.IntN(2) == 0 }

// Cure is a pod.Source's.
func (s *source) Cure(error) string { return "" }

// Package pod is what a pod of a RedisQueue decides: which call to send, when, and
// what an answer means for its callers. It is pure: Step takes what has happened and
// returns what is to be done, Next says when the pod wants to be woken. It has no
// lock, channel, context or clock; redisqueue's shell has one loop around it, and
// internal/sim many. The same events at the same moments give the same commands.
package pod

import (
	"slices"
	"sort"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// Config is what a pod is set to, and what it needs of the world.
type Config struct {
	Timing
	Name          string // of the pod
	App           string
	Keys          wire.Keys
	Limit         gatewayqueue.SessionStartLimit // to seed with where there is no source
	LimitAt       time.Time                      // when that was true
	LimitGiven    bool                           // the limit was given by hand, and not by default
	Refresh       time.Duration                  // how often the source is asked while shards wait
	Reserve       Reserve
	FreshStart    bool   // an empty Redis is a new one
	FailExhausted bool   // waiters do not wait for the reset
	Backoff       int    // identifies in a period from which on a shard backs off; 0 for none
	Replicas      int    // that must acknowledge a grant
	CannotAsk     string // why this pod's client cannot ask replicas; empty if it can

	Source   Source                // nil for none
	Random   func() float64        // in [0, 1)
	NewEpoch func() string         // a name that no state has had
	Advise   func(err error) error // adds what of the client's own stands in the way
}

// Source is how the limit source is treated. It is asked by an Ask.
type Source interface {
	Failed(now time.Time, err error) (wait time.Duration, tell bool)
	Answered() (hadFailed bool)
	Wait(now time.Time) time.Duration // until it may be asked
	ForAll(err error) bool            // every pod would be answered the same
	Cure(err error) string
}

// Pod is one pod's part of the queue.
type Pod struct {
	cfg *Config
	now elapsed.Moment // of this step
	out []Command      // of this step

	closed   bool
	onTheWay int // calls that are not answered yet
	tickets  uint64
	timers   []*timer // by their time

	// What is known of the limits.
	view    wire.View
	ready   bool // view is Redis's, as far as is known
	meeting bool // it is being agreed on
	meetAt  time.Time
	misses  int  // times in a row that Redis could not be met
	never   bool // the limits in force allow no grant at all, and the log has said so
	warned  int  // the budget warning given last, in percent

	// The waiters.
	lobby      []*Waiter // those that came before the first contact
	lines      []*line   // by bucket
	backingOff []*Waiter // those whose shard identifies too often
	permits    []*Permit // those that are renewed

	beat   beat
	server acquaintance
	health health
	said   map[string]time.Time // when each reason was told last

	claims    pace // of grants
	announces pace
	way       way

	paused    pause
	hold      closed    // of every bucket, as last heard
	grantedAt time.Time // when a waiter of this pod was granted last
	askedWhy  time.Time // when it was last looked why nobody is granted
	departing *departure
}

// New makes a pod. Its config is not changed afterwards.
func New(cfg *Config) *Pod {
	return &Pod{cfg: cfg, warned: 100, said: make(map[string]time.Time), server: acquaintance{replicas: cfg.Replicas}}
}

// Step takes in what has happened at now, and returns what is to be done.
func (p *Pod) Step(now elapsed.Moment, e Event) []Command {
	p.now = now
	e.apply(p)
	p.fire()
	p.keep()
	p.renewDue()
	for _, l := range p.lines {
		p.advance(l)
	}
	p.lines = slices.DeleteFunc(p.lines, (*line).idle)
	p.tellWhy()
	p.depart()
	for _, c := range p.out {
		if _, ok := c.(Send); ok {
			p.onTheWay++
		}
	}
	out := p.out
	p.out = nil
	return out
}

// never is later than anything that happens.
const never = 100 * 365 * 24 * time.Hour

// Next is when to Step with a Tick, at the latest.
func (p *Pod) Next() time.Time {
	now := p.now.Time()
	next := now.Add(never)
	sooner := func(t time.Time) {
		if t.Before(next) {
			next = t
		}
	}
	if len(p.timers) > 0 {
		sooner(p.timers[0].at)
	}
	for _, l := range p.lines {
		sooner(p.due(l))
	}
	for _, permit := range p.permits {
		if permit.renewable() {
			sooner(permit.renewal)
		}
	}
	if p.keeping() {
		sooner(p.keepAt())
		sooner(p.whyAt())
	}
	if next.Before(now) {
		return now
	}
	return next
}

// keeping says that the pod has something to keep up: waiters or permits.
func (p *Pod) keeping() bool {
	if p.closed {
		return false
	}
	return len(p.lobby) > 0 || len(p.permits) > 0 || len(p.backingOff) > 0 ||
		slices.ContainsFunc(p.lines, func(l *line) bool { return len(l.waiters) > 0 })
}

// timer is something to be done later.
type timer struct {
	at time.Time
	do func()
}

// after does something once a time has passed.
func (p *Pod) after(d time.Duration, do func()) *timer {
	t := &timer{p.now.Time().Add(d), do}
	i := sort.Search(len(p.timers), func(i int) bool { return t.at.Before(p.timers[i].at) })
	p.timers = slices.Insert(p.timers, i, t)
	return t
}

func (p *Pod) stop(t *timer) { p.timers = remove(p.timers, t) }

// fire does what is due.
func (p *Pod) fire() {
	for len(p.timers) > 0 && !p.timers[0].at.After(p.now.Time()) {
		t := p.timers[0]
		p.timers = p.timers[1:]
		t.do()
	}
}

// backoff is how long to wait after a failure of n in a row.
func (p *Pod) backoff(err error, n int) time.Duration {
	return wire.Backoff(wire.ClassOf(err), n, p.cfg.Random())
}

// explained is an error for a caller.
func (p *Pod) explained(err error) error { return wire.Explain(err, p.cfg.Keys) }

func remove[E comparable](from []E, e E) []E {
	if i := slices.Index(from, e); i >= 0 {
		return slices.Delete(from, i, i+1)
	}
	return from
}

// Facts is what callers may want to know without waiting for a step.
type Facts struct {
	Closed         bool
	MaxConcurrency int                       // 0 before the first contact
	Last           error                     // the error that Redis gave last; nil if it answers
	SourceError    error                     // why the limit source has given nothing; nil if it has, or was not asked
	Alone          *wire.UnacknowledgedError // the last grant was not acknowledged
}

// Facts returns what is known now.
func (p *Pod) Facts() Facts {
	f := Facts{Closed: p.closed, MaxConcurrency: p.view.MaxConcurrency, Last: p.health.last(p), SourceError: p.health.noSource, Alone: p.server.alone}
	return f
}

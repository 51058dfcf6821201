package pod

import (
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// Timing is what a queue is set to, and every duration that follows from it.
//
// Where is a margin added? For Wait to each window, by marginFor: the grant's reply
// has to come and its IDENTIFY to leave within it. For a permit once, when its
// IDENTIFY is announced or reported: half of it is for the way from the report to
// IDENTIFY (announced), the rest for the way to Discord. Redis adds none.
type Timing struct {
	Window       time.Duration // Discord's: the least time between two identifies of a bucket
	Margin       time.Duration // added to the window of a grant of Wait
	MarginLeft   time.Duration // how much of it is left to the caller when Wait returns
	PermitMargin time.Duration // added to the window that begins with a report
	PermitLease  time.Duration // for how long a bucket stays closed for a permit that nobody renews
	PodLease     time.Duration // for how long a pod that is not heard of keeps its places
}

const (
	// permitWindows is a permit's lease in windows: one for its holder, and one
	// for the window of an IDENTIFY that leaves at its deadline.
	permitWindows = 2

	// LeastPermitGood is the least time for which a permit is good.
	LeastPermitGood = 10 * time.Millisecond

	// handoff is what lies between the end of a window and the next grant: a timer,
	// and the way to Redis and back. Each place further back comes by as many of
	// them later, or most claims would be early and be repeated.
	handoff = 1500 * time.Microsecond

	// leastLead is how much of the way to Redis a claim does not leave earlier: the
	// way there is never quite the same, and a claim that is early is repeated.
	leastLead = 200 * time.Microsecond

	// unfelt is how late a grant of Wait may be without any margin for it: the way to
	// Discord varies by more.
	unfelt = 5 * time.Millisecond

	// leastSlowness is how slow replies may be at least, however short windows are.
	leastSlowness = 100 * time.Millisecond

	// mostForeseen bounds the margin that is added because replies have been slow.
	// Where they are slower than that a grant may have to be claimed again.
	mostForeseen = 100 * time.Millisecond

	// exhaustedLeases is how many times longer a pod's lease is while all of its
	// waiters wait for the reset or back off: that may be for a day, and nobody can
	// get ahead of them.
	exhaustedLeases = 10

	// AnnounceTimeout bounds how long an announcement waits for its answer: a shard
	// with an open connection waits for it.
	AnnounceTimeout = time.Second

	// CloseTimeout bounds how long a pod that closes waits for Redis.
	CloseTimeout = 2 * time.Second

	// softOutage is for how long calls must fail before it counts as an outage even
	// if nothing says that the server was away. No failover is quicker.
	softOutage = time.Second

	// agreedFor is for how long lua/lib/agree.lua keeps what a pod has asked for,
	// which is longer than any permit lasts.
	agreedFor = 5 * time.Minute

	// AloneFor is for how long a grant that was not acknowledged says that the next
	// would not be: waiters ask again before, and where there are none somebody has to
	// be let in to ask.
	AloneFor = 10 * time.Second

	// busyWait is how long a pod waits while another asks its limit source, and
	// sourceWait how long while it must not ask itself: another may get an answer.
	busyWait, sourceWait = 100 * time.Millisecond, time.Second

	// probeAfter is for how long a TTL must have run down.
	probeAfter = 30 * time.Millisecond
)

// UsualPermitLease is the lease of a permit where none is given: two windows. Where
// the window is short or its margin long, that would leave next to no time to dial.
func (t Timing) UsualPermitLease() time.Duration {
	least := t.Window + t.PermitMargin + max(t.Window/2, 50*time.Millisecond)
	return min(max(permitWindows*t.Window, least), gatewayqueue.MaxPermitDuration)
}

// StateHold is for how long every bucket stays closed after state was lost: until a
// window has passed since the last moment at which anybody may have identified by a
// grant or permit from before, also a pod that cannot reach Redis, and until every
// live pod has been heard.
func (t Timing) StateHold() time.Duration {
	return max(t.Window+t.longestMargin(), t.PermitLease, t.PodLease)
}

// Grace is for how long after its window a grant or permit from before may yet be
// used, so that window and grace, the longest of all pods, are a hold.
func (t Timing) Grace() time.Duration { return t.StateHold() - t.Window }

// longestMargin bounds how late a grant of Wait may be used where replies are slow:
// they may take as long as a permit is good, or leastSlowness.
func (t Timing) longestMargin() time.Duration {
	return max(t.Margin, t.MarginLeft+max(t.PermitGood(), leastSlowness))
}

// PermitGood is for how long a permit may be used after its last renewal: its
// lease's last window is for the window that an IDENTIFY at the last moment needs.
func (t Timing) PermitGood() time.Duration { return t.PermitLease - t.Window - t.PermitMargin }

// renewEvery is how often a permit is renewed: so that one renewal may fail.
func (t Timing) renewEvery() time.Duration { return t.PermitGood() / 3 }

// announced is for how long after an announcement its IDENTIFY may leave where
// Redis answers quickly: the rest of the margin is for the way to Discord.
func (t Timing) announced() time.Duration { return t.PermitMargin / 2 }

// step is the time between two grants of a bucket: with permits, from IDENTIFY to
// the next grant.
func (t Timing) step(permit bool) time.Duration {
	if permit {
		return t.Window + t.PermitMargin
	}
	return t.Window + t.Margin
}

// late says that a grant is, so long after its claim was sent. For a permit half of
// its time must be left, for Wait the caller's part of the margin.
func (t Timing) late(g Grant, after time.Duration) bool {
	if g.Permit != nil {
		return after >= t.PermitGood()/2
	}
	return after > max(g.Closes-t.Window-t.MarginLeft, unfelt)
}

// pace is how long Redis takes to answer, with what the caller needs to wake up: what
// the last answer took, or three quarters of what it was before, for a slow one is
// often followed by another.
type pace time.Duration

func (p *pace) took(d time.Duration) { *p = max(pace(d), *p-*p/4) }

// marginFor is the margin with which a waiter's grant is not too late once it is
// here, as far as that can be foreseen.
func (p *Pod) marginFor(w *Waiter) time.Duration {
	margin := max(p.cfg.Margin, w.extraMargin)
	if slow := time.Duration(p.claims); slow > unfelt {
		margin = max(margin, min(slow+slow/2, mostForeseen)+p.cfg.MarginLeft)
	}
	return min(margin, p.cfg.longestMargin())
}

// usable is for how long after an announcement its IDENTIFY may leave, so that the
// answer is hardly ever too late.
func (p *Pod) usable() time.Duration {
	return max(p.cfg.announced(), min(2*time.Duration(p.announces), AnnounceTimeout))
}

// way is the least that it takes to Redis and back, as of late: it follows a longer
// way slowly, so that a slow answer or two are not taken for one.
type way time.Duration

func (y *way) took(d time.Duration) {
	if *y == 0 || d < time.Duration(*y) {
		*y = way(d)
	} else {
		*y += *y / 4
		*y = min(*y, way(d))
	}
}

// askIn is when to ask for something that happens so long after a call was
// executed, whose answer has just come: a claim leaves earlier by the time that the
// way takes, so that it is there in that moment.
func (p *Pod) askIn(d time.Duration) time.Time {
	lead := max(0, time.Duration(p.way)-leastLead)
	return p.now.Time().Add(max(0, d-lead))
}

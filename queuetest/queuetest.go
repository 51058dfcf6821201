// Package queuetest is what any queue for IDENTIFY must pass.
//
// A test of a queue says how to make one, and calls [Run]:
//
//	func TestConformance(t *testing.T) {
//		queuetest.Run(t, queuetest.Harness{
//			New:     newMyQueue,
//			Window:  gatewayqueue.IdentifyDelay,
//			Margin:  gatewayqueue.GrantMargin,
//			Virtual: true,
//			// ...
//		})
//	}
//
// All times of a scenario are multiples of the window, so that the same
// scenarios run in virtual time with the real window, and against a real server
// with a small one. Every granted caller reports to a [gatewaytest.Judge] that
// has no tolerance; each scenario ends with its verdict.
package queuetest

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// Queue is what the scenarios need of a queue.
type Queue interface {
	gatewayqueue.PermitQueue
	gatewayqueue.StatusReader
	Update(ctx context.Context, limit gatewayqueue.SessionStartLimit) error
	Close() error
}

// Harness tells how to make a queue and what to expect of it.
type Harness struct {
	// New makes a queue that shares nothing with those made before. What it
	// needs besides goes to t.Cleanup; the scenario closes the queue itself,
	// earlier than that.
	New func(t testing.TB, limit gatewayqueue.SessionStartLimit) Queue

	// Pods makes n queues that share one state, otherwise as New. Nil skips
	// the scenarios for several pods.
	Pods func(t testing.TB, n int, limit gatewayqueue.SessionStartLimit) []Queue

	// Unlimited makes a queue without a limit. Nil skips the scenarios for it.
	Unlimited func(t testing.TB) Queue

	// Refresh has a queue ask for its limits, and get this answer at once. Nil
	// skips the scenarios for it.
	Refresh func(t testing.TB, q Queue, limit gatewayqueue.SessionStartLimit)

	// Shared says that what one caller does, others may hear of later.
	Shared bool

	// Virtual runs each scenario in a [synctest] bubble. Otherwise the
	// scenarios run in real time and in parallel, without those that take
	// more than a few windows or need two calls in one instant.
	Virtual bool

	Window       time.Duration // the queue's window
	Margin       time.Duration // added to a window that starts at a grant
	PermitMargin time.Duration // added to a window that starts at Identified

	// Slack is how late a queue may act on what it knew in advance, such as
	// the end of a window. It also spaces calls that must arrive in order.
	Slack time.Duration

	// Notice is how long, besides, what another caller did may go unnoticed
	// by those who wait: an abandoned permit, or new limits.
	Notice time.Duration

	// Drain is how long, besides, new buckets may stay closed after the last
	// permit of the old ones was reported. A queue that does not tell such
	// permits apart waits for the ends of their leases.
	Drain time.Duration
}

// needs are what a scenario cannot do without.
type needs int

const (
	virtual   needs = 1 << iota // virtual time
	alone                       // a queue that is not Shared
	shared                      // one that is
	pods                        // several queues on one state
	unlimited                   // one without a limit
	refresh                     // one that can be told what Discord answers
)

type scenario struct {
	name  string // a sentence that the queue makes true
	run   func(t testing.TB, h Harness)
	needs needs
}

// Run runs every scenario that fits the harness as a subtest.
func Run(t *testing.T, h Harness) {
	t.Helper()
	for _, s := range slices.Concat(twilight, lines, cancels, budgets, periods, permits, limits, refusals, pauses, helper) {
		if !h.offers(s.needs) {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			if h.Virtual {
				synctest.Test(t, func(t *testing.T) { s.run(t, h) })
				return
			}
			t.Parallel()
			s.inRealTime(t, h)
		})
	}
}

func (h Harness) offers(n needs) bool {
	return (n&virtual == 0 || h.Virtual) &&
		(n&alone == 0 || !h.Shared) &&
		(n&shared == 0 || h.Shared) &&
		(n&pods == 0 || h.Pods != nil) &&
		(n&unlimited == 0 || h.Unlimited != nil) &&
		(n&refresh == 0 || h.Refresh != nil)
}

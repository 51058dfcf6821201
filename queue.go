// Package gatewayqueue is the contract of a queue for Discord's IDENTIFY. The queues
// are in packages of their own.
//
// Discord lets a bot send one IDENTIFY per 5 s in each bucket
// (shard ID % max_concurrency) and a limited number of them a day. A shard
// that is about to identify asks a [Queue] and waits for its turn:
//
//	if err := queue.Wait(ctx, shardID); err != nil {
//		return err // nothing was spent; ask again later
//	}
//	// send IDENTIFY now
//
// A shard that still has to dial before it can identify uses a [PermitQueue],
// most simply through [Identify]: the bucket stays closed while it dials, and
// the 5 s are counted from the IDENTIFY itself.
//
// RESUME is not limited by Discord and must never wait in a queue.
//
// # Which package
//
//	one process                     memqueue
//	several processes, in Go        redisqueue, through one Redis
//	on disgo, or discordgo          disgoqueue, discordgoqueue: around either
//	a client of a queue server      httpqueue; it serves one, too
//	may a fleet be deployed now     rollout
//	metrics for Prometheus          promqueue, a module of its own
//	traces, by OpenTelemetry        otelqueue, a module of its own
//	a fake Discord for tests        gatewaytest
//	a queue of your own, tested     queuetest
//
// # Errors
//
//	[InvalidError]      a value that is refused, and what is allowed; an [ErrInvalid]
//	[DeadlineError]     the wait would outlast the context; a [context.DeadlineExceeded]
//	[BlockedError]      why nothing is granted; in the error of a Wait whose context ends
//	[ExhaustedError]    the budget is used up, where the queue does not wait for it; an [ErrExhausted]
//	[ErrClosed]         the queue was closed
//	[ErrPermitExpired]  a permit's time has passed; an [ErrPermitSettled] was reported before
package gatewayqueue

import (
	"context"
	"math"
	"time"
)

const (
	// IdentifyDelay is the window: the least time between two identifies of
	// one bucket.
	// https://discord.com/developers/docs/events/gateway#rate-limiting
	IdentifyDelay = 5 * time.Second

	// LimitPeriod is how long the daily budget lasts, counted from its first
	// identify.
	LimitPeriod = 24 * time.Hour

	// GrantMargin is added by default to a window that starts at a grant. It
	// absorbs the jitter between permission and arrival: bots that waited
	// exactly 5 s saw Invalid Session about every other time, those with
	// 100-250 ms on top did not.
	GrantMargin = 250 * time.Millisecond

	// IdentifiedMargin is added by default to a window that starts when the
	// holder says that it has identified: only the network is left to jitter.
	IdentifiedMargin = 50 * time.Millisecond

	// MaxShard is the highest shard ID that servers and their clients take. Discord's
	// largest bots have some thousands.
	MaxShard = math.MaxInt32

	// MaxPermitDuration is how long a permit can be held at most.
	MaxPermitDuration = 2 * time.Minute
)

// Queue tells shards when they may identify. Its methods may be called from
// any number of goroutines.
type Queue interface {
	// Wait blocks until shardID may send IDENTIFY now; the window starts at
	// the grant. Use it where the connection is already open (after HELLO).
	//
	// An error means that the shard may not identify and that nothing was
	// spent: [ErrInvalid] for a negative shard ID, [ErrClosed] after Close,
	// the cause of ctx when ctx ended first, and a [DeadlineError] at once when
	// the wait is known to end after the deadline of ctx.
	Wait(ctx context.Context, shardID int) error
}

// PermitQueue is a [Queue] whose grants can be held while the shard dials.
type PermitQueue interface {
	Queue

	// Acquire is Wait for callers that still have to dial: the bucket stays
	// closed until the permit is Identified (the window starts then),
	// Abandoned (slot and unit go back) or its lease ends (the window starts
	// then, to be safe). It fails as Wait does.
	Acquire(ctx context.Context, shardID int) (Permit, error)
}

// Permit is what a granted caller holds until it says what became of it. Its
// methods may be called from any goroutine, in any order and more than once:
// the first of Identified and Abandon counts, and what comes after it is
// harmless.
type Permit interface {
	// Identified says that IDENTIFY was sent; call it right after sending.
	// The window starts now. It blocks until the queue knows, or ctx ends. An
	// error means that the bucket stays closed at least as long as it must.
	// While nobody answers the queue keeps trying, for a minute or more; what
	// it is refused for good (a missing right, a key of another type) it
	// returns at once, and does no more about.
	Identified(ctx context.Context) error

	// Abandon says that IDENTIFY was not and will not be sent: the slot and
	// the unit of the budget go back. When in doubt, say Identified. It
	// blocks, and fails, as Identified does; a unit that could not go back
	// stays spent.
	Abandon(ctx context.Context) error

	// Deadline is the moment, on this process's monotonic clock, up to which
	// IDENTIFY may be sent. It moves on while the queue can renew the permit,
	// up to MaxPermitDuration after the grant, so look at it right before sending.
	// A holder that comes too late abandons the permit and asks again.
	Deadline() time.Time
}

// Announcer is a [Permit] whose queue is asked right before IDENTIFY whether it
// still stands. Deadline tells by this machine's clocks, and of a guest that was
// paused (a snapshot, a live migration) all of them may have stood still.
// [Identify] and the packages for bot libraries look for it. Without it, such as
// behind a wrapper of the permit that hides it, they go by Deadline alone. So they
// do with a queue of package memqueue: every caller that could have the bucket was paused as well.
type Announcer interface {
	Permit

	// Announce says that IDENTIFY is about to leave: the window starts now,
	// unless the permit has ended. After nil look at Deadline, send at once, and
	// say Identified right after it: that sends nothing more unless IDENTIFY took
	// so long that the window has to start again. An error means that IDENTIFY
	// must not be sent: abandon the permit, and what was paid goes back. It is
	// [ErrPermitExpired] where another may have the bucket, or where the queue
	// has not answered, and [ErrPermitSettled] where the permit was settled.
	Announce(ctx context.Context) error
}

// Announce announces a permit that can be; of any other it returns nil.
func Announce(ctx context.Context, permit Permit) error {
	if a, ok := permit.(Announcer); ok {
		return a.Announce(ctx)
	}
	return nil
}

// Visit is one of several calls that are for one grant, by a caller that comes
// and goes: a client of a server that polls, and may come back to another one.
type Visit struct {
	// Wait names the grant: 1 to 64 letters, digits, dashes and underscores that
	// no other grant has. However many calls there are, it is paid once. Empty
	// for a call of its own.
	Wait string

	// Granted says that an earlier call has had the grant, of which the caller
	// may never have heard. What this call leaves unused gives no unit back then.
	Granted bool

	// Since is the place in line that an earlier call was told; zero for the end.
	Since time.Time

	// Placed, if it is not nil, is called once, unless the grant comes right
	// away: with the moment from which the place counts. If it returns false
	// the caller leaves the line.
	Placed func(since time.Time) bool
}

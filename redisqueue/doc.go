// Package redisqueue is the queue for any number of processes: they share one
// Redis, and no shard of any of them identifies when it may not.
//
//	queue, err := redisqueue.New(client, redisqueue.WithApp("1234567890"),
//		redisqueue.WithLimitSource(redisqueue.DiscordLimits(nil, token)))
//	...
//	defer queue.Close()
//	err = queue.Wait(ctx, shardID) // then send IDENTIFY
//
// # How it works
//
// Every decision is one Lua script that Redis runs atomically (package lua).
// A waiter takes a place in its bucket's line, a sorted set in Redis. One
// goroutine per bucket and pod asks for the pod's first place when its turn can
// have come, by a timer set from the last answer; the answer is a grant, or
// when to ask again. While a pod has waiters or permits it renews its lease
// twice per [WithPodLease]; the places of a pod that stops are passed over. A
// pod with neither sends nothing.
//
// # Why nothing is granted
//
// A queue says it by itself: to [slog.Default] unless [WithLogger] says otherwise,
// at most about once a minute for each reason; as an event
// ([gatewayqueue.EventBlocked], [WithObserver]); in the error of a Wait whose
// context ends, which is a [gatewayqueue.BlockedError]; and in
// [gatewayqueue.Status.Blocked]. The very first start on an empty Redis holds every
// bucket for 10 s: who identified just now is not known. docs/troubleshooting.md
// goes from the symptom to what to do.
//
// # In a test
//
// A plain miniredis lets no key expire: call ClockTTL(true) on it. The example
// testOfABot has a whole test: queue, fake Discord, bot and verdict.
//
// # When Redis is away
//
// Redis down, loading, read-only or full is no error: waiters wait, until their
// context ends. Misuse (a wrong type or password, a missing permission) is
// returned to every waiter. State that was lost is noticed, every bucket then
// stays closed for a permit's lease, and the budget is seeded again from the
// limit source or the lowest figure that a pod remembers.
package redisqueue

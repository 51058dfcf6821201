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
// # When Redis is away
//
// Redis down, loading, read-only or full is no error: waiters wait, until their
// context ends. Misuse (a wrong type or password, a missing permission) is
// returned to every waiter. State that was lost is noticed, every bucket then
// stays closed for a permit's lease, and the budget is seeded again from the
// limit source or the lowest figure that a pod remembers.
package redisqueue

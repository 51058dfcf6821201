// Package faults breaks everything around a RedisQueue while it works, and
// judges what it did meanwhile.
//
// A run is a fleet of pods, each a process of its own, that bring up shards
// through one Redis: a server behind toxiproxy, a master with Sentinels, a Cluster,
// or three servers whose replication is ours to break. In some runs they are
// clients of two servers over HTTP, or of two bots, or of two versions of the
// library. A plan says which faults happen when; the same seed makes the same
// plan. When the faults are over, every shard must come up, and the judge looks
// at all that was done:
//
//   - Two identifies of one bucket less than a window apart are a violation.
//   - Identifies beyond the budget are overspent.
//   - Units that are gone although nobody identified are unused; only pods that
//     were killed, and state that was lost, explain them.
//   - A shard that never comes up is unserved.
//   - A bucket with living waiters that has no grant for long after the faults has
//     stalled.
//
// The budget is judged by Discord's own periods: each begins with its first
// IDENTIFY. A plan may have periods of some seconds; then pods write that instead
// of a day into the calls that they send.
//
// # When an identify happens
//
// On a busy machine the report of an identify may be late. So the pod itself
// reads CLOCK_MONOTONIC, which all processes of one Linux machine share, right
// before it would send IDENTIFY, and the judge sorts by that. It has no
// tolerance.
//
// # Clocks
//
// The fault "clocks moved" moves the wall clocks of pods, each by itself, by up
// to two days: it takes the place of time.Now in that process, where the
// monotonic part stays as it is. The queue itself reads no wall clock, and a test
// says so of its source; package internal/elapsed does, and takes one that is
// ahead for time that has passed, which only ever refuses.
package faults

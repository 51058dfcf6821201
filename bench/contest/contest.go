// Package contest holds the contestants: every way to keep shards of many pods
// from identifying too soon that people use or could, behind one small
// interface. Each is set up as its own documentation says; its How tells how.
package contest

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
)

// Contestant is one of them.
type Contestant struct {
	Name string // in tables and on the command line
	How  string // one sentence: how it is set up, and where that comes from

	// Sent are the commands that its clients send, as INFO commandstats names
	// them. Others in the statistics are those that its scripts call.
	Sent []string

	Ours    bool
	Local   bool // works within one process only: a reference, not a peer
	Permits bool // its window starts when the identify is reported, not at the grant

	// Serve starts the service that all pods share, if there is one, and returns
	// its address.
	Serve func(s Setup, client *redis.Client) (address string, end func(), err error)

	// Open makes one pod's part. A Local contestant is opened once, for all
	// pods, and gets no client.
	Open func(s Setup, client *redis.Client) (Pod, error)
}

// Setup is what a contestant may know.
type Setup struct {
	App          string // keeps the keys of several queues on one server apart
	Pod          string
	Limit        gatewayqueue.SessionStartLimit
	Window       time.Duration // between two identifies of a bucket
	Margin       time.Duration // to add to a window that starts at a grant
	PermitMargin time.Duration // to add to a window that starts at the identify
	PodLease     time.Duration // 0 for the default; only our own queue has one
	Service      string        // the address that Serve has returned
}

// period is how long a grant has to close its bucket.
func (s Setup) period() time.Duration { return s.Window + s.Margin }

// scaled is a delay that a peer's documentation gives for a window of 5 s.
func (s Setup) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) * float64(s.Window) / float64(gatewayqueue.IdentifyDelay))
}

// Pod is one process's part of a contestant.
type Pod interface {
	// Turn waits until shard may identify, and calls dial and then identify. An
	// error means that neither was called, because ctx has ended.
	Turn(ctx context.Context, shard int, dial, identify func()) error
	Close()
}

// All are the contestants, ours first.
func All() []Contestant {
	return []Contestant{
		redisWait(), redisAcquire(), service(),
		poller(), sleeper(), redisRate(), redislock(), redsyncMutex(),
		inMemory(), disgo(),
	}
}

// Named are those contestants, in the order of All.
func Named(names ...string) []Contestant {
	var found []Contestant
	for _, c := range All() {
		for _, name := range names {
			if c.Name == name {
				found = append(found, c)
			}
		}
	}
	return found
}

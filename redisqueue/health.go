package redisqueue

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// health remembers how Redis is, so that the log says when it goes and when it
// comes back, once each, and so that this pod wants no grant for as long after an
// outage began as a lost grant could still be used and needs its window: the
// server that comes back may be a replica that has missed the last grants.
type health struct {
	queue *RedisQueue

	mu       sync.Mutex
	noSource error     // why the limit source has failed last; nil if it has not
	since    time.Time // of the first failure after the last success
	hard     bool      // the server itself was away, not only slow
	err      error
	count    int       // failures in a row
	said     bool      // the log has said so
	met      bool      // Redis has answered once
	until    time.Time // claims want no grant before

	moving  error // the cluster has some of the keys on another node, and no claim was answered since
	movings int   // how often it has said so
}

// softOutage is how long calls must fail before it counts as an outage even if
// nothing says that the server was away. No failover is quicker.
const softOutage = time.Second

// hardSigns are what a server says that is, or soon may be, another one.
var hardSigns = []string{"refused", "READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "all sentinels"}

func (h *health) failed(err error) {
	err = h.queue.store.advise(err)
	if strings.Contains(err.Error(), "TRYAGAIN") {
		h.moves(err)
		return
	}
	h.mu.Lock()
	if h.count++; h.count == 1 {
		h.since = time.Now()
	}
	h.err = err
	for _, sign := range hardSigns {
		h.hard = h.hard || strings.Contains(err.Error(), sign)
	}
	// One lost reply among many is not worth a line; a server that was never there is.
	again := (h.count > 1 || h.hard && !h.met) && !h.said
	h.mu.Unlock()
	h.reload()
	h.queue.config.observe(gatewayqueue.Event{Kind: gatewayqueue.EventStoreError, Err: err})
	if again {
		h.queue.blockSaid("away", storeBlocks(err), func() {
			h.queue.config.log.Warn("Redis does not answer as it should: nothing is granted until it does", "error", err)
			h.mu.Lock()
			h.said = true
			h.mu.Unlock()
		})
	}
}

func storeBlocks(err error) *gatewayqueue.BlockedError {
	return &gatewayqueue.BlockedError{Reason: gatewayqueue.ReasonStore, Text: "Redis does not answer as it should", Err: err}
}

// reload makes the client of a cluster look who has what: by itself it dials a
// dead master for up to a minute.
func (h *health) reload() {
	if cluster, ok := h.queue.store.client.(interface{ ReloadState(context.Context) }); ok {
		cluster.ReloadState(h.queue.ctx)
	}
}

// moves notes that a cluster has some of the keys on one node and some on
// another. No call with all of them is answered, while others are: so it is over
// when a claim is.
func (h *health) moves(err error) {
	h.mu.Lock()
	h.moving = err
	h.movings++
	again := h.movings == 2 // to move some keys takes milliseconds
	h.mu.Unlock()
	h.reload()
	h.queue.config.observe(gatewayqueue.Event{Kind: gatewayqueue.EventStoreError, Err: err})
	if again {
		h.queue.blockSaid("moving", storeBlocks(err), func() {
			h.queue.config.log.Warn("the Redis Cluster is moving the queue's keys to another node: nothing is granted until all are there",
				"cure", "finish the move, or if it was broken off: redis-cli --cluster fix HOST:PORT of any node", "error", err)
		})
	}
}

// moved notes that a claim was answered.
func (h *health) moved() {
	h.mu.Lock()
	told := h.movings > 1
	h.moving, h.movings = nil, 0
	h.mu.Unlock()
	if told {
		h.queue.config.log.Info("the Redis Cluster has all of the queue's keys on one node again")
	}
}

func (h *health) answered() {
	h.mu.Lock()
	h.met = true
	if h.count == 0 {
		h.mu.Unlock()
		return
	}
	away, told := time.Since(h.since), h.said
	h.until = h.untilNow()
	h.count, h.hard, h.err, h.said = 0, false, nil, false
	h.mu.Unlock()
	h.queue.config.observe(gatewayqueue.Event{Kind: gatewayqueue.EventStoreBack, Elapsed: away})
	if told {
		h.queue.config.log.Info("Redis answers again", "away", away.Round(time.Millisecond))
	}
}

// untilNow is until when no grant is wanted, by what is known now: in an outage
// the very first answer may be the other server's, and what it has missed may be
// of a pod with a longer lease. The caller holds mu.
func (h *health) untilNow() time.Time {
	if h.outage() {
		return h.since.Add(h.queue.longestHold())
	}
	return h.until
}

// outage says that Redis has not answered since the last failure, which counts
// as an outage. The caller holds mu.
func (h *health) outage() bool {
	return h.count > 0 && (h.hard || time.Since(h.since) >= softOutage)
}

// away says that Redis is, as far as is known.
func (h *health) away() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.outage()
}

// hold is for how long this pod wants no grant.
func (h *health) hold() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return max(0, time.Until(h.untilNow()))
}

// sourceAnswered notes how the limit source has answered.
func (h *health) sourceAnswered(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.noSource = err
}

// sourceError is why the limit source has given nothing when it was last asked;
// nil if it has, or was not asked yet.
func (h *health) sourceError() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.noSource
}

// last is the error that Redis gave last, nil if it answers.
func (h *health) last() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	alone := h.queue.known.alone.Load()
	switch {
	case h.err != nil:
		return h.err
	case h.moving != nil:
		return h.moving
	case alone != nil:
		return alone
	}
	return nil
}

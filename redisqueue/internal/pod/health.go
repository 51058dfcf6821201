package pod

import (
	"errors"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// health is how Redis is, so that the log says when it goes and when it comes back,
// once each, and so that this pod wants no grant for as long after an outage began as
// a lost grant could still be used and needs its window: the server that comes back
// may be a replica that has missed the last grants.
type health struct {
	noSource error     // why the limit source has failed last; nil if it has not
	since    time.Time // of the first failure after the last success
	gone     bool      // the server itself was away, not only slow
	err      error     // the last failure
	count    int       // failures in a row
	said     bool      // the log has said so
	met      bool      // Redis has answered once
	until    time.Time // claims want no grant before

	moving  error // the cluster has some of the keys on another node, and no claim was answered since
	movings int   // how often it has said so
}

// heard notes how a call went.
func (p *Pod) heard(err error) {
	var alone *wire.UnacknowledgedError
	switch {
	case err == nil:
		p.answered()
	case errors.As(err, &alone):
		p.unacknowledged(alone)
		p.observe(gatewayqueue.Event{Kind: gatewayqueue.EventStoreError, Err: err})
	case p.closed: // its own calls are ended
	case wire.TroubleOf(err).About == wire.AboutMoving:
		p.keysMove(p.cfg.Advise(err))
	default:
		p.callFailed(p.cfg.Advise(err))
	}
}

func (p *Pod) callFailed(err error) {
	h := &p.health
	if h.count++; h.count == 1 {
		h.since = p.now.Time()
	}
	h.err = err
	h.gone = h.gone || wire.TroubleOf(err).Gone
	p.do(Reload{})
	p.observe(gatewayqueue.Event{Kind: gatewayqueue.EventStoreError, Err: err})
	// One lost reply among many is not worth a line; a server that was never there is.
	if (h.count > 1 || h.gone && !h.met) && !h.said {
		p.blockSaid("away", storeBlocks(err), func() {
			p.warn("Redis is unavailable: nothing is granted until it answers", "error", err)
			h.said = true
		})
	}
}

func storeBlocks(err error) *gatewayqueue.BlockedError {
	return &gatewayqueue.BlockedError{Reason: gatewayqueue.ReasonStore, Text: "Redis is unavailable", Err: err}
}

// keysMove notes that a cluster has some of the keys on one node and some on another.
// No server is away: what is granted elsewhere stands.
func (p *Pod) keysMove(err error) {
	h := &p.health
	h.moving = err
	h.movings++
	p.do(Reload{})
	p.observe(gatewayqueue.Event{Kind: gatewayqueue.EventStoreError, Err: err})
	if h.movings == 2 { // to move some keys takes milliseconds
		p.blockSaid("moving", storeBlocks(err), func() {
			p.warn("the Redis Cluster is moving the queue's keys to another node: nothing is granted until all are there",
				"cure", "finish the move, or if it was broken off: redis-cli --cluster fix HOST:PORT of any node", "error", err)
		})
	}
}

// moved notes that a claim was answered.
func (h *health) moved(p *Pod) {
	if h.movings > 1 {
		p.info("the Redis Cluster has all of the queue's keys on one node again")
	}
	h.moving, h.movings = nil, 0
}

func (p *Pod) answered() {
	h := &p.health
	h.met = true
	if h.count == 0 {
		return
	}
	away, said := p.now.Time().Sub(h.since), h.said
	h.until = p.noGrantBefore()
	h.count, h.gone, h.err, h.said = 0, false, nil, false
	p.observe(gatewayqueue.Event{Kind: gatewayqueue.EventStoreBack, Elapsed: away})
	if said {
		p.info("Redis answers again", "away", away.Round(time.Millisecond))
	}
}

// outage says that Redis has not answered since the last failure, which counts
// as an outage.
func (h *health) outage(now time.Time) bool {
	return h.count > 0 && (h.gone || now.Sub(h.since) >= softOutage)
}

// noGrantBefore is until when no grant is wanted, by what is known now: in an outage
// the very first answer may be the other server's, and what it has missed may be
// of a pod with a longer lease.
func (p *Pod) noGrantBefore() time.Time {
	if p.health.outage(p.now.Time()) {
		return p.health.since.Add(p.longestHold())
	}
	return p.health.until
}

// untilWanted is for how long this pod wants no grant.
func (p *Pod) untilWanted() time.Duration {
	return max(0, p.noGrantBefore().Sub(p.now.Time()))
}

// last is the error that Redis gave last, nil if it answers.
func (h *health) last(p *Pod) error {
	switch {
	case h.err != nil:
		return h.err
	case h.moving != nil:
		return h.moving
	case p.server.alone != nil:
		return p.server.alone
	}
	return nil
}

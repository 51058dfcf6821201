package sim

import (
	"time"

	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/redismodel"
)

// failOver has a replica take over that has missed what the master wrote in the last
// time.
func failOver(w *world, h hit) {
	if w.redis.replica != nil {
		return
	}
	w.redis.replica = w.redis.copy()
	before := w.verdict.Reached["claim: granted"]
	w.in(h.lasts, func() {
		if w.verdict.Reached["claim: granted"] > before {
			w.reach(GrantsLost)
		}
		w.redis.promote(h)
		w.redis.away = w.now.Add(some(h.random, 3*time.Second))
	})
}

// twoMasters is a partition: a replica takes over, and some pods go on with the old
// master until they are told.
func twoMasters(w *world, h hit) {
	if w.redis.replica != nil || w.redis.old != nil {
		return
	}
	w.reach(TwoMasters)
	old, ahead := w.redis.master, w.redis.ahead
	w.redis.replica = w.redis.copy()
	for _, p := range w.pods {
		p.oldMaster = h.random.IntN(2) == 0
	}
	w.in(some(h.random, 2*time.Second), func() {
		w.redis.promote(h)
		w.redis.old, w.redis.oldAway = old, ahead
	})
	w.in(h.lasts+2*time.Second, func() {
		w.redis.old = nil
		for _, p := range w.all {
			p.oldMaster = false
		}
	})
}

// copy is a replica as of now.
func (r *redisServer) copy() *redismodel.Server {
	c := r.master.Copy()
	if r.world.plan.copied {
		c.LearnScripts(r.master)
	}
	return c
}

// promote makes the replica the master: another process, or the one before the last
// again, with a replication ID of its own, and a clock of its own.
func (r *redisServer) promote(h hit) {
	w := r.world
	w.reach(FailedOver)
	r.servers++
	r.master, r.replica = r.replica, nil
	process := r.servers
	if h.random.IntN(2) == 0 {
		process = 1 + r.servers%2
		if r.servers > 2 {
			w.reach(FailedBack)
		}
	}
	r.master.RunID, r.master.Replid = serverName(process), replid(r.servers)
	switch kind := h.random.IntN(4); {
	case kind == 0 && w.plan.resetAfter == 0: // else a period ends too early, see docs/reliability.md
		r.ahead += some(h.random, 10*time.Second)
		w.reach(ClockAhead)
	case kind == 1:
		r.ahead -= some(h.random, 10*time.Second)
		w.reach(ClockBehind)
	}
	w.tell("server %d is the master, its clock %v ahead", process, r.ahead)
}

// The permits of a queue that lives in this process: the handler keeps them for
// their clients, as Redis does for those of a shared queue.

package httpqueue

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

const (
	// heldGood is for how long a client has a permit without renewing it. Its
	// bucket stays closed for a window longer, as with a RedisQueue.
	heldGood = gatewayqueue.IdentifyDelay - gatewayqueue.IdentifiedMargin

	// heldReports is how long after its end a permit is remembered that was
	// held up to its bound: its client may report it late.
	heldReports = time.Minute
)

// held are the permits that are out.
type held struct {
	log *slog.Logger

	mu      sync.Mutex
	permits map[string]*heldPermit
	ended   ownNotes                       // why those ended that are held no more
	unused  map[string]gatewayqueue.Permit // those that ended without a report that they were used, for a while
}

// What clients have told of their permits.
const (
	toldIdentified = "identified"
	toldAbandoned  = "abandoned"
)

// told says what became of a permit: one of those, reasonLapsed, or empty if that
// is not known.
func (h *held) told(name string) string {
	why, _, _ := h.ended.Remember(context.Background(), name, "", 0, false)
	return why
}

// reason says how a permit has ended; empty if that is not known.
func (h *held) reason(name string) string {
	if why := h.told(name); why == "" || why == reasonLapsed {
		return why
	}
	return reasonSettled
}

// heldPermit is a permit whose client has to be heard of, or it lapses.
type heldPermit struct {
	gatewayqueue.Permit // good up to its bound
	held                *held
	name                string

	// Under held's mu.
	good  time.Time // as its client was told
	timer *time.Timer
}

// until is up to when a permit is good that is granted or renewed now.
func (h *held) until(permit gatewayqueue.Permit) time.Time {
	good, bound := time.Now().Add(heldGood), permit.Deadline()
	if bound.Before(good) {
		return bound
	}
	return good
}

// add keeps a permit, and returns its name.
func (h *held) add(permit gatewayqueue.Permit, good time.Time) string {
	p := &heldPermit{Permit: permit, held: h, name: randomID(), good: good}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.permits == nil {
		h.permits = make(map[string]*heldPermit)
	}
	h.permits[p.name] = p
	p.timer = time.AfterFunc(time.Until(good), p.lapse)
	return p.name
}

func (h *held) get(name string) (*heldPermit, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p, ok := h.permits[name]
	return p, ok
}

func (h *held) remove(p *heldPermit, why string) (was bool) {
	_, _, _ = h.ended.Remember(context.Background(), p.name, why, knownFor, false)
	h.mu.Lock()
	defer h.mu.Unlock()
	_, was = h.permits[p.name]
	delete(h.permits, p.name)
	p.timer.Stop()
	if was && why != toldIdentified {
		if h.unused == nil {
			h.unused = make(map[string]gatewayqueue.Permit)
		}
		h.unused[p.name] = p.Permit
		time.AfterFunc(heldReports, func() { h.forget(p.name) })
	}
	return was
}

// forget takes out a permit that ended unused.
func (h *held) forget(name string) (permit gatewayqueue.Permit, was bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	permit, was = h.unused[name]
	delete(h.unused, name)
	return permit, was
}

// hears says if a report of a permit that has ended is to be answered as the first
// one: reports may be repeated, and an IDENTIFY counts whatever was said before it,
// because it was sent, or leaves within d.
func (h *held) hears(name string, sent bool, d time.Duration) bool {
	switch told := h.told(name); {
	case !sent:
		return told == toldAbandoned
	case told == toldIdentified:
		return true
	}
	return h.sentAfterAll(name, d)
}

// sentAfterAll counts an IDENTIFY that was sent, or leaves within d, on a permit that
// had ended, and reports whether it could.
func (h *held) sentAfterAll(name string, d time.Duration) bool {
	permit, was := h.forget(name)
	used, ok := permit.(interface{ SentAfterAll(time.Duration) })
	if !was || !ok {
		return false
	}
	_, _, _ = h.ended.Remember(context.Background(), name, toldIdentified, knownFor, true)
	used.SentAfterAll(d)
	return true
}

// lapse ends a permit whose client is not heard of any more. It may have sent
// its IDENTIFY up to the last moment, so the window begins now.
func (p *heldPermit) lapse() {
	h, now := p.held, time.Now()
	h.mu.Lock()
	_, is := h.permits[p.name]
	bound := p.Permit.Deadline()
	switch {
	case !is:
		h.mu.Unlock()
		return
	case now.Before(p.good): // it was renewed meanwhile
		p.timer.Reset(p.good.Sub(now))
		h.mu.Unlock()
		return
	case !now.Before(bound) && now.Before(bound.Add(heldReports)): // the queue ends it by itself
		p.timer.Reset(bound.Add(heldReports).Sub(now))
		h.mu.Unlock()
		return
	}
	h.mu.Unlock()
	if !now.Before(bound) { // it has ended there long ago, and may have been used or not
		h.remove(p, reasonLapsed)
		return
	}
	if h.remove(p, reasonLapsed) {
		h.log.Warn("a permit's client is not heard of any more: its bucket opens a window from now")
		if l, ok := p.Permit.(interface{ Lapse() }); ok { // its key is granted again
			l.Lapse()
			return
		}
		_ = p.Permit.Identified(context.Background()) // in this process, so it does not fail
	}
}

func (p *heldPermit) Identified(ctx context.Context) error {
	p.held.remove(p, toldIdentified)
	return p.Permit.Identified(ctx)
}

// IdentifiedWithin is Identified for an IDENTIFY that leaves up to d from now: so
// much later the window begins.
func (p *heldPermit) IdentifiedWithin(ctx context.Context, d time.Duration) error {
	if !p.held.remove(p, toldIdentified) {
		return nil
	}
	if later, ok := p.Permit.(identifiedWithin); ok {
		return later.IdentifiedWithin(ctx, d)
	}
	time.AfterFunc(d, func() { _ = p.Permit.Identified(context.Background()) }) // else it lapses
	return nil
}

func (p *heldPermit) Abandon(ctx context.Context) error {
	p.held.remove(p, toldAbandoned)
	return p.Permit.Abandon(ctx)
}

func (p *heldPermit) Deadline() time.Time {
	p.held.mu.Lock()
	defer p.held.mu.Unlock()
	return p.good
}

// Renew implements renewable.
func (p *heldPermit) Renew(context.Context) error {
	good := p.held.until(p.Permit)
	p.held.mu.Lock()
	defer p.held.mu.Unlock()
	if now := time.Now(); !now.Before(good) || !now.Before(p.good) {
		return gatewayqueue.ErrPermitExpired
	}
	p.good = good
	return nil
}

// Held is how long the permit is good yet.
func (p *heldPermit) Held(context.Context) (time.Duration, error) {
	return max(0, time.Until(p.Deadline())), nil
}

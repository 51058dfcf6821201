// The wait in line: before a dial, or with an IDENTIFY that is held on an open
// connection.

package discordgoqueue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/gatewayconn"
)

const (
	// heldIntervals is for how many of Discord's heartbeat intervals an IDENTIFY
	// is held on an open connection. discordgo gives a connection up whose last
	// ACK it has read five intervals ago; what it reads while IDENTIFY is held it
	// reads too late, and before that up to one interval has gone by.
	heldIntervals = 3
	// heldAtLeast is how long it is held in any case.
	heldAtLeast = 2 * time.Second
	// discordsInterval is taken where HELLO was not understood.
	discordsInterval = 41250 * time.Millisecond

	// keptFor bounds how long a place is kept for the next connection, and
	// grantKeptFor how long once it has been granted, when others wait for it.
	// discordgo dials again after 1 s.
	keptFor      = time.Minute
	grantKeptFor = 5 * time.Second

	// discordgo's Close takes a second, and two of its goroutines call it when a
	// connection ends while IDENTIFY is held: the one that reads, and the one that
	// sends heartbeats. It opens the next one right after that. See refuses.
	closeTakes      = 900 * time.Millisecond
	opensAfterClose = 5 * time.Second
	// closesInError is how soon after IDENTIFY it closes the wrong connection.
	closesInError = 5 * time.Second
)

var (
	errTooSoon     = errors.New("discordgoqueue: this connection is refused once, because the one before ended at its IDENTIFY and discordgo would close this one for it: try again (https://github.com/bwmarrin/discordgo/issues/406)")
	errHeldTooLong = errors.New("discordgoqueue: IDENTIFY was held for so long that discordgo would take the connection for dead: it keeps its place for the next one")
	errSilent      = fmt.Errorf("%w: heartbeats are not answered", gatewayconn.ErrLost)
)

// waits reports whether the next connection waits in line before it is dialled.
func (g *Gate) waits() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.ready || g.refused
}

// resumesInVain hears of a RESUME, and reports whether it will be refused.
func (g *Gate) resumesInVain() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ready = true
	return g.refused
}

// refuseNext has the next connection fail: discordgo has closed one that was lost.
func (g *Gate) refuseNext() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refuse = time.Now()
}

// refuses reports whether this connection must fail, which is once after one was
// lost. The goroutine of discordgo that first closes that one opens the next
// while the other still waits to close it: the other then closes the next one,
// whose heartbeats fail for it, and so on, at the price of an IDENTIFY each time.
// If the first one has to wait a second before it tries again, the other finds
// nothing to close, and opens the next itself.
func (g *Gate) refuses() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	refuse := g.refuse
	g.refuse = time.Time{}
	return !refuse.IsZero() && time.Since(refuse) < opensAfterClose
}

// identified hears that IDENTIFY has left: there will be another session.
func (g *Gate) identified() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refused = false
}

// acquire waits for a permit until ctx or the gate ends.
func (g *Gate) acquire(ctx context.Context) (gatewayqueue.Permit, error) {
	if g.ctx.Err() != nil {
		return nil, gatewayqueue.ErrClosed
	}
	g.mu.Lock()
	p := g.kept
	g.kept = nil
	g.mu.Unlock()
	if p == nil || !p.take() {
		return g.queue.Acquire(ctx, g.shardID)
	}
	select {
	case <-p.done:
		return p.permit, p.err
	case <-ctx.Done():
		p.leave()
		return nil, context.Cause(ctx)
	}
}

// hold waits for a permit with the connection open, and keeps that alive.
func (g *Gate) hold(ctx context.Context, c *gatewayconn.Conn) (gatewayqueue.Permit, error) {
	if g.ctx.Err() != nil {
		return nil, context.Cause(g.ctx)
	}
	interval := c.Interval()
	if interval <= 0 {
		interval = discordsInterval
	}
	every := min(g.heartbeat, interval/2)
	beat := time.NewTicker(max(every, time.Millisecond))
	defer beat.Stop()
	tooLong := time.NewTimer(max(heldIntervals*interval, heldAtLeast))
	defer tooLong.Stop()
	p := g.enter()
	for {
		select {
		case <-p.done:
			return p.permit, p.err
		case <-ctx.Done():
			p.leave()
			return nil, context.Cause(ctx)
		case <-beat.C:
			err := c.Heartbeat()
			if err == nil && c.Silence() > max(2*every, silence) {
				err = errSilent
			}
			if err != nil {
				p.leave()
				return nil, err
			}
		case <-tooLong.C:
			g.keep(p)
			return nil, errHeldTooLong
		}
	}
}

// place is one in line that outlives the connection it was taken for.
type place struct {
	gate   *Gate
	cancel context.CancelFunc
	done   chan struct{} // closed with what follows
	permit gatewayqueue.Permit
	err    error
	expiry *time.Timer // of a place that is kept
}

// enter takes a place in line.
func (g *Gate) enter() *place {
	ctx, cancel := context.WithCancel(g.ctx)
	p := &place{gate: g, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer cancel()
		p.permit, p.err = g.queue.Acquire(ctx, g.shardID)
		close(p.done)
	}()
	return p
}

// leave gives the place up, and a permit that was granted meanwhile back.
func (p *place) leave() {
	p.cancel()
	<-p.done
	if p.err == nil {
		p.gate.abandon(p.permit)
	}
}

// keep keeps a place for the next connection, for a while.
func (g *Gate) keep(p *place) {
	g.mu.Lock()
	g.refused = true
	g.kept = p
	p.expiry = time.AfterFunc(keptFor, p.leave)
	closed := g.ctx.Err() != nil
	g.mu.Unlock()
	if closed {
		g.dropKept(p)
		return
	}
	go func() {
		<-p.done
		time.AfterFunc(grantKeptFor, func() { g.dropKept(p) })
	}()
}

// dropKept gives a place up that nobody has come for.
func (g *Gate) dropKept(p *place) {
	g.mu.Lock()
	mine := g.kept == p
	if mine {
		g.kept = nil
	}
	g.mu.Unlock()
	if mine && p.take() {
		p.leave()
	}
}

// take takes a place that was kept, and reports whether it is still there.
func (p *place) take() bool { return p.expiry.Stop() }

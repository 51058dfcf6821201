// An IDENTIFY that is held: until it is granted, and then how it leaves.

package gatewayproxy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/payload"
	"github.com/gatewayqueue/gatewayqueue/internal/gatewayconn"
	"github.com/gatewayqueue/gatewayqueue/internal/wsframe"
)

// held is an IDENTIFY that waits for its turn, or a RESUME that waits for a connection
// to Discord.
type held struct {
	payload payload.Payload
	since   time.Time
	cancel  context.CancelCauseFunc
	done    chan struct{} // closed when it has left, or will not

	// Under the connection's mu.
	frames []byte   // the IDENTIFY, as it came
	sent   bool     // it is leaving, or has left
	behind [][]byte // messages that came after it
}

var (
	errWithdrawn = errors.New("the bot does not wait any more")
	errAlready   = errors.New("the connection has a session by then")
	errMoved     = errors.New("the connection to Discord was another one by then")
	errNoDiscord = errors.New("there was no connection to Discord in time")
	errTooLong   = errors.New("it was held for as long as it may be")
)

// dialWithin is for how long a permit is kept for a connection to Discord, which others
// could use meanwhile: a dial may take as long. Tests have less time.
var dialWithin = handshakeTimeout + 2*time.Second

// identify holds an IDENTIFY, or puts it in the place of the one that is held.
func (c *conn) identify(p payload.Payload, frames []byte) error {
	app, ok := payload.App(p.Token)
	if !ok {
		return &payload.Refusal{Code: codeToken, Reason: badToken}
	}
	c.writing.Lock()
	readable := c.stream.CanRead()
	c.writing.Unlock()
	c.refusalSettles()
	c.mu.Lock()
	for c.held != nil && c.held.sent { // whether it has left is known soon; its op 9 may have come before
		c.mu.Unlock()
		select {
		case <-time.After(time.Millisecond):
		case <-c.ctx.Done():
			return context.Cause(c.ctx)
		}
		c.mu.Lock()
	}
	h := c.held
	switch {
	case h == nil && readable && (c.phase == identifying || c.phase == ready):
		c.mu.Unlock()
		return &payload.Refusal{Code: codeAlready, Reason: "IDENTIFY was sent on this connection before"}
	case h != nil && h.payload == p:
		h.frames, h.behind = frames, nil
		c.mu.Unlock()
		return nil
	}
	c.mu.Unlock()
	if h != nil {
		c.withdraw()
		c.mu.Lock()
		left := c.phase == identifying
		c.mu.Unlock()
		if left { // meanwhile
			return &payload.Refusal{Code: codeAlready, Reason: "IDENTIFY was sent on this connection before"}
		}
	}
	if !readable {
		c.replace()
		c.mu.Lock()
		c.phase = fresh
		c.mu.Unlock()
	}
	c.hold(app, p, frames)
	c.follow(p.Token)
	return nil
}

// refusalSettles waits until the write of an IDENTIFY has returned that Discord has
// refused already (op 9): its bot may identify again faster than that.
func (c *conn) refusalSettles() {
	for {
		c.mu.Lock()
		h := c.held
		unsettled := h != nil && h.sent && c.phase == fresh
		c.mu.Unlock()
		if !unsettled {
			return
		}
		select {
		case <-h.done:
		case <-time.After(time.Millisecond): // it may not have been sent, and wait again
		}
	}
}

// follow keeps a bot's queue open for as long as the bot is connected: through it the
// fleet is told what becomes of its shards. It does not wait.
func (c *conn) follow(token string) {
	c.follows.Do(func() {
		go func() {
			_, done, err := c.bot(c.ctx, token)
			if err == nil {
				context.AfterFunc(c.ctx, done)
			}
		}()
	})
}

// hold begins to hold an IDENTIFY.
func (c *conn) hold(app string, p payload.Payload, frames []byte) {
	ctx, cancel := context.WithCancelCause(c.ctx)
	h := &held{payload: p, frames: frames, since: time.Now(), cancel: cancel, done: make(chan struct{})}
	c.mu.Lock()
	c.held = h
	if c.p.late == 0 {
		c.dials()
	}
	c.mu.Unlock()
	c.sight.holds(app, p.Shard)
	if most := c.p.mostHeld; most > 0 {
		timer := time.AfterFunc(most, func() { cancel(errTooLong) })
		context.AfterFunc(ctx, func() { timer.Stop() })
	}
	go c.keepAlive(ctx, h)
	go func() {
		defer close(h.done)
		err := c.await(ctx, h)
		cancel(err)
		c.mu.Lock()
		if c.held == h {
			c.held = nil
		}
		c.mu.Unlock()
		c.heldEnds(h, err)
	}()
}

// holdResume keeps a RESUME until there is a connection to Discord. The bot is read
// meanwhile: it may leave, or beat.
func (c *conn) holdResume(p payload.Payload, frames []byte) {
	ctx, cancel := context.WithCancelCause(c.ctx)
	h := &held{payload: p, frames: frames, since: time.Now(), cancel: cancel, done: make(chan struct{})}
	c.mu.Lock()
	c.held = h
	c.mu.Unlock()
	go func() {
		defer close(h.done)
		defer cancel(nil)
		for {
			u, err := c.upstream(ctx)
			if err != nil || c.leaves(u, h) {
				break
			}
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.held == h {
			c.held = nil
		}
	}()
}

// leaves sends a RESUME and what has come behind it. It reports whether it did.
func (c *conn) leaves(u *upstream, h *held) bool {
	u.write.Lock()
	defer u.write.Unlock()
	c.mu.Lock()
	if c.up != u {
		c.mu.Unlock()
		return false
	}
	behind := h.behind
	h.sent, c.held, c.phase = true, nil, resuming
	c.mu.Unlock()
	for _, frames := range append([][]byte{h.frames}, behind...) {
		_ = u.line.Forward(frames) //nolint:errcheck // Whoever reads from there has it, too.
	}
	return true
}

// heldEnds tells what became of it.
func (c *conn) heldEnds(h *held, err error) {
	log := c.log.With("app", c.sight.app(), "shard", h.payload.Shard[0], "held", time.Since(h.since).Round(time.Millisecond))
	switch {
	case err == nil:
		log.Info("IDENTIFY has left")
	case errors.Is(err, ErrToken):
		log.Warn("IDENTIFY is refused: Discord does not take the token")
		c.finish(codeToken, "token: Discord refuses it")
	case errors.Is(err, errAlready):
		log.Warn("IDENTIFY is refused: a RESUME before it was taken")
		c.finish(codeAlready, "the session was resumed on this connection")
	case errors.Is(err, errTooLong):
		log.Info("IDENTIFY was held for long: the bot is sent away, and keeps its place", "linger", c.p.linger)
		c.finish(codeComeBack, "held for long: connect again, the place in line is kept")
	case errors.Is(err, errWithdrawn), errors.Is(err, errClosing), c.ctx.Err() != nil:
		c.sight.unheld()
		log.Debug("IDENTIFY is not held any more", "why", err)
	default:
		log.Warn("IDENTIFY cannot be held", "error", err)
		c.finish(codeComeBack, "the queue fails: connect again")
	}
}

// withdraw ends the hold of an IDENTIFY that has not left. Its place is kept for a
// while.
func (c *conn) withdraw() {
	c.mu.Lock()
	h := c.held
	c.mu.Unlock()
	if h != nil {
		h.cancel(errWithdrawn)
		<-h.done
	}
}

// await waits for the turn of an IDENTIFY, and sends it. An error means that it was
// not sent.
func (c *conn) await(ctx context.Context, h *held) error {
	bot, done, err := c.bot(ctx, h.payload.Token)
	if err != nil {
		return err
	}
	defer done()
	for {
		permit, since, err := bot.acquire(ctx, h.payload.Shard[0], c.p.linger)
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return err
		}
		sent, err := c.send(ctx, h, permit)
		if sent {
			return nil
		}
		bot.leaves(h.payload.Shard[0], since, c.p.linger)
		c.p.reports.Abandon(permit, c.unreported)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case c.p.open.Err() != nil:
			return errClosing
		case errors.Is(err, errAlready):
			return err
		case errors.Is(err, errNoDiscord): // it asks once there is one
			if _, err := c.upstream(ctx); err != nil {
				return err
			}
		case errors.Is(err, gatewayconn.ErrLost):
			_ = c.upNow().close() // The pump sees to another one.
		}
		c.log.Debug("a granted IDENTIFY could not leave: it asks again", "shard", h.payload.Shard[0], "error", err)
	}
}

// bot finds the queue of who identifies, for as long as it may take.
func (c *conn) bot(ctx context.Context, token string) (*bot, func(), error) {
	for wait := firstRetry; ; wait = min(2*wait, mostRetry) {
		bot, done, err := c.p.bots.use(ctx, token)
		if err == nil || errors.Is(err, ErrToken) || ctx.Err() != nil {
			return bot, done, err
		}
		c.log.Warn("no queue for a bot: an IDENTIFY of it is held, and it is tried again", "app", c.sight.app(), "error", err, "again_in", wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
	}
}

// send sends an IDENTIFY under its permit, and what has come behind it. The permit is
// reported if it was sent, or perhaps was.
func (c *conn) send(ctx context.Context, h *held, permit gatewayqueue.Permit) (sent bool, err error) {
	dialled, cancel := context.WithTimeoutCause(ctx, dialWithin, errNoDiscord)
	defer cancel()
	u, err := c.upstream(dialled)
	if err != nil {
		return false, err
	}
	u.write.Lock()
	defer u.write.Unlock()
	c.mu.Lock()
	switch {
	case c.up != u || c.ending:
		c.mu.Unlock()
		return false, errMoved
	case c.phase == ready: // a RESUME before it was taken after all
		c.mu.Unlock()
		return false, errAlready
	}
	before := c.phase
	h.sent, c.phase = true, identifying
	frames := h.frames
	c.mu.Unlock()

	c.writing.Lock()
	c.stream.Identified()
	c.writing.Unlock()
	c.sight.goes()
	leave := func(ctx context.Context, permit gatewayqueue.Permit) (bool, error) {
		return u.line.Send(ctx, permit, frames)
	}
	sent, err = c.p.sends.Do(ctx, c.p.open, leave, permit)
	c.mu.Lock()
	behind := h.behind
	if sent {
		c.held = nil
	} else {
		h.sent, c.phase = false, before
	}
	c.mu.Unlock()
	if !sent {
		return false, err
	}
	c.sight.identifies()
	c.p.reports.Identified(permit, u.line, c.unreported)
	if err != nil { // a part of it may have left: nothing more may
		_ = u.line.Close() // The bot hears of it from the pump.
		return true, nil
	}
	for _, b := range behind {
		_ = u.line.Forward(b) //nolint:errcheck // Whoever reads from there has it, too.
	}
	return true, nil
}

func (c *conn) unreported(err error) {
	c.log.Warn("what became of a permit could not be reported yet", "error", err)
}

// keepAlive sends heartbeats while an IDENTIFY is held, where the bot sends none, and
// gives a connection to Discord up that does not answer them. None is sent once
// IDENTIFY has left: Discord wants none before READY.
func (c *conn) keepAlive(ctx context.Context, h *held) {
	beat := wsframe.AppendMasked(nil, kindOf(c.wishes.etf), payload.Heartbeat(c.wishes.etf))
	for {
		c.mu.Lock()
		u, interval, due := c.up, c.interval, c.beaten.Add(c.interval*9/10)
		c.mu.Unlock()
		if wait := time.Until(due); wait > 0 {
			select {
			case <-time.After(wait):
				continue // the bot may have sent one meanwhile
			case <-ctx.Done():
				return
			}
		}
		if u != nil {
			if err := c.beatFor(u, h, beat, interval); err != nil {
				u.line.End(err)
				_ = u.line.Close()
			}
		}
		c.mu.Lock()
		c.beaten = time.Now()
		c.mu.Unlock()
	}
}

// beatFor sends one heartbeat for a bot whose IDENTIFY is held.
func (c *conn) beatFor(u *upstream, h *held, beat []byte, interval time.Duration) error {
	u.write.Lock()
	defer u.write.Unlock()
	c.mu.Lock()
	left := h.sent || c.held != h || c.up != u
	c.mu.Unlock()
	if left {
		return nil
	}
	if s := u.silence(); s > 2*interval {
		return fmt.Errorf("nothing has come for %v", s.Round(time.Millisecond))
	}
	return u.line.Beat(beat)
}

// kindOf is the kind of message that an encoding goes in.
func kindOf(etf bool) byte {
	if etf {
		return wsframe.Binary
	}
	return wsframe.Text
}

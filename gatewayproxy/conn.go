// One bot's connection: what it sends, and who is told of it.

package gatewayproxy

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/downstream"
	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/payload"
	"github.com/gatewayqueue/gatewayqueue/internal/wsframe"
)

const (
	// mostBehind is how many messages wait behind an IDENTIFY that is held: as many
	// as Discord takes of a connection in a minute.
	mostBehind = 120

	// mostPayload is how many bytes Discord takes in a message. It closes for more,
	// which an IDENTIFY that is not sent need not wait for.
	// https://discord.com/developers/docs/events/gateway#sending-events
	mostPayload = 4096

	// discordsInterval is taken for the interval of heartbeats before HELLO.
	discordsInterval = 41250 * time.Millisecond
)

// Close codes that the proxy gives. Discord gives all but the first for the same.
const (
	codeComeBack = 4000 // after it libraries resume, or come back to be held again
	codeDecode   = 4002
	codeNotYet   = 4003
	codeToken    = 4004
	codeAlready  = 4005
	codeTooMuch  = 4008
	codeTimedOut = 4009
)

const badToken = "token: no bot's: want one as Discord's developer portal shows it" //nolint:gosec // It is no token.

// conn is one bot's connection, and the one to Discord that belongs to it.
type conn struct {
	p        *Proxy
	log      *slog.Logger
	client   net.Conn
	from     clientReader
	way      way
	wishes   wishes
	header   http.Header // of the bot's handshake, for another one with Discord
	external string      // by which address bots reach the proxy
	sight    *sight
	follows  sync.Once

	ctx    context.Context // ends when the connection is over
	cancel context.CancelCauseFunc

	// writing guards what goes to the bot, and the stream that it is part of.
	writing sync.Mutex
	stream  *downstream.Stream
	partly  bool // the last write has ended in the midst of a message of Discord's

	next      chan *upstream // for the pump
	finishing chan struct{}  // closed once said is there

	mu       sync.Mutex
	up       *upstream     // nil while not connected
	changed  chan struct{} // closed when up changes, and replaced
	dialling bool
	attached time.Time     // when the last upstream came
	pause    time.Duration // before the next is dialled
	held     *held
	phase    phase
	interval time.Duration // of heartbeats, as HELLO said
	beaten   time.Time     // when the last heartbeat left, the bot's or ours
	said     []byte        // the close frame of the proxy's own that the connection ends with
	ending   bool          // said is there, or Discord's close frame was passed on
	closes   bool          // the bot's close frame was passed on
}

// phase is what a connection has come to.
type phase int

const (
	fresh       phase = iota // neither IDENTIFY nor RESUME has left, or it was refused
	resuming                 // RESUME has left
	identifying              // IDENTIFY has left, or is leaving
	ready                    // READY or RESUMED has come
)

func (p *Proxy) newConn(client net.Conn, in *bufio.Reader, way way, w wishes, header http.Header, external string) *conn {
	c := &conn{
		p: p, client: client, from: clientReader{in: in}, way: way, wishes: w, header: header, external: external,
		next: make(chan *upstream, 1), finishing: make(chan struct{}), changed: make(chan struct{}),
		interval: discordsInterval, beaten: time.Now(),
		log: p.log.With("remote", client.RemoteAddr().String()),
	}
	c.sight = p.sights.arrives(client.RemoteAddr().String(), way.to.host, way.shard)
	c.stream = downstream.New(w.etf, w.compression, c.rewrite)
	c.ctx, c.cancel = context.WithCancelCause(p.ctx)
	return c
}

// serve runs the connection until it is over. Without a first upstream Discord is
// dialled when it is needed.
func (c *conn) serve(first *upgraded) {
	defer c.end()
	if first != nil {
		u := c.newUpstream(first)
		c.attach(u)
		c.next <- u
	} else {
		c.interval = c.p.late
		c.inject(payload.Hello(c.wishes.etf, c.p.late))
	}
	pumped := make(chan struct{})
	go func() {
		defer close(pumped)
		c.pump()
	}()
	err := c.read()
	var refusal *payload.Refusal
	switch {
	case errors.As(err, &refusal):
		c.finish(refusal.Code, refusal.Reason)
		<-pumped // it writes the close frame
		c.drain()
	case c.endsInOrder():
		select {
		case <-pumped: // Discord has answered the bot's close frame
		case <-time.After(closeTimeout):
		}
	default: // unless Discord was the first to go
		c.sight.closed(codeNone, byBot)
	}
	c.cut(nil)
	<-pumped
}

// read takes what the bot sends, until it closes or is refused.
func (c *conn) read() error {
	for {
		c.expects()
		m, err := c.from.next()
		if timedOut(err) && c.silent() {
			return &payload.Refusal{Code: codeTimedOut, Reason: "no heartbeat for two intervals"}
		}
		if err != nil {
			return err
		}
		c.sight.sent.Add(int64(len(m.frames)))
		c.mu.Lock()
		ending := c.ending
		c.mu.Unlock()
		switch {
		case m.opcode == wsframe.Close:
			c.botCloses(m)
			return nil
		case ending: // nothing counts any more but the answer to our close frame
		case m.control():
			c.control(m)
		default:
			if err := c.message(m); err != nil {
				return err
			}
		}
	}
}

// expects bounds the silence of a bot for which nobody is there but the proxy: of one
// that is connected to Discord, Discord does, and one whose IDENTIFY is held may be
// silent.
func (c *conn) expects() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.p.late == 0 || c.ending {
		return
	}
	until := time.Time{}
	if c.up == nil && c.held == nil {
		until = time.Now().Add(2 * c.p.late)
	}
	_ = c.client.SetReadDeadline(until) //nolint:errcheck // It is closed, then.
}

// silent says that a bot has been silent for too long, and not that its connection ends.
func (c *conn) silent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.p.late > 0 && !c.ending
}

// control passes a ping or a pong on. Where Discord is not there a ping is answered.
func (c *conn) control(m clientMessage) {
	if u := c.upNow(); u != nil {
		u.forward(m.frames)
	} else if m.opcode == wsframe.Ping {
		c.toBot(wsframe.Append(nil, wsframe.Pong, m.text))
	}
}

// message passes a message on, holds it, or refuses it.
func (c *conn) message(m clientMessage) error {
	p, err := payload.Read(m.text)
	if err != nil {
		return err
	}
	switch p.Op {
	case payload.OpIdentify:
		if len(m.text) > mostPayload {
			return &payload.Refusal{Code: codeDecode, Reason: "IDENTIFY: more than 4096 bytes, which is what Discord takes"}
		}
		return c.identify(p, m.frames)
	case payload.OpResume:
		return c.resume(p, m.frames)
	case payload.OpHeartbeat:
		c.beats(m.frames)
		return nil
	}
	c.mu.Lock()
	h, u := c.held, c.up
	if h != nil {
		defer c.mu.Unlock()
		if len(h.behind) >= mostBehind {
			return &payload.Refusal{Code: codeTooMuch, Reason: "more than 120 messages while IDENTIFY is held"}
		}
		h.behind = append(h.behind, m.frames)
		return nil
	}
	c.mu.Unlock()
	if u == nil {
		return &payload.Refusal{Code: codeNotYet, Reason: "a message before IDENTIFY or RESUME"}
	}
	u.forward(m.frames)
	return nil
}

// beats passes a heartbeat on, whatever is held, or answers it where Discord is not
// there.
func (c *conn) beats(frames []byte) {
	c.mu.Lock()
	c.beaten = time.Now()
	u := c.up
	c.mu.Unlock()
	if u == nil {
		c.inject(payload.Ack(c.wishes.etf))
		return
	}
	c.sight.beats()
	u.forward(frames)
}

// inject sends a payload of the proxy's own to the bot, as part of its stream. Where
// that cannot be, for the moment in which Discord's last message still passes, it is
// left out: libraries bear with one heartbeat that is not answered.
func (c *conn) inject(p []byte) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.partly {
		return
	}
	opcode, message, err := c.stream.Inject(p)
	if err != nil {
		c.log.Debug("a payload of the proxy's own is left out", "error", err)
		return
	}
	_ = c.write(wsframe.Append(nil, opcode, message)) //nolint:errcheck // The connection ends with it.
}

// toBot sends whole frames to the bot, between two messages.
func (c *conn) toBot(frames []byte) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.partly {
		return
	}
	_ = c.write(frames) //nolint:errcheck // The connection ends with it.
}

// write writes to the bot, for who has the lock. It blocks while the bot does not
// read: that is how Discord is slowed down, as without a proxy.
func (c *conn) write(p []byte) error {
	n, err := c.client.Write(p)
	c.sight.received.Add(int64(n))
	if err != nil {
		c.sight.closed(codeNone, byBot)
		c.cut(err)
	}
	return err
}

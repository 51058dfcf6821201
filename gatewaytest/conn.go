// One connection: from the request for it to its end. One goroutine reads; the
// other, which is the request's own, does all the rest and alone writes.

package gatewaytest

import (
	"context"
	"encoding/binary"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/coder/websocket"
)

const (
	// writeTimeout bounds a write to a client that does not read.
	writeTimeout = 5 * time.Second
	// closeGrace is how long a client may take to answer a close frame.
	closeGrace = time.Second
	// reconnectGrace is how long a client that was told to reconnect (op 7)
	// may stay.
	reconnectGrace = 5 * time.Second
)

type conn struct {
	s       *Server
	wire    *transport
	ws      *websocket.Conn
	tcp     hostConn
	asked   string // the Host header by which it came
	version int
	frames  chan frame
	wake    chan struct{} // holds one element while there are orders
	orders  []order       // guarded by Server.mu
	doomed  bool          // no session can begin here any more; guarded by Server.mu

	// The rest is the writing goroutine's own.
	sess     *session  // nil before IDENTIFY or RESUME was accepted
	shard    int       // unknownShard until IDENTIFY or RESUME says it
	up       bool      // READY was sent, or RESUME accepted
	hello    time.Time // when HELLO was sent
	payloads meter
	beats    Heartbeats // until the shard is known
	bytes    int64      // sent until the shard is known
	ready    *time.Timer
	silence  *time.Timer // no heartbeat for too long
	unnamed  *time.Timer // neither IDENTIFY nor RESUME for too long
	eviction *time.Timer // still there after op 7
	over     bool        // the connection has ended, or must
	began    bool        // a session has begun here
}

// frame is one message from the client, or the end of reading.
type frame struct {
	arrival time.Time
	data    []byte
	err     error
}

// serveGateway answers a request for a WebSocket, and returns when that ends.
func (s *Server) serveGateway(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		writeError(w, http.StatusServiceUnavailable)
		return
	}
	s.wg.Add(1) // Under the lock: Close is not waiting yet.
	s.stats.Connections++
	s.mu.Unlock()
	defer s.wg.Done()

	if tcp := connOf(r); s.hostDown(tcp.host) {
		_ = tcp.Close() // The client sees it.
		return
	}
	if s.failures.strike(RefuseConnection, unknownShard) {
		writeError(w, http.StatusServiceUnavailable)
		return
	}
	wire, err := s.newTransport(r.URL.Query())
	if err != nil {
		s.log.Error("no such transport", "err", err)
		http.Error(w, err.Error(), http.StatusNotImplemented)
		return
	}
	defer wire.close()
	latency := s.nextDelay(&s.latency)
	if !s.sleep(r.Context(), latency/2) {
		return
	}
	// Bots send no Origin; a page that tests against this server may.
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		s.log.Debug("not a websocket", "err", err)
		return
	}
	ws.SetReadLimit(maxMessage)
	c := &conn{
		s: s, wire: wire, ws: ws, tcp: connOf(r), asked: r.Host, shard: unknownShard,
		payloads: meter{most: s.payloads, period: s.payloadPeriod},
		frames:   make(chan frame), wake: make(chan struct{}, 1),
		ready: stoppedTimer(), silence: stoppedTimer(), unnamed: stoppedTimer(), eviction: stoppedTimer(),
	}
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	s.wg.Go(func() { c.read(ctx) })
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.ledger.of(unknownShard).Connections++
	s.mu.Unlock()

	c.run(ctx, latency-latency/2, r.URL.Query())
	select {
	case f := <-c.frames: // it had come when the connection was severed
		c.identifyInVain(f)
	default:
	}

	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	for _, timer := range []*time.Timer{c.ready, c.silence, c.unnamed, c.eviction} {
		timer.Stop()
	}
	_ = c.tcp.Close()   // Closed already, as a rule.
	_ = c.ws.CloseNow() // The same.
}

// sleep reports whether d passed before ctx or the server ended.
func (s *Server) sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return s.ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-s.ctx.Done():
	}
	return false
}

// read passes on what the client sends, with the time it came.
func (c *conn) read(ctx context.Context) {
	for {
		_, data, err := c.ws.Read(ctx)
		if err == nil && !c.s.sleep(ctx, c.s.nextDelay(&c.s.transit)) {
			return
		}
		select {
		case c.frames <- frame{time.Now(), data, err}: // The time is taken before the wait.
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// run talks to the client until one of the two ends the connection.
func (c *conn) run(ctx context.Context, helloDelay time.Duration, query url.Values) {
	defer c.leave(false)
	if c.s.failures.strike(DropBeforeHello, unknownShard) || !c.s.sleep(ctx, helloDelay) {
		return
	}
	var ok bool
	if c.version, ok = parseVersion(query.Get("v")); !ok {
		c.close(closeInvalidVersion)
		return
	}
	if c.wire.refused != "" {
		c.s.log.Debug("refused", "reason", c.wire.refused)
		c.close(closeDecodeError)
		return
	}
	c.hello = time.Now()
	c.write(opHello, helloData{c.s.heartbeat.Milliseconds(), trace()})
	if c.s.failures.strike(DropAfterHello, unknownShard) {
		return
	}
	c.silence.Reset(missedHeartbeats * c.s.heartbeat)
	c.awaitIdentify()
	for !c.over {
		select {
		case <-ctx.Done():
			return
		case f := <-c.frames:
			c.take(f)
		case <-c.wake:
			c.obey()
			select {
			case f := <-c.frames: // first: many events may be waiting
				c.take(f)
			default:
			}
			c.flush()
		case <-c.ready.C:
			c.sendReady()
		case <-c.silence.C:
			c.s.count(func(stats *Stats) { stats.Timeouts++ })
			c.close(closeSessionTimedOut)
		case <-c.unnamed.C:
			c.s.log.Debug("neither IDENTIFY nor RESUME in time", "within", c.s.identifyWithin)
			c.close(closeSessionTimedOut)
		case <-c.eviction.C:
			c.close(closeUnknownError)
		}
	}
}

// take does what a message, or the end of reading, asks for.
func (c *conn) take(f frame) {
	if f.err == nil {
		c.handle(f)
		return
	}
	c.over = true
	code := websocket.CloseStatus(f.err)
	c.leave(endsSession(code))
	if code < 0 {
		code = websocket.StatusAbnormalClosure
	}
	c.saw(func(r *ShardReport) { r.Left[int(code)]++ })
}

// leave takes the connection's session off it. The session can be resumed
// unless it ends with this, or has never been ready.
func (c *conn) leave(ends bool) {
	if c.sess == nil {
		return
	}
	c.began, c.up = true, false
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.s.alive(c.sess, c) {
		if ends || c.sess.seq == 0 {
			c.s.endSession(c.sess)
		} else {
			c.s.detach(c.sess)
		}
	}
	c.sess = nil
}

// close ends the connection with a close frame, and gives the client a moment
// to answer it.
func (c *conn) close(code websocket.StatusCode) {
	c.over = true
	c.leave(!closeRules[code].resumable)
	reason := closeRules[code].reason
	c.s.log.Debug("close", "code", int(code), "reason", reason)
	c.saw(func(r *ShardReport) { r.Closed[int(code)]++ })
	defer context.AfterFunc(c.s.ctx, func() { _ = c.tcp.Close() })() // It may be closed already.
	// Not with ws.Close, which throws away what comes from now on. Nobody else
	// writes, and what was written has been flushed.
	frame := append([]byte{0x88, byte(2 + len(reason))}, binary.BigEndian.AppendUint16(nil, uint16(code))...)
	_ = c.tcp.SetWriteDeadline(time.Now().Add(writeTimeout)) // The same.
	if _, err := c.tcp.Write(append(frame, reason...)); err == nil {
		c.listen()
	}
}

// listen goes on judging what a client sends that has not heard of its
// connection's end, until it answers that, or a moment has passed.
func (c *conn) listen() {
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	for {
		select {
		case f := <-c.frames:
			if f.err != nil {
				return
			}
			c.identifyInVain(f)
		case <-grace.C:
			return
		case <-c.s.ctx.Done():
			return
		}
	}
}

// write sends a payload that is no event.
func (c *conn) write(op int, data any) { c.send(sent{Op: op, D: data}) }

// wakeUp makes the writing goroutine look for orders and events. It never blocks.
func (c *conn) wakeUp() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// awaitIdentify begins the time for which the connection may do without a
// session.
func (c *conn) awaitIdentify() {
	if c.s.identifyWithin > 0 {
		c.unnamed.Reset(c.s.identifyWithin)
	}
}

func (c *conn) send(payload sent) {
	kind, data, err := c.wire.encode(payload)
	if err != nil {
		panic("gatewaytest: " + err.Error()) // The payloads are ours.
	}
	ctx, cancel := context.WithTimeout(c.s.ctx, writeTimeout)
	defer cancel()
	if err := c.ws.Write(ctx, kind, data); err != nil {
		c.over = true
		return
	}
	if c.shard == unknownShard {
		c.bytes += int64(len(data))
	}
	c.saw(func(r *ShardReport) { r.Bytes += int64(len(data)) })
}

// parseVersion reads the API version. Old ones are let in, as by Discord while
// it only discourages them; none at all is taken for the current one.
func parseVersion(v string) (int, bool) {
	if v == "" {
		return 10, true
	}
	version, err := strconv.Atoi(v)
	return version, err == nil && 6 <= version && version <= 10
}

func stoppedTimer() *time.Timer {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return timer
}

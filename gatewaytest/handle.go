// What the gateway does with a payload: the rules that Discord enforces.

package gatewaytest

import (
	"encoding/json"
	"strings"
)

// handle answers one payload from the client.
func (c *conn) handle(f frame) {
	payload := received{Op: noOp}
	if len(f.data) > maxPayload {
		c.s.log.Debug("payload too long", "bytes", len(f.data))
		c.close(closeDecodeError)
		return
	}
	if err := c.wire.decode(f.data, &payload); err != nil {
		c.s.log.Debug("not a payload", "err", err)
		c.close(closeDecodeError)
		return
	}
	counts := payload.Op != opHeartbeat || c.s.heartbeat >= slowestUncounted
	if counts && !c.payloads.allows(f.arrival) {
		c.close(closeRateLimited)
		return
	}
	switch {
	case payload.Op == noOp, payload.misshapen():
		c.close(closeDecodeError)
	case !knownOp(payload.Op):
		c.close(closeUnknownOpcode)
	case payload.Op == opHeartbeat:
		c.silence.Reset(missedHeartbeats * c.s.heartbeat)
		c.beat(f.arrival)
		if c.sess == nil && c.s.heartbeatsExtend {
			c.awaitIdentify()
		}
		c.write(opHeartbeatACK, nil)
	case payload.Op == opIdentify:
		var data identifyData
		if err := json.Unmarshal(payload.D, &data); err != nil {
			c.close(closeDecodeError)
			return
		}
		c.identify(f, data)
	case payload.Op == opResume:
		var data resumeData
		if err := json.Unmarshal(payload.D, &data); err != nil {
			c.close(closeDecodeError)
			return
		}
		c.resume(data)
	case !c.up:
		c.close(closeNotAuthenticated)
	}
}

// identify rules on an IDENTIFY. What has other faults than its time is
// rejected before anything is counted, as Discord does.
func (c *conn) identify(f frame, data identifyData) {
	s := c.s
	shard, count, valid := data.shard()
	if valid {
		c.isShard(shard)
	}
	c.saw(func(r *ShardReport) { r.Identifies++ })
	if c.sess != nil {
		c.close(closeAlreadyAuthenticated)
		return
	}
	if code := s.checkIdentify(data); code != 0 {
		c.close(code)
		return
	}
	if s.failures.strike(DropBeforeIdentify, shard) {
		c.over = true
		return
	}

	ruling := s.judge.identifyAt(f.arrival, shard)
	log := s.log.With("shard", shard, "shards", count, "gap", ruling.Gap)
	switch {
	case ruling.Over:
		log.Error("IDENTIFY past the daily limit: all sessions end, and the token is void")
		s.overrun()
		c.close(closeAuthenticationFailed)
	case ruling.Early:
		log.Warn("IDENTIFY inside the window", "window", s.window)
		c.invalidSession(false)
	case s.failures.strike(RefuseIdentify, shard):
		log.Debug("IDENTIFY refused on purpose")
		c.invalidSession(false)
	case s.failures.strike(DropAfterIdentify, shard):
		log.Debug("IDENTIFY, then severed on purpose")
		c.over = true
	default:
		log.Debug("IDENTIFY")
		c.wire.compressPayloads(data.Compress)
		c.sess = s.newSession(c, shard, count)
		c.unnamed.Stop()
		c.ready.Reset(s.nextDelay(&s.readyDelay))
	}
}

// identifyInVain judges an IDENTIFY that came on a connection which the server
// has just ended: Discord may have counted it, and no session comes of it.
func (c *conn) identifyInVain(f frame) {
	var payload received
	var data identifyData
	if f.err != nil || c.wire.decode(f.data, &payload) != nil || payload.Op != opIdentify || json.Unmarshal(payload.D, &data) != nil {
		return
	}
	if c.began || c.s.checkIdentify(data) != 0 {
		return // as in identify, nothing is counted
	}
	c.s.count(func(stats *Stats) { stats.IdentifiesInVain++ })
	shard, _, _ := data.shard()
	c.isShard(shard)
	c.saw(func(r *ShardReport) { r.Identifies++ })
	ruling := c.s.judge.identifyAt(f.arrival, shard)
	c.s.log.Debug("IDENTIFY on a connection that has ended", "shard", shard, "gap", ruling.Gap)
	if ruling.Over {
		c.s.overrun()
	}
}

// sendReady sends READY once its delay has passed.
func (c *conn) sendReady() {
	if c.sess == nil {
		return
	}
	again := c.s.failures.strike(ReconnectAfterReady, c.sess.Shard)
	c.up = true
	c.s.setReady(c.sess, c, !again) // before it is sent: who has read READY may rely on it
	c.flush()
	if again && !c.over {
		c.reconnect()
	}
}

// resume hands the client the session it asks for. Nothing limits it.
func (c *conn) resume(data resumeData) {
	switch {
	case c.sess != nil:
		c.close(closeAlreadyAuthenticated)
		return
	case !c.s.authentic(bareToken(data.Token)):
		c.close(closeAuthenticationFailed)
		return
	}
	if shard, known := c.s.shardOf(data.SessionID); known {
		c.isShard(shard)
	}
	sess, futureSeq := c.s.resumable(c, data)
	switch {
	case futureSeq:
		c.close(closeInvalidSeq)
	case sess == nil:
		c.s.log.Debug("RESUME of no session")
		c.s.count(func(stats *Stats) { stats.RefusedResumes++ })
		c.saw(func(r *ShardReport) { r.RefusedResumes++ })
		c.invalidSession(false)
	default:
		c.s.log.Debug("RESUME", "shard", sess.Shard)
		c.sess, c.up = sess, true
		c.unnamed.Stop()
		c.s.setResumed(sess, c)
		c.flush() // the first event that was missed, or RESUMED
	}
}

// invalidSession sends op 9. The client may IDENTIFY on this connection, or on
// another.
func (c *conn) invalidSession(resumable bool) {
	c.s.count(func(stats *Stats) { stats.InvalidSessions++ })
	c.saw(func(r *ShardReport) { r.InvalidSessions++ })
	c.leave(!resumable)
	c.ready.Stop()
	c.awaitIdentify()
	c.write(opInvalidSession, resumable)
}

// bareToken is a token without "Bot ", which IDENTIFY may have or not.
func bareToken(token string) string { return strings.TrimPrefix(token, "Bot ") }

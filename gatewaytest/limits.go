// What a connection may send, and for how long it may be silent.

package gatewaytest

import (
	"time"

	"github.com/coder/websocket"
)

const (
	// maxPayload is how many bytes a client's message may have: 4002.
	maxPayload = 4096
	// maxMessage is where the server stops reading a message: 1009, from the
	// WebSocket library.
	maxMessage = 1 << 20
	// DefaultPayloads is how many payloads a connection may send in
	// [DefaultPayloadPeriod]: 4008.
	DefaultPayloads = 120
	// DefaultPayloadPeriod is the period of [DefaultPayloads].
	DefaultPayloadPeriod = time.Minute
	// slowestUncounted is the heartbeat interval below which heartbeats do not
	// count as payloads: a test that scales it down would have its own clients
	// closed with 4008 for what the server asks of them.
	slowestUncounted = 5 * time.Second
	// missedHeartbeats is how many intervals may pass without a heartbeat: 4009.
	missedHeartbeats = 2
)

// knownIntents are the bits that Discord's documentation lists; any other is
// closed with 4013.
const knownIntents = 1<<17 - 1 | 1<<20 | 1<<21 | 1<<24 | 1<<25

// meter finds a payload that is one too many in any period, however the
// period is laid.
type meter struct {
	most   int // 0 is any number
	period time.Duration
	times  []time.Time // of the latest payloads, at most `most` of them
}

// allows notes a payload that came at now, and reports whether it may.
func (m *meter) allows(now time.Time) bool {
	if m.most == 0 {
		return true
	}
	if len(m.times) < m.most {
		m.times = append(m.times, now)
		return true
	}
	first := m.times[0]
	m.times = append(m.times[:0], m.times[1:]...)
	m.times = append(m.times, now)
	return now.Sub(first) >= m.period
}

// checkIdentify returns the code that an IDENTIFY with faults of its own is
// closed with: nothing of it counts. 0 if it has none.
func (s *Server) checkIdentify(data identifyData) websocket.StatusCode {
	_, count, valid := data.shard()
	switch {
	case !s.authentic(bareToken(data.Token)):
		return closeAuthenticationFailed
	case !valid:
		return closeInvalidShard
	case count < s.leastShards:
		return closeShardingRequired
	case data.Intents != nil && *data.Intents&^knownIntents != 0:
		return closeInvalidIntents
	case data.Intents != nil && *data.Intents&s.disallowed != 0:
		return closeDisallowedIntents
	}
	return 0
}

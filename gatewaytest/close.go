// Close codes: what each is called, and what it leaves of the session.
// https://discord.com/developers/docs/topics/opcodes-and-status-codes#gateway-gateway-close-event-codes

package gatewaytest

import "github.com/coder/websocket"

// A close without one of these codes is a severed connection.
const (
	closeNormal               = websocket.StatusNormalClosure
	closeGoingAway            = websocket.StatusGoingAway
	closeUnknownError         = websocket.StatusCode(4000)
	closeUnknownOpcode        = websocket.StatusCode(4001)
	closeDecodeError          = websocket.StatusCode(4002)
	closeNotAuthenticated     = websocket.StatusCode(4003)
	closeAuthenticationFailed = websocket.StatusCode(4004)
	closeAlreadyAuthenticated = websocket.StatusCode(4005)
	closeInvalidSeq           = websocket.StatusCode(4007)
	closeRateLimited          = websocket.StatusCode(4008)
	closeSessionTimedOut      = websocket.StatusCode(4009)
	closeInvalidShard         = websocket.StatusCode(4010)
	closeShardingRequired     = websocket.StatusCode(4011)
	closeInvalidVersion       = websocket.StatusCode(4012)
	closeInvalidIntents       = websocket.StatusCode(4013)
	closeDisallowedIntents    = websocket.StatusCode(4014)
)

// closeRule is one row of the table of close codes.
type closeRule struct {
	reason string // as Discord sends it
	// resumable: the session outlives a connection that the server closes so.
	// The documentation's column "Reconnect" is another: after 4007 and 4009 a
	// client reconnects, to a new session.
	resumable bool
}

// closeRules are the codes that the server closes connections with.
var closeRules = map[websocket.StatusCode]closeRule{
	closeNormal:               {"", true},
	closeGoingAway:            {"Going away.", true},
	closeUnknownError:         {"Unknown error.", true},
	closeUnknownOpcode:        {"Unknown opcode.", true},
	closeDecodeError:          {"Error while decoding payload.", true},
	closeNotAuthenticated:     {"Not authenticated.", false},
	closeAuthenticationFailed: {"Authentication failed.", false},
	closeAlreadyAuthenticated: {"Already authenticated.", true},
	closeInvalidSeq:           {"Invalid seq.", false},
	closeRateLimited:          {"Rate limited.", true},
	closeSessionTimedOut:      {"Session timed out.", false},
	closeInvalidShard:         {"Invalid shard.", false},
	closeShardingRequired:     {"Sharding required.", false},
	closeInvalidVersion:       {"Invalid API version.", false},
	closeInvalidIntents:       {"Invalid intent(s).", false},
	closeDisallowedIntents:    {"Disallowed intent(s).", false},
}

// endsSession reports whether a client that closes with code has ended its
// session. Any other code, or none, leaves it resumable.
func endsSession(code websocket.StatusCode) bool {
	return code == closeNormal || code == closeGoingAway
}

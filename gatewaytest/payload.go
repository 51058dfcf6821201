// The wire: opcodes, close codes and the payloads that the fake gateway reads
// and writes.
// https://discord.com/developers/docs/topics/opcodes-and-status-codes

package gatewaytest

import (
	"encoding/json"
	"slices"

	"github.com/coder/websocket"
)

// Opcodes that a gateway handles. Those a client may send once it has
// identified, and that change nothing here, are in ignoredOps.
const (
	opDispatch       = 0
	opHeartbeat      = 1
	opIdentify       = 2
	opResume         = 6
	opReconnect      = 7
	opInvalidSession = 9
	opHello          = 10
	opHeartbeatACK   = 11
)

// ignoredOps are presence and voice state updates, and requests for members
// and soundboard sounds.
var ignoredOps = []int{3, 4, 8, 31}

// Close codes. A close without one of them is a severed connection.
const (
	closeGoingAway            = websocket.StatusGoingAway
	closeUnknownError         = websocket.StatusCode(4000)
	closeUnknownOpcode        = websocket.StatusCode(4001)
	closeDecodeError          = websocket.StatusCode(4002)
	closeNotAuthenticated     = websocket.StatusCode(4003)
	closeAuthenticationFailed = websocket.StatusCode(4004)
	closeAlreadyAuthenticated = websocket.StatusCode(4005)
	closeInvalidSeq           = websocket.StatusCode(4007)
	closeSessionTimedOut      = websocket.StatusCode(4009)
	closeInvalidShard         = websocket.StatusCode(4010)
	closeInvalidVersion       = websocket.StatusCode(4012)
)

// closeReasons are the reasons that Discord sends with its codes.
var closeReasons = map[websocket.StatusCode]string{
	closeGoingAway:            "Going away.",
	closeUnknownError:         "Unknown error.",
	closeUnknownOpcode:        "Unknown opcode.",
	closeDecodeError:          "Error while decoding payload.",
	closeNotAuthenticated:     "Not authenticated.",
	closeAuthenticationFailed: "Authentication failed.",
	closeAlreadyAuthenticated: "Already authenticated.",
	closeInvalidSeq:           "Invalid seq.",
	closeSessionTimedOut:      "Session timed out.",
	closeInvalidShard:         "Invalid shard.",
	closeInvalidVersion:       "Invalid API version.",
}

// received is a payload from a client.
type received struct {
	Op int             `json:"op"`
	D  json.RawMessage `json:"d"`
}

// sent is a payload to a client. Discord always writes all four fields.
type sent struct {
	Op int     `json:"op"`
	D  any     `json:"d"`
	S  *int64  `json:"s"`
	T  *string `json:"t"`
}

// identifyData is as much of IDENTIFY as a gateway needs in order to rule.
type identifyData struct {
	Token    string `json:"token"`
	Shard    []int  `json:"shard"`
	Compress bool   `json:"compress"`
}

// shard returns the shard's ID and the number of shards: 0 of 1 where the
// client sent none. It reports whether they are valid.
func (d identifyData) shard() (id, count int, ok bool) {
	if d.Shard == nil {
		return 0, 1, true
	}
	if len(d.Shard) != 2 {
		return 0, 0, false
	}
	id, count = d.Shard[0], d.Shard[1]
	return id, count, 0 <= id && id < count
}

type resumeData struct {
	Token     string `json:"token"`
	SessionID string `json:"session_id"`
	Seq       int64  `json:"seq"`
}

type helloData struct {
	HeartbeatInterval int64 `json:"heartbeat_interval"` // milliseconds
}

// readyData is READY. Discord still sends the lists of accounts that are no bots,
// and libraries rely on them: eris on private_channels, discord.py on the avatar.
type readyData struct {
	Version          int         `json:"v"`
	Trace            []string    `json:"_trace"`
	User             user        `json:"user"`
	Guilds           []any       `json:"guilds"`
	PrivateChannels  []any       `json:"private_channels"`
	Presences        []any       `json:"presences"`
	Relationships    []any       `json:"relationships"`
	SessionID        string      `json:"session_id"`
	ResumeGatewayURL string      `json:"resume_gateway_url"`
	Shard            [2]int      `json:"shard"`
	Application      application `json:"application"`
}

type user struct {
	ID            string  `json:"id"`
	Username      string  `json:"username"`
	GlobalName    *string `json:"global_name"`
	Discriminator string  `json:"discriminator"`
	Avatar        *string `json:"avatar"`
	Bot           bool    `json:"bot"`
}

type application struct {
	ID    string `json:"id"`
	Flags int    `json:"flags"`
}

// gatewayBot is the answer to GET /gateway/bot; that to GET /gateway has only
// the URL.
type gatewayBot struct {
	URL               string `json:"url"`
	Shards            int    `json:"shards"`
	SessionStartLimit any    `json:"session_start_limit"`
}

// knownOp reports whether a client may send op.
func knownOp(op int) bool {
	return op == opHeartbeat || op == opIdentify || op == opResume || slices.Contains(ignoredOps, op)
}

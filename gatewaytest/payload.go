// The wire: opcodes, and the envelopes that the fake gateway reads and writes.
// https://discord.com/developers/docs/topics/opcodes-and-status-codes

package gatewaytest

import (
	"bytes"
	"encoding/json"
	"slices"
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

// received is a payload from a client.
type received struct {
	Op int             `json:"op"`
	D  json.RawMessage `json:"d"`
}

// noOp is the opcode of a payload that has none.
const noOp = -1

// misshapen reports whether d is of another type than the opcode's. What objects
// hold is looked at where they are read.
func (r received) misshapen() bool {
	d := bytes.TrimSpace(r.D)
	null := len(d) == 0 || string(d) == "null"
	switch r.Op {
	case opHeartbeat: // the last seq, or null before there was one
		return !null && (d[0] < '0' || d[0] > '9')
	case opIdentify, opResume:
		return null || d[0] != '{'
	}
	return false
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
	Intents  *int64 `json:"intents"` // nil: Discord wants them, this server takes none for none
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

// knownOp reports whether a client may send op.
func knownOp(op int) bool {
	return op == opHeartbeat || op == opIdentify || op == opResume || slices.Contains(ignoredOps, op)
}

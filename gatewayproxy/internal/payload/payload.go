// Package payload reads what a client of Discord's gateway sends, as strictly as
// the proxy needs it, and writes the few payloads that are the proxy's own.
//
// No message may pass for something else here than for Discord: an IDENTIFY that
// was read as a heartbeat would escape the queue, and one that was read as another
// shard's or another token's would take the wrong place. How Discord reads what
// readers of JSON read differently (a name that comes twice, one in capitals) is
// not documented, so whatever two readers could take for different things is
// refused. A [Refusal] has the close code that Discord gives.
//
// This package does no I/O and keeps nothing.
package payload

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// Opcodes of a client that matter to the proxy.
const (
	OpHeartbeat = 1
	OpIdentify  = 2
	OpResume    = 6
)

// maxOp is the highest opcode that passes: Discord's own are below 50. What a
// server would cut down to one byte is never more.
const maxOp = math.MaxUint8

// Payload is as much as matters of one message of a client.
type Payload struct {
	Op      int
	ETF     bool   // else JSON
	Shard   [2]int // of an IDENTIFY: [id, count]; [0, 1] if it names none
	Token   string // of an IDENTIFY or a RESUME, without "Bot "; never log it
	Session string // of a RESUME: its session_id, or empty if that is no string
}

// Read reads a whole message, text or binary. What it is written in is seen from
// its first byte, as hikari sends JSON in binary messages: 131 begins a term, and
// nothing in JSON. Any error is a *Refusal.
func Read(message []byte) (Payload, error) {
	var f fields
	var refusal *Refusal
	p := Payload{ETF: len(message) > 0 && message[0] == version}
	if p.ETF {
		f, refusal = readETF(message)
	} else {
		f, refusal = readJSON(message)
	}
	if refusal == nil {
		refusal = p.judge(f)
	}
	if refusal != nil {
		return Payload{}, refusal
	}
	return p, nil
}

// fields are the values that matter, of either encoding: nil, bool, string,
// int64, uint64, float64, json.Number, []any and map[string]any. A field that is
// absent is missing{}. Of d only an IDENTIFY's and a RESUME's fields are there.
type fields struct {
	op      any
	d       any // an object is object{}
	token   any
	shard   any
	session any
}

// noFields are those of a message that has none.
func noFields() fields {
	return fields{op: missing{}, d: missing{}, token: missing{}, shard: missing{}, session: missing{}}
}

// second is the field of d that matters beside the token.
func second(op int) string {
	if op == OpResume {
		return "session_id"
	}
	return "shard"
}

type (
	missing struct{}
	object  struct{}
)

func (p *Payload) judge(f fields) *Refusal {
	op, refusal := opOf(f.op)
	if refusal != nil {
		return refusal
	}
	p.Op = op
	if op != OpIdentify && op != OpResume {
		return nil
	}
	if _, ok := f.d.(object); !ok {
		return refuse(decodeError, "d of opcode %d: %s: want an object", op, show(f.d))
	}
	if p.Token, refusal = tokenOf(f.token); refusal != nil {
		return refusal
	}
	if op == OpResume {
		p.Session, _ = f.session.(string) // Discord judges it.
		return nil
	}
	p.Shard, refusal = shardOf(f.shard)
	return refusal
}

func opOf(value any) (int, *Refusal) {
	op, ok := integer(value)
	switch {
	case !ok:
		return 0, refuse(decodeError, "op: %s: want an integer from 0 to %d", show(value), maxOp)
	case op < 0 || op > maxOp:
		return 0, refuse(unknownOpcode, "op: %d: want one from 0 to %d", op, maxOp)
	}
	return int(op), nil
}

func tokenOf(value any) (string, *Refusal) {
	switch v := value.(type) {
	case string:
		token := strings.TrimPrefix(v, "Bot ")
		if token == "" {
			return "", refuse(authenticationFailed, "token: empty: want a bot's token")
		}
		// What another reader might trim or cut off is not guessed.
		for _, c := range []byte(token) {
			if c <= ' ' || c > '~' {
				return "", refuse(authenticationFailed, "token: it has a space or a character that is not ASCII: want a bot's token")
			}
		}
		return token, nil
	case missing, nil:
		return "", refuse(authenticationFailed, "token: %s: want a bot's token", show(value))
	default:
		return "", refuse(decodeError, "token: %s: want a string", show(value))
	}
}

func shardOf(value any) ([2]int, *Refusal) {
	const want = "want [id, count], 0 <= id < count <= 2147483647"
	switch value.(type) {
	case missing, nil:
		return [2]int{0, 1}, nil
	}
	list, ok := value.([]any)
	if !ok {
		return [2]int{}, refuse(decodeError, "shard: %s: %s", show(value), want)
	}
	if list == nil {
		return [2]int{}, refuse(invalidShard, "shard: a list of more than %d bytes: %s", maxShard, want)
	}
	if len(list) != 2 {
		return [2]int{}, refuse(invalidShard, "shard: a list of %d: %s", len(list), want)
	}
	id, isID := integer(list[0])
	count, isCount := integer(list[1])
	switch {
	case !isID || !isCount:
		return [2]int{}, refuse(decodeError, "shard: [%s, %s]: %s", show(list[0]), show(list[1]), want)
	case id < 0 || id >= count || count > math.MaxInt32:
		return [2]int{}, refuse(invalidShard, "shard: [%d, %d]: %s", id, count, want)
	}
	return [2]int{int(id), int(count)}, nil
}

// integer is value, if it is exactly an integer. 2, 2.0, 2e0 and 20e-1 are, since
// readers of JSON differ only in whether they take the last three.
func integer(value any) (int64, bool) {
	switch v := value.(type) {
	case int64:
		return v, true
	case float64: // A float below 2^53 is exact.
		return int64(v), v == math.Trunc(v) && math.Abs(v) < 1<<53
	case json.Number:
		if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return n, true
		}
		_, exponent, _ := strings.Cut(strings.ToLower(string(v)), "e")
		if len(v) > 40 || len(exponent) > 3 { // big.Rat would write out a million zeros.
			return 0, false
		}
		r, ok := new(big.Rat).SetString(string(v))
		if !ok || !r.IsInt() || !r.Num().IsInt64() {
			return 0, false
		}
		return r.Num().Int64(), true
	default:
		return 0, false
	}
}

// show names a value in a reason: numbers as they are, of all else the kind only,
// since it could be the token.
func show(value any) string {
	switch v := value.(type) {
	case missing:
		return "absent"
	case nil:
		return "null"
	case bool, int64, uint64, float64:
		return fmt.Sprint(v)
	case json.Number:
		if len(v) > 20 {
			return "a number of " + strconv.Itoa(len(v)) + " characters"
		}
		return string(v)
	case string:
		return "a string"
	case []any:
		return "a list"
	default:
		return "an object"
	}
}

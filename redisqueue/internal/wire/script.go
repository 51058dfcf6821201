// Package wire has what goes to Redis and what comes back: for each script one
// file with its call and its reply, the names of keys, the text of tickets, and
// one table of Redis's errors. It does no I/O and knows nothing of waiters.
package wire

import (
	"crypto/sha1" //nolint:gosec // Redis names scripts by it.
	"encoding/hex"
	"strconv"
	"time"

	"github.com/gatewayqueue/gatewayqueue/lua"
)

// Script is one of the scripts, with the hash by which a server knows it.
type Script struct {
	*lua.Script
	Hash string
}

func newScript(s *lua.Script) *Script {
	sum := sha1.Sum([]byte(s.Source)) //nolint:gosec // see above
	return &Script{s, hex.EncodeToString(sum[:])}
}

// Call is a script with its keys and arguments, ready to be sent.
type Call struct {
	Script *Script
	Keys   []string
	Args   []any
}

// Request is a call before it is encoded.
type Request interface {
	Encode(keys Keys) Call
}

// RequestFor is a request whose reply is an R.
type RequestFor[R any] interface {
	Request
	// Decode reads the reply to the call, as go-redis returns it. Its error is an
	// ErrUnexpectedReply, or names a value in Redis that cannot be used.
	Decode(keys Keys, raw any) (R, error)
}

// PaidTTL is for how long Redis remembers at least what became of a ticket that
// has left: longer than a client may send a call again. That a ticket was granted,
// or has identified, is remembered until the reset.
const PaidTTL = time.Minute

// Place is a ticket that takes its place in a line.
type Place struct {
	Ticket  string
	Arrival int64 // ms on Redis's clock; 0 is now
}

func (p Place) score() string { return orEmpty(p.Arrival, p.Arrival != 0) }

// orEmpty is a number as an argument that may be missing.
func orEmpty(n int64, there bool) string {
	if !there {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// View is what a pod knows of the limits and state in force.
type View struct {
	Epoch          string // names the state; another one means that state was lost
	Seq            int64  // counts what closes buckets; less than before means that state was lost
	MaxConcurrency int    // 0 before the first contact
	Total          int
	Remaining      int
	Reset          int64 // ms on Redis's clock; 0 while no period has begun
}

// Same says that two views are of one state under the same limits, so that an
// answer given under the one is of use under the other.
func (v View) Same(other View) bool {
	return v.Epoch == other.Epoch && v.MaxConcurrency == other.MaxConcurrency
}

// What goes wrong on purpose.

package gatewaytest

import "sync"

// Failure is something that a [Server] can be told to do wrong, as Discord and
// networks do at times.
type Failure int

// The failures, in the order in which a connection can meet them.
const (
	// RefuseConnection answers the request for a connection with 503.
	RefuseConnection Failure = iota + 1
	// DropBeforeHello severs the connection when it has just been opened.
	DropBeforeHello
	// DropAfterHello severs the connection right after HELLO: an IDENTIFY is
	// perhaps sent, but never seen.
	DropAfterHello
	// DropBeforeIdentify severs the connection as IDENTIFY comes: it was sent,
	// and is lost. Nobody counts it.
	DropBeforeIdentify
	// DropAfterIdentify severs the connection right after IDENTIFY: it counts,
	// but there is no session and no READY.
	DropAfterIdentify
	// RefuseIdentify answers an IDENTIFY, which counts, with Invalid Session
	// (op 9, d false), though it came in time.
	RefuseIdentify
	// ReconnectAfterReady sends Reconnect (op 7) right after READY.
	ReconnectAfterReady
)

// failureNames are the names of failures, from RefuseConnection on, for those who
// set them over HTTP.
var failureNames = []string{
	"refuse-connection", "drop-before-hello", "drop-after-hello", "drop-before-identify", "drop-after-identify", "refuse-identify", "reconnect-after-ready",
}

// When tells for which connections a failure happens. It is asked once for each
// chance: shard is the shard's ID, or -1 for the three failures that come before
// it is known; n counts the chances of that shard (all connections, while
// unknown) from 1. It is called from many goroutines.
type When func(shard, n int) bool

// First is a failure at the first n chances of every shard.
func First(n int) When {
	return func(_, chance int) bool { return chance <= n }
}

// Chance is a failure with probability p, in [0, 1]. The same seed draws the
// same failures in the same order.
func Chance(p float64, seed uint64) When {
	draw := drawer(seed)
	return func(int, int) bool { return draw() < p }
}

// Fail makes a failure happen from now on, whenever when says so; nil ends it.
// The count of chances starts again at 0.
func (s *Server) Fail(kind Failure, when When) { s.failures.set(kind, when) }

const unknownShard = -1

type failures struct {
	mu      sync.Mutex
	whens   map[Failure]When
	chances map[Failure]map[int]int
}

func (f *failures) set(kind Failure, when When) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.whens == nil {
		f.whens, f.chances = make(map[Failure]When), make(map[Failure]map[int]int)
	}
	f.whens[kind], f.chances[kind] = when, make(map[int]int)
}

// strike reports whether kind happens to shard now.
func (f *failures) strike(kind Failure, shard int) bool {
	f.mu.Lock()
	when := f.whens[kind]
	if when == nil {
		f.mu.Unlock()
		return false
	}
	f.chances[kind][shard]++
	n := f.chances[kind][shard]
	f.mu.Unlock()
	return when(shard, n)
}

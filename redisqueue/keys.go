package redisqueue

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// keys names every key of one application. All share one hash tag, so that a
// cluster keeps them on one node, where one script may touch them all.
type keys struct{ prefix string }

func keysOf(app string) keys { return keys{"identify:{" + app + "}:"} }

func (k keys) limits() string          { return k.prefix + "limits" }
func (k keys) remaining() string       { return k.prefix + "remaining" }
func (k keys) spent() string           { return k.prefix + "spent" }
func (k keys) pods() string            { return k.prefix + "pods" }
func (k keys) opens() string           { return k.prefix + "opens" }
func (k keys) rests() string           { return k.prefix + "rests" }
func (k keys) holds() string           { return k.prefix + "holds" }
func (k keys) slot(bucket int) string  { return k.prefix + "slot:" + strconv.Itoa(bucket) }
func (k keys) queue(bucket int) string { return k.prefix + "queue:" + strconv.Itoa(bucket) }

// paid is what is known of a ticket, or of the wait that it is one of several of.
func (k keys) paid(ticket string) string {
	if wait := waitOf(ticket); wait != "" {
		ticket = wait
	}
	return k.prefix + "paid:" + ticket
}

// shared is what servers keep for each other.
func (k keys) shared(name string) string { return k.prefix + "shared:" + name }

// permitSuffix marks a slot whose holder has not identified yet.
const permitSuffix = " permit"

// formatTicket writes <shard>@<pod>#<n>. The shard has five digits so that
// tickets that arrive in the same millisecond stand in the order of their
// shards.
func formatTicket(shard int, pod string, n uint64) string {
	return fmt.Sprintf("%05d@%s#%d", shard, pod, n)
}

// waitMark stands between a ticket and the wait that it belongs to: a caller
// that comes and goes has one ticket after the other for one grant.
const waitMark = "~"

// waitOf is the wait that a ticket belongs to, or empty if it is one of its own.
func waitOf(ticket string) string {
	i := strings.LastIndex(ticket, waitMark)
	if i < 0 || strings.LastIndexByte(ticket, '#') > i {
		return ""
	}
	return ticket[i:]
}

// parseTicket is the inverse of formatTicket, whatever wait the ticket belongs
// to; ok is false for anything else.
func parseTicket(ticket string) (shard int, pod string, n uint64, ok bool) {
	ticket = strings.TrimSuffix(ticket, waitOf(ticket))
	id, rest, found := strings.Cut(ticket, "@")
	i := strings.LastIndexByte(rest, '#')
	if !found || i < 0 {
		return 0, "", 0, false
	}
	shard, err := strconv.Atoi(id)
	if err != nil || shard < 0 {
		return 0, "", 0, false
	}
	n, err = strconv.ParseUint(rest[i+1:], 10, 64)
	if err != nil || formatTicket(shard, rest[:i], n) != ticket {
		return 0, "", 0, false
	}
	return shard, rest[:i], n, true
}

// randomTail makes pods and epochs unique: 8 hexadecimal digits.
func randomTail() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails, says crypto/rand
	return hex.EncodeToString(b[:])
}

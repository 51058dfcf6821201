package redisqueue

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/gatewayqueue/gatewayqueue"
)

// keys names every key of one application. All share one hash tag, so that a
// cluster keeps them on one node, where one script may touch them all.
type keys struct{ prefix string }

func keysOf(app string) keys { return keys{"identify:{" + app + "}:"} }

func (k keys) limits() string         { return k.prefix + "limits" }
func (k keys) remaining() string      { return k.prefix + "remaining" }
func (k keys) slot(bucket int) string { return k.prefix + "slot:" + strconv.Itoa(bucket) }

// of are the keys that a script's head names, of a bucket and of a ticket where
// they are about one.
func (k keys) of(names []string, bucket int, ticket string) []string {
	list := make([]string, len(names))
	for i, name := range names {
		switch name {
		case "slot", "queue":
			list[i] = k.prefix + name + ":" + strconv.Itoa(bucket)
		case "paid":
			list[i] = k.paid(ticket)
		default:
			list[i] = k.prefix + name
		}
	}
	return list
}

// paid is what is known of a ticket, or of the wait that it is one of several of.
func (k keys) paid(ticket string) string {
	if wait, _ := waitOf(ticket); wait != "" {
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

// waitMark stands between a ticket and the wait that it is one of several of: a
// caller that comes and goes has one ticket after the other for one grant. A
// second one stands behind a wait that has been granted before.
const waitMark = "~"

// ticketWait is the end of a visit's tickets.
func ticketWait(v gatewayqueue.Visit) string {
	switch {
	case v.Wait == "":
		return ""
	case v.Granted:
		return waitMark + v.Wait + waitMark
	}
	return waitMark + v.Wait
}

// endOf is what ticketWait has put behind a ticket, or empty.
func endOf(ticket string) string {
	i := strings.LastIndexByte(ticket, '#')
	if j := strings.Index(ticket[i+1:], waitMark); j >= 0 {
		return ticket[i+1+j:]
	}
	return ""
}

// waitOf is the wait that a ticket is one of several of, or empty; granted says
// that it has been granted before.
func waitOf(ticket string) (wait string, granted bool) {
	return strings.CutSuffix(endOf(ticket), waitMark)
}

// parseTicket is the inverse of formatTicket, whatever wait the ticket belongs
// to; ok is false for anything else.
func parseTicket(ticket string) (shard int, pod string, n uint64, ok bool) {
	ticket = strings.TrimSuffix(ticket, endOf(ticket))
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

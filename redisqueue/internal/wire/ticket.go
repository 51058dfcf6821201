package wire

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gatewayqueue/gatewayqueue"
)

// PermitSuffix marks a slot whose holder has not identified yet.
const PermitSuffix = " permit"

// waitMark stands between a ticket and the wait that it is one of several of: a
// caller that comes and goes has one ticket after the other for one grant. A
// second one stands behind a wait that has been granted before.
const waitMark = "~"

// FormatTicket writes <shard>@<pod>#<n>. The shard has five digits so that
// tickets that arrive in the same millisecond stand in the order of their
// shards.
func FormatTicket(shard int, pod string, n uint64) string {
	return fmt.Sprintf("%05d@%s#%d", shard, pod, n)
}

// VisitEnd is the end of a visit's tickets: what names the wait that they are of.
func VisitEnd(v gatewayqueue.Visit) string {
	switch {
	case v.Wait == "":
		return ""
	case v.Granted:
		return waitMark + v.Wait + waitMark
	}
	return waitMark + v.Wait
}

// EndOf is what VisitEnd has put behind a ticket, or empty.
func EndOf(ticket string) string {
	i := strings.LastIndexByte(ticket, '#')
	if j := strings.Index(ticket[i+1:], waitMark); j >= 0 {
		return ticket[i+1+j:]
	}
	return ""
}

// WaitOf is the wait that a ticket is one of several of, with its mark, or empty;
// granted says that it has been granted before.
func WaitOf(ticket string) (wait string, granted bool) {
	return strings.CutSuffix(EndOf(ticket), waitMark)
}

// OwnerOf is the shard and the pod of a ticket as lua/lib/line.lua reads them,
// whatever else the ticket says: a pod's name has no '#'.
func OwnerOf(ticket string) (shard, pod string) {
	shard, rest, _ := strings.Cut(ticket, "@")
	pod, _, _ = strings.Cut(rest, "#")
	return shard, pod
}

// ParseTicket is the inverse of FormatTicket, whatever wait the ticket belongs
// to; ok is false for anything else.
func ParseTicket(ticket string) (shard int, pod string, n uint64, ok bool) {
	own := strings.TrimSuffix(ticket, EndOf(ticket))
	id, pod := OwnerOf(own)
	shard, err1 := strconv.Atoi(id)
	n, err2 := strconv.ParseUint(own[strings.LastIndexByte(own, '#')+1:], 10, 64)
	if err1 != nil || err2 != nil || shard < 0 || FormatTicket(shard, pod, n) != own {
		return 0, "", 0, false
	}
	return shard, pod, n, true
}

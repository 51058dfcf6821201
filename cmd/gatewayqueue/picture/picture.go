// Package picture draws for a terminal: a screen of figures, a table, a timeline
// and keys, to the width and the height that there are. What is drawn is a
// function of a [Screen], which a command makes, and of a [View], which the keys
// change; [Live] only calls it ten times a second. The demo, status and
// fake-discord commands all draw with it, and the first two show a queue alike.
package picture

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// podTail is what a queue adds to its pod's name, so that a pod that starts again
// is another one.
var podTail = regexp.MustCompile(`-[0-9a-f]{8}$`)

// Pod is the name of a pod as a person reads it, without the tail.
func Pod(name string) string { return podTail.ReplaceAllString(name, "") }

// Ticket takes a ticket apart, <shard>@<pod>#<n>; ok is false if it is no ticket,
// such as a word that somebody has set by hand. A queue in memory has no pods.
func Ticket(ticket string) (shard int, pod string, ok bool) {
	place, _, _ := strings.Cut(ticket, "#")
	number, pod, found := strings.Cut(place, "@")
	shard, err := strconv.Atoi(number)
	return shard, pod, found && err == nil && shard >= 0
}

// Place is a ticket as a person reads it, shard@pod: without the zeros that make
// tickets sort by shard, the tail of the pod's name, and the counter that tells
// a pod's tickets of the same shard apart.
func Place(ticket string) string {
	shard, pod, ok := Ticket(ticket)
	switch {
	case !ok:
		place, _, _ := strings.Cut(ticket, "#")
		return place
	case pod == "":
		return strconv.Itoa(shard)
	}
	return strconv.Itoa(shard) + "@" + Pod(pod)
}

// Ended says for how long the leases have been over of pods whose are, by the full
// names of the pods. A pod that Redis has forgotten is not among them.
func Ended(s gatewayqueue.Status) map[string]time.Duration {
	dead := map[string]time.Duration{}
	for _, p := range s.Pods {
		if age := s.Time.Sub(p.Lease); age > 0 {
			dead[p.Pod] = age
		}
	}
	return dead
}

// due is for how long a bucket is closed whose window was over since the last look,
// and in front of which somebody stands: who has it now is not known yet.
const due = time.Nanosecond

// Later is the status as it will be after d if nobody comes or goes: what is
// closed is closed for less. It lets a view move between two snapshots. Leases of
// pods that live are taken to be renewed: only the queue's own clock tells.
func Later(s gatewayqueue.Status, d time.Duration) gatewayqueue.Status {
	pods := slices.Clone(s.Pods)
	for i, p := range pods {
		if p.Lease.After(s.Time) {
			pods[i].Lease = p.Lease.Add(d)
		}
	}
	s.Pods = pods
	s.Time = s.Time.Add(d)
	s.Hold = max(0, s.Hold-d)
	s.Buckets = slices.Clone(s.Buckets)
	for i := range s.Buckets {
		b := &s.Buckets[i]
		was := b.Closed
		if b.Closed = max(0, was-d); b.Closed == 0 && was > 0 && b.Waiting > 0 {
			b.Closed = due
		}
	}
	return s
}

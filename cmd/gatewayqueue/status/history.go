// The history of identifies, as far as the snapshots show it.

package status

import (
	"slices"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
)

// kept is for how long a mark is kept: longer than the widest timeline.
const kept = 10 * time.Minute

// history is what has been seen. A grant between two looks that another follows
// before the second of them is not.
type history struct {
	began   time.Time      // of the first snapshot
	looked  time.Duration  // when the last one was taken
	holders map[int]string // by bucket: the ticket that was seen last
	marks   []picture.Mark
	pods    []string    // in the order in which they were seen
	spent   map[int]int // what each shard had spent
	buckets int
}

// see takes a snapshot into account.
func (h *history) see(s gatewayqueue.Status) {
	if h.holders == nil || h.buckets != len(s.Buckets) {
		*h = history{began: s.Time, holders: map[int]string{}, pods: h.pods, buckets: len(s.Buckets)}
	}
	now := s.Time.Sub(h.began)
	for _, b := range s.Buckets {
		shard, pod, ok := picture.Ticket(b.Holder)
		if !ok {
			shard, ok = h.spender(s, b.Bucket), b.Holder == "" && s.Hold == 0
		}
		if !ok || b.Closed <= 0 {
			continue
		}
		until := now + b.Closed
		if same := b.Holder != "" && h.holders[b.Bucket] == b.Holder; same || shard < 0 {
			h.extend(b.Bucket, until)
			continue
		}
		h.holders[b.Bucket] = b.Holder
		if !slices.Contains(h.pods, pod) {
			h.pods = append(h.pods, pod)
		}
		// It was granted since the last look, a window before the bucket opens.
		at := min(now, max(until-window, h.looked))
		h.marks = append(h.marks, picture.Mark{Shard: shard, Bucket: b.Bucket, Pod: pod, At: at, Until: until})
	}
	h.looked, h.spent = now, s.Spent
	h.marks = slices.DeleteFunc(h.marks, func(m picture.Mark) bool { return m.Until < now-kept })
}

// spender is the shard of a bucket that has spent a unit since the last look, or -1: a
// queue in memory does not keep who has closed a bucket.
func (h *history) spender(s gatewayqueue.Status, bucket int) int {
	for shard, n := range s.Spent {
		if shard%len(s.Buckets) == bucket && h.spent != nil && n > h.spent[shard] {
			return shard
		}
	}
	return -1
}

// extend moves the end of a bucket's last window: a permit is renewed, and its
// window starts with the IDENTIFY.
func (h *history) extend(bucket int, until time.Duration) {
	for i := len(h.marks) - 1; i >= 0; i-- {
		if h.marks[i].Bucket == bucket {
			h.marks[i].Until = max(h.marks[i].Until, until)
			return
		}
	}
}

// below is the timeline of the last minutes; nil where nothing was seen.
func (h *history) below(at time.Time) func(width, lines int) []string {
	if len(h.marks) == 0 {
		return nil
	}
	now := at.Sub(h.began)
	t := picture.Timeline{Buckets: h.buckets, Marks: slices.Clone(h.marks), Pods: slices.Clone(h.pods), Now: now, Ago: true}
	return func(width, lines int) []string {
		t := t
		t.From, t.To = picture.Sliding(now, window, width)
		return t.Draw(width, lines)
	}
}

// What a row of snapshots tells: the grants between them, and how far a fleet that
// starts has come.

package dashboard

import (
	"maps"
	"slices"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

const (
	pastKept = 5 * time.Minute // of grants
	mostKept = 2000

	// jitter is what two looks at the same slot may differ by.
	jitter = 60 // ms
)

// progress is how far the fleet is: how many shards were granted in this period and do not
// wait again, of all that were or wait. Where too many have spent for the queue to list
// them, it is about the fleet that comes up, or came up last.
type progress struct {
	Up      int   `json:"up"` // granted
	Of      int   `json:"of"`
	Began   int64 `json:"began,omitempty"` // somebody waited where nobody did
	Ended   int64 `json:"ended,omitempty"`
	Joined  bool  `json:"joined,omitempty"` // it was under way when somebody looked again, so nobody knows when it began
	Eta     int64 `json:"eta,omitempty"`    // when the last in line gets its turn, if nobody comes
	Starved bool  `json:"starved,omitempty"`
}

// grant is one holder of a bucket.
type grant struct {
	ID      int    `json:"id"`
	At      int64  `json:"at"`
	Until   int64  `json:"until"` // its bucket is closed
	Bucket  int    `json:"bucket"`
	Shard   int    `json:"shard"`
	Pod     string `json:"pod,omitempty"`
	Permit  bool   `json:"permit,omitempty"` // it has not identified yet
	NotSent bool   `json:"not_sent,omitempty"`

	rev    int
	ticket string
}

// tracker compares each snapshot with the one before.
type tracker struct {
	step     time.Duration
	now      int64
	grants   []*grant // by ID
	holders  map[int]*grant
	spent    map[int]int
	opens    map[int]int64
	idle     map[int]int64 // by bucket: since when it is open though somebody waits
	hold     int64
	progress progress
	fleet    map[int]bool // shards that were granted since the progress began, and do not wait again
	ids, rev int
}

// take makes the picture of a snapshot.
func (t *tracker) take(s gatewayqueue.Status) state {
	before := t.now
	t.now = s.Time.UnixMilli()
	if t.holders == nil {
		t.holders, t.opens, t.idle = make(map[int]*grant), make(map[int]int64), make(map[int]int64)
		t.fleet = make(map[int]bool)
	}
	out := stateOf(s)
	out.Step = t.step.Milliseconds()
	if s.Hold > 0 {
		t.hold = steady(t.hold, t.now+s.Hold.Milliseconds())
		out.Hold = t.hold
	}
	var granted, back []int
	permits := 0
	payer := t.payers(s)
	for i, b := range s.Buckets {
		row := &out.Buckets[i]
		if b.Closed > 0 {
			row.Opens = steady(t.opens[b.Bucket], t.now+b.Closed.Milliseconds())
		}
		t.opens[b.Bucket] = row.Opens
		row.Idle = t.idleSince(row)
		if b.Permit {
			permits++
		}
		came, left := t.compare(b, row, payer[b.Bucket], before)
		granted, back = append(granted, came...), append(back, left...)
	}
	t.forget()
	t.advance(out, granted, back, permits, before)
	out.Progress = t.progress
	return out
}

// idleSince is since when a bucket that is open has a waiter: for a moment
// that is normal.
func (t *tracker) idleSince(b *bucket) int64 {
	switch {
	case b.Opens > 0 || b.Waiting == 0:
		delete(t.idle, b.ID)
	case t.idle[b.ID] == 0:
		t.idle[b.ID] = t.now
	}
	return t.idle[b.ID]
}

// payers tells who has spent a unit since the last snapshot, by bucket. A permit
// that was granted and identified between two looks shows nowhere else.
func (t *tracker) payers(s gatewayqueue.Status) map[int]*place {
	found := make(map[int]*place)
	if t.spent != nil && s.Budget.MaxConcurrency > 0 {
		for shard, n := range s.Spent {
			if n > t.spent[shard] {
				found[shard%s.Budget.MaxConcurrency] = &place{Shard: shard}
			}
		}
	}
	if t.spent = maps.Clone(s.Spent); t.spent == nil {
		t.spent = make(map[int]int)
	}
	return found
}

// compare notes what has become of a bucket's holder. It returns the shard of a new
// grant, and that of one that was given back.
func (t *tracker) compare(b gatewayqueue.BucketStatus, now *bucket, payer *place, before int64) (granted, back []int) {
	last := t.holders[b.Bucket]
	if b.Closed > 0 && b.Holder == "" && now.Opens != t.hold {
		// A queue in memory names no holder once it has identified. A permit
		// that is given back leaves the bucket open, or to the next in line.
		switch {
		case payer != nil:
			now.Holder = payer
		case last == nil:
			return nil, nil
		default:
			if last.Permit {
				last.Permit, last.Until = false, now.Opens
				t.revise(last)
			}
			now.Holder = &place{Shard: last.Shard, Pod: last.Pod}
			return nil, nil
		}
		if last != nil && last.Permit { // whose window has passed meanwhile, or it could not be another's turn
			last.Permit = false
			t.revise(last)
		}
	} else if b.Closed > 0 && b.Holder == "" {
		return nil, nil
	}
	if last != nil && b.Holder != "" && last.ticket == b.Holder && b.Closed > 0 {
		if last.Permit != b.Permit || last.Until < now.Opens {
			last.Permit, last.Until = b.Permit, now.Opens
			t.revise(last)
		}
		return nil, nil
	}
	if last != nil && last.Permit { // gone without having identified
		last.Permit, last.NotSent, last.Until = false, true, min(last.Until, t.now)
		t.revise(last)
		back = append(back, last.Shard)
	}
	delete(t.holders, b.Bucket)
	if now.Holder == nil || now.Holder.Text != "" {
		return nil, back
	}
	at := t.now
	if !b.Permit { // how long it has been closed says when it was
		at = t.now - max(0, t.step-b.Closed).Milliseconds()
	}
	if before > 0 {
		at = max(at, before)
	}
	t.ids++
	g := &grant{
		ID: t.ids, At: at, Until: now.Opens, Bucket: b.Bucket,
		Shard: now.Holder.Shard, Pod: now.Holder.Pod, Permit: b.Permit, ticket: b.Holder,
	}
	t.revise(g)
	t.grants = append(t.grants, g)
	t.holders[b.Bucket] = g
	return []int{g.Shard}, back
}

func (t *tracker) revise(g *grant) {
	t.rev++
	g.rev = t.rev
}

// forget drops old grants.
func (t *tracker) forget() {
	old := 0
	for old < len(t.grants) && (len(t.grants)-old > mostKept || t.grants[old].At < t.now-pastKept.Milliseconds()) {
		old++
	}
	t.grants = slices.Delete(t.grants, 0, old)
}

// since are the grants that a viewer has not seen yet as they are.
func (t *tracker) since(rev int) []grant {
	var changed []grant
	for _, g := range t.grants {
		if g.rev > rev {
			changed = append(changed, *g)
		}
	}
	return changed
}

// advance moves the progress on. A shard counts once: one that waits again, because its
// pod has died or its session has ended, is not up, whatever it was granted before.
func (t *tracker) advance(s state, granted, back []int, permits int, before int64) {
	p := &t.progress
	busy := s.Waiting+permits > 0
	switch {
	case busy && (p.Began == 0 || p.Ended != 0), !busy && len(granted) > 0 && !t.straggles():
		*p = progress{Began: t.now, Joined: t.now-before > 2*background.Milliseconds()}
		clear(t.fleet)
	}
	for _, shard := range back {
		delete(t.fleet, shard)
	}
	if p.Began != 0 {
		for _, shard := range granted {
			t.fleet[shard] = true
		}
	}
	waits := make(map[int]bool)
	for _, b := range s.Buckets {
		for _, shard := range b.Shards {
			waits[shard] = true
			delete(t.fleet, shard)
		}
	}
	p.Up = len(t.fleet)
	for _, spent := range s.Spent {
		if !t.fleet[spent.Shard] && !waits[spent.Shard] {
			p.Up++
		}
	}
	p.Of = p.Up + s.Waiting // those that dial are granted
	p.Starved = s.Waiting > 0 && (s.Budget.Unknown || s.Waiting > max(0, s.Budget.Remaining-s.Budget.Reserve))
	var last int64
	for _, b := range s.Buckets {
		if b.Waiting == 0 {
			continue
		}
		first := max(b.Opens, s.Hold, t.now)
		if b.Permit { // for at most its lease, but its holder will identify soon
			first = t.now + t.step.Milliseconds()
		}
		last = max(last, first+int64(b.Waiting-1)*t.step.Milliseconds())
	}
	p.Eta = steady(p.Eta, last)
	if !busy && p.Began != 0 && p.Ended == 0 {
		p.Ended = t.now
	}
}

// straggles says that a shard granted now belongs to the fleet that is up, though it
// never had to wait.
func (t *tracker) straggles() bool {
	p := &t.progress
	return p.Began != 0 && (p.Ended == 0 || t.now-p.Ended < 2*t.step.Milliseconds())
}

// steady keeps a moment that is measured once more.
func steady(before, now int64) int64 {
	if now-before < jitter && before-now < jitter {
		return before
	}
	return now
}

// What a row of snapshots tells: the state as the page draws it, the grants
// between them, and how far a fleet that starts has come.

package dashboard

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

const (
	pastKept = 5 * time.Minute // of grants
	mostKept = 2000
	topSpent = 10 // shards in the list of spenders

	// jitter is what two looks at the same slot may differ by.
	jitter = 60 // ms
)

// state is what the page draws. Times are ms since 1970 on the queue's clock.
type state struct {
	App      string   `json:"app"`
	Step     int64    `json:"step"`
	Budget   budget   `json:"budget"`
	Hold     int64    `json:"hold,omitempty"` // every bucket is closed until
	Source   source   `json:"source,omitzero"`
	Buckets  []bucket `json:"buckets"`
	Waiting  int      `json:"waiting"`
	Pods     []string `json:"pods"`
	Spent    []spent  `json:"spent"`
	Shards   int      `json:"shards"`     // that have identified this period
	SpentAll int      `json:"identifies"` // of all of them
	Resting  int      `json:"resting,omitempty"`
	Progress progress `json:"progress"`
}

type budget struct {
	Total     int    `json:"total"`
	Remaining int    `json:"remaining"`
	Reset     int64  `json:"reset,omitempty"`
	Unknown   bool   `json:"unknown,omitempty"`
	Never     string `json:"never,omitempty"` // why no unit is ever granted
}

// source is what is wrong with the source of the limits.
type source struct {
	Error string `json:"error,omitempty"`
	After int64  `json:"ask_after,omitempty"`
}

type bucket struct {
	ID      int     `json:"id"`
	Opens   int64   `json:"opens,omitempty"`
	Holder  *place  `json:"holder,omitempty"`
	Permit  bool    `json:"permit,omitempty"`
	Waiting int     `json:"waiting,omitempty"`
	Line    []place `json:"line,omitempty"`
}

// place is a ticket for people. What is none, such as the word of somebody who
// closed a bucket by hand, is Text.
type place struct {
	Shard int    `json:"shard"`
	Pod   string `json:"pod,omitempty"`
	Text  string `json:"text,omitempty"`
}

type spent struct {
	Shard int `json:"shard"`
	Count int `json:"count"`
}

// progress is about the fleet that is coming up, or came up last: it begins when
// somebody waits where nobody did.
type progress struct {
	Up      int   `json:"up"`
	Of      int   `json:"of"`
	Began   int64 `json:"began,omitempty"`
	Ended   int64 `json:"ended,omitempty"`
	Eta     int64 `json:"eta,omitempty"` // when the last in line gets its turn, if nobody comes
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
	hold     int64
	progress progress
	ids, rev int
}

// take makes the state of a snapshot.
func (t *tracker) take(s gatewayqueue.Status) state {
	before := t.now
	t.now = s.Time.UnixMilli()
	if t.holders == nil {
		t.holders, t.opens = make(map[int]*grant), make(map[int]int64)
	}
	out := state{
		App: s.App, Step: t.step.Milliseconds(), Pods: []string{},
		Budget:  budget{Total: s.Budget.Total, Remaining: s.Budget.Remaining, Unknown: s.Budget.Unknown, Never: s.Budget.Never},
		Source:  source{Error: s.Source.Error},
		Buckets: make([]bucket, 0, len(s.Buckets)),
	}
	if !s.Budget.Reset.IsZero() {
		out.Budget.Reset = s.Budget.Reset.UnixMilli()
	}
	if !s.Source.After.IsZero() {
		out.Source.After = s.Source.After.UnixMilli()
	}
	if s.Hold > 0 {
		t.hold = steady(t.hold, t.now+s.Hold.Milliseconds())
		out.Hold = t.hold
	}
	granted, permits := 0, 0
	dead, payer := deadIn(s), t.payers(s)
	for _, b := range s.Buckets {
		row := bucket{ID: b.Bucket, Permit: b.Permit, Waiting: b.Waiting}
		if b.Closed > 0 {
			row.Opens = steady(t.opens[b.Bucket], t.now+b.Closed.Milliseconds())
			if b.Holder != "" {
				holder := placeOf(b.Holder)
				row.Holder = &holder
			}
		}
		t.opens[b.Bucket] = row.Opens
		for _, p := range b.Line {
			if dead(p.Ticket) {
				row.Waiting--
				continue
			}
			row.Line = append(row.Line, placeOf(p.Ticket))
		}
		out.Waiting += row.Waiting
		if b.Permit {
			permits++
		}
		granted += t.compare(b, &row, payer[b.Bucket], before)
		out.Buckets = append(out.Buckets, row)
	}
	t.forget()
	for _, p := range s.Pods {
		if p.Lease.After(s.Time) { // it lives
			out.Pods = append(out.Pods, podName(p.Pod))
		}
	}
	slices.Sort(out.Pods)
	for shard, n := range s.Spent {
		out.Spent = append(out.Spent, spent{shard, n})
		out.SpentAll += n
	}
	out.Shards, out.SpentAll = max(len(out.Spent), s.SpentBy), max(out.SpentAll, s.SpentAll)
	out.Resting = len(s.Resting)
	slices.SortFunc(out.Spent, func(a, b spent) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Shard, b.Shard))
	})
	out.Spent = out.Spent[:min(topSpent, len(out.Spent))]
	t.advance(out, granted, permits)
	out.Progress = t.progress
	return out
}

// deadIn tells the tickets of pods whose lease has ended: they are passed over,
// and nobody waits for them. Of a line only the first places are known, so the
// dead behind them are counted until they come forward.
func deadIn(s gatewayqueue.Status) func(ticket string) bool {
	if len(s.Pods) == 0 { // a queue in memory has none
		return func(string) bool { return false }
	}
	live := make(map[string]bool)
	for _, p := range s.Pods {
		live[p.Pod] = p.Lease.After(s.Time)
	}
	return func(ticket string) bool {
		text, _, _ := strings.Cut(ticket, "#")
		_, pod, found := strings.Cut(text, "@")
		return found && !live[pod]
	}
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

// compare notes what has become of a bucket's holder. It returns 1 for a new
// grant, -1 for one that was given back.
func (t *tracker) compare(b gatewayqueue.BucketStatus, now *bucket, payer *place, before int64) int {
	last, change := t.holders[b.Bucket], 0
	if b.Closed > 0 && b.Holder == "" && now.Opens != t.hold {
		// A queue in memory names no holder once it has identified. A permit
		// that is given back leaves the bucket open, or to the next in line.
		switch {
		case payer != nil:
			now.Holder = payer
		case last == nil:
			return 0
		default:
			if last.Permit {
				last.Permit, last.Until = false, now.Opens
				t.revise(last)
			}
			now.Holder = &place{Shard: last.Shard, Pod: last.Pod}
			return 0
		}
		if last != nil && last.Permit { // whose window has passed meanwhile, or it could not be another's turn
			last.Permit = false
			t.revise(last)
		}
	} else if b.Closed > 0 && b.Holder == "" {
		return 0
	}
	if last != nil && b.Holder != "" && last.ticket == b.Holder && b.Closed > 0 {
		if last.Permit != b.Permit || last.Until < now.Opens {
			last.Permit, last.Until = b.Permit, now.Opens
			t.revise(last)
		}
		return 0
	}
	if last != nil && last.Permit { // gone without having identified
		last.Permit, last.NotSent, last.Until = false, true, min(last.Until, t.now)
		t.revise(last)
		change--
	}
	delete(t.holders, b.Bucket)
	if now.Holder == nil || now.Holder.Text != "" {
		return change
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
	return change + 1
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

// advance moves the progress on.
func (t *tracker) advance(s state, granted, permits int) {
	p := &t.progress
	busy := s.Waiting+permits > 0
	switch {
	case busy && (p.Began == 0 || p.Ended != 0):
		*p = progress{Began: t.now}
		p.Up = max(0, granted)
	case p.Began != 0 && p.Ended == 0:
		p.Up += granted
	case granted > 0 && p.Began != 0 && t.now-p.Ended < 2*t.step.Milliseconds(): // a straggler that never had to wait
		p.Up += granted
	case granted > 0:
		*p = progress{Began: t.now, Up: granted}
	}
	p.Up = max(0, p.Up)
	p.Of = p.Up + s.Waiting // those that dial are granted
	p.Starved = s.Waiting > 0 && (s.Budget.Unknown || s.Waiting > s.Budget.Remaining)
	var last int64
	for _, b := range s.Buckets {
		if b.Waiting == 0 {
			continue
		}
		first := max(b.Opens, s.Hold, t.now)
		if b.Permit { // for its lease at the most, but its holder will identify soon
			first = t.now + t.step.Milliseconds()
		}
		last = max(last, first+int64(b.Waiting-1)*t.step.Milliseconds())
	}
	p.Eta = steady(p.Eta, last)
	if !busy && p.Began != 0 && p.Ended == 0 {
		p.Ended = t.now
	}
}

// steady keeps a moment that is only measured anew.
func steady(before, now int64) int64 {
	if now-before < jitter && before-now < jitter {
		return before
	}
	return now
}

// podTail is what a queue adds to its pod's name.
var podTail = regexp.MustCompile(`-[0-9a-f]{8}$`)

func podName(pod string) string { return podTail.ReplaceAllString(pod, "") }

func placeOf(ticket string) place {
	text, _, _ := strings.Cut(ticket, "#")
	shard, pod, found := strings.Cut(text, "@")
	if id, err := strconv.Atoi(shard); found && err == nil {
		return place{Shard: id, Pod: podName(pod)}
	}
	return place{Shard: -1, Text: ticket}
}

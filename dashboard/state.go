// The picture: what one snapshot says, as the page gets it. A shard counts once,
// however many tickets it has.

package dashboard

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// state is a picture of the queue. Times are ms since 1970 on the queue's clock, and
// 0 where they are unknown or do not apply.
type state struct {
	App      string    `json:"app"`
	Step     int64     `json:"step"` // ms between two grants of a bucket
	Budget   budget    `json:"budget"`
	Hold     int64     `json:"hold,omitempty"`  // every bucket is closed until
	Pause    *pause    `json:"pause,omitempty"` // none while grants are not paused
	Source   source    `json:"source,omitzero"`
	Blocked  []blocked `json:"blocked,omitempty"`
	Buckets  []bucket  `json:"buckets"`
	Waiting  int       `json:"waiting"` // shards
	Pods     []pod     `json:"pods"`
	Progress progress  `json:"progress"`

	// Of the period. Spent lists no more shards than the snapshot does.
	Spent      []spent   `json:"spent"`      // most first
	SpentBy    int       `json:"spent_by"`   // how many shards have spent any
	SpentAll   int       `json:"spent_all"`  // what they have spent together
	Identified int       `json:"identified"` // how many have identified: granted, and no permit any more
	Backoffs   []backoff `json:"backoffs,omitempty"`

	// Apps are the queues of the same Redis: see [WithApplications].
	Apps []Application `json:"apps,omitempty"`

	// Orders are the last ones of operators, the latest first, and API is where the page
	// gives new ones; both are left out where there are none: see [WithOrders].
	Orders []order `json:"orders,omitempty"`
	Older  int     `json:"older_orders,omitempty"` // that are not in the list: the audit has them
	API    string  `json:"api,omitempty"`

	// Up is how many shards are up, by somebody who sees them: see [WithUp].
	Up *int `json:"up,omitempty"`
	// Sights is what proxies see, if there are any: see [WithSights].
	Sights *sights `json:"sights,omitempty"`
}

type budget struct {
	Total     int    `json:"total"`
	Remaining int    `json:"remaining"`
	Buckets   int    `json:"max_concurrency"`   // a shard's bucket is its ID modulo this
	Reserve   int    `json:"reserve,omitempty"` // never granted
	Reset     int64  `json:"reset,omitempty"`
	Unknown   bool   `json:"unknown,omitempty"`
	Never     string `json:"never,omitempty"` // why no unit is ever granted
}

// source is what is wrong with the source of the limits.
type source struct {
	Error string `json:"error,omitempty"`
	After int64  `json:"ask_after,omitempty"`
}

// blocked is why nothing is granted, of all buckets.
type blocked struct {
	Reason string `json:"reason"`
	Text   string `json:"text"`
	Cure   string `json:"cure,omitempty"`
}

type bucket struct {
	ID      int     `json:"id"`
	Opens   int64   `json:"opens,omitempty"` // 0 for a bucket that was open
	Holder  *place  `json:"holder,omitempty"`
	Permit  bool    `json:"permit,omitempty"`
	Waiting int     `json:"waiting,omitempty"` // shards
	Shards  []int   `json:"shards,omitempty"`  // that wait, in order; none where they are too many
	Line    []place `json:"line,omitempty"`    // the first tickets
	// Idle is since when it has been open though somebody waits.
	Idle int64 `json:"idle,omitempty"`
}

// place is a ticket for people. What is no ticket, such as the word of somebody who
// closed a bucket by hand, is Text.
type place struct {
	Shard int    `json:"shard"`
	Pod   string `json:"pod,omitempty"`
	Text  string `json:"text,omitempty"`
	Since int64  `json:"since,omitempty"` // it stands in line
}

type pod struct {
	Name    string `json:"name"`
	Lease   int64  `json:"lease"` // one that has ended is of a dead pod
	Dead    bool   `json:"dead,omitempty"`
	Waiting int    `json:"waiting,omitempty"` // tickets
	Since   int64  `json:"since,omitempty"`   // the first of them stands in line
	Permits []int  `json:"permits,omitempty"` // shards that dial
}

type spent struct {
	Shard int `json:"shard"`
	Count int `json:"count"`
}

type backoff struct {
	Shard int   `json:"shard"`
	Until int64 `json:"until"`
}

// backoffsShown is how many of the shards that back off are listed.
const backoffsShown = 100

// stateOf is what a snapshot says by itself.
func stateOf(s gatewayqueue.Status) state {
	out := state{
		App: s.App,
		Budget: budget{
			Total: s.Budget.Total, Remaining: s.Budget.Remaining, Buckets: s.Budget.MaxConcurrency, Reserve: s.Budget.Reserve, Reset: millis(s.Budget.Reset),
			Unknown: s.Budget.Unknown, Never: s.Budget.Never,
		},
		Source:  source{Error: s.Source.Error, After: millis(s.Source.After)},
		Buckets: make([]bucket, 0, len(s.Buckets)),
	}
	out.Pause = pauseOf(s.Pause)
	for _, b := range s.Blocked() {
		if b.Reason != gatewayqueue.ReasonBackoff { // these are of single shards
			out.Blocked = append(out.Blocked, blocked{Reason: string(b.Reason), Text: b.Text, Cure: b.Cure})
		}
	}
	permits := make(map[string][]int) // by pod
	for _, b := range s.Buckets {
		row := bucketOf(b)
		if row.Permit && row.Holder != nil && row.Holder.Text == "" {
			name := podOf(b.Holder)
			permits[name] = append(permits[name], row.Holder.Shard)
		}
		out.Waiting += row.Waiting
		out.Buckets = append(out.Buckets, row)
	}
	out.Pods = podsOf(s, permits)
	out.spenders(s, permits)
	for shard, until := range s.Backoffs {
		out.Backoffs = append(out.Backoffs, backoff{shard, millis(until)})
	}
	slices.SortFunc(out.Backoffs, func(a, b backoff) int { return cmp.Compare(a.Shard, b.Shard) })
	out.Backoffs = out.Backoffs[:min(backoffsShown, len(out.Backoffs))]
	return out
}

func bucketOf(b gatewayqueue.BucketStatus) bucket {
	row := bucket{ID: b.Bucket, Waiting: b.Waiting, Shards: b.Shards}
	if len(b.Shards) > 0 {
		row.Waiting = len(b.Shards)
	}
	if b.Closed > 0 {
		row.Permit = b.Permit
		if b.Holder != "" {
			holder := placeOf(b.Holder)
			row.Holder = &holder
		}
	}
	for _, p := range b.Line {
		at := placeOf(p.Ticket)
		at.Since = millis(p.Arrival)
		row.Line = append(row.Line, at)
	}
	return row
}

// podsOf lists the living by name, then the dead.
func podsOf(s gatewayqueue.Status, permits map[string][]int) []pod {
	pods := make([]pod, 0, len(s.Pods))
	for _, p := range s.Pods {
		pods = append(pods, pod{
			Name: podName(p.Pod), Lease: millis(p.Lease), Dead: p.Lease.Before(s.Time),
			Waiting: p.Waiting, Since: millis(p.Since), Permits: permits[p.Pod],
		})
	}
	slices.SortStableFunc(pods, func(a, b pod) int {
		if a.Dead != b.Dead {
			if a.Dead {
				return 1
			}
			return -1
		}
		return cmp.Compare(a.Name, b.Name)
	})
	return pods
}

// spenders says what the period has cost, and whom. A permit has spent its unit, and
// has not identified.
func (out *state) spenders(s gatewayqueue.Status, permits map[string][]int) {
	out.Spent = make([]spent, 0, len(s.Spent))
	for shard, n := range s.Spent {
		out.Spent = append(out.Spent, spent{shard, n})
		out.SpentAll += n
	}
	slices.SortFunc(out.Spent, func(a, b spent) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Shard, b.Shard))
	})
	out.SpentBy, out.SpentAll = max(len(out.Spent), s.SpentBy), max(out.SpentAll, s.SpentAll)
	out.Identified = out.SpentBy
	for _, shards := range permits {
		for _, shard := range shards {
			if s.Spent[shard] == 1 || len(s.Spent) < s.SpentBy && s.Spent[shard] == 0 { // its first, or not listed
				out.Identified--
			}
		}
	}
	out.Identified = max(0, out.Identified)
}

// millis is 0 for no time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// podTail is what a queue adds to its pod's name.
var podTail = regexp.MustCompile(`-[0-9a-f]{8}$`)

func podName(pod string) string { return podTail.ReplaceAllString(pod, "") }

// podOf is the whole name of a ticket's pod: <shard>@<pod>#<n>.
func podOf(ticket string) string {
	_, rest, _ := strings.Cut(ticket, "@")
	name, _, _ := strings.Cut(rest, "#")
	return name
}

func placeOf(ticket string) place {
	shard, _, found := strings.Cut(ticket, "@")
	if id, err := strconv.Atoi(shard); found && err == nil {
		return place{Shard: id, Pod: podName(podOf(ticket))}
	}
	return place{Shard: -1, Text: ticket}
}

// Why nothing is granted: the words for it in errors, events, logs and Status.

package gatewayqueue

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue/internal/words"
)

// Reason is why a queue does not grant for now, in a word.
type Reason string

// The reasons. A queue in memory has no store and no limit source of its own.
const (
	ReasonLine    Reason = "line"         // others stand before it, or its bucket's window is not over: nothing is wrong
	ReasonHold    Reason = "hold"         // every bucket is closed for a while, because who identified just now is not known
	ReasonBudget  Reason = "budget"       // no unit is left before the reset
	ReasonLimits  Reason = "limits"       // the limits in force allow no grant at all
	ReasonSource  Reason = "limit source" // the limits are not known, and the limit source does not say
	ReasonStore   Reason = "store"        // Redis is away, takes no writes, or holds what cannot be used
	ReasonBackoff Reason = "backoff"      // the shard identifies too often
	ReasonPaused  Reason = "paused"       // an operator has paused the grants
)

// BlockedError says why nothing is granted. It is part of the error of a Wait
// whose context ends, and of every [DeadlineError] of a queue; an [EventBlocked]
// carries it; [Status.Blocked] returns it.
type BlockedError struct {
	Reason Reason
	Wait   time.Duration // at least so long; 0 if that is not known
	Text   string        // what is in the way, such as "the budget is used up"
	Cure   string        // what to do about it; empty where it ends by itself
	Err    error         // of the store, or of the limit source; else nil
}

func (e *BlockedError) Error() string {
	var s strings.Builder
	s.WriteString("gatewayqueue: not granted yet: " + e.Text)
	if e.Wait > 0 {
		fmt.Fprintf(&s, ", for %v more", e.Wait.Round(time.Millisecond))
	}
	if e.Cure != "" {
		s.WriteString(" (" + e.Cure + ")")
	}
	if e.Err != nil {
		s.WriteString(": " + e.Err.Error())
	}
	return s.String()
}

// Unwrap returns Err.
func (e *BlockedError) Unwrap() error { return e.Err }

// Attrs are what a log has of it, as [slog.Logger] takes them: reason and why; for,
// cure and error where there are any.
func (e *BlockedError) Attrs() []any {
	attrs := []any{"reason", e.Reason, "why", e.Text}
	if e.Wait > 0 {
		attrs = append(attrs, "for", e.Wait.Round(time.Millisecond))
	}
	if e.Cure != "" {
		attrs = append(attrs, "cure", e.Cure)
	}
	if e.Err != nil {
		attrs = append(attrs, "error", e.Err)
	}
	return attrs
}

// Blocked is what stands in the way of grants, by this snapshot: of all of them,
// or with [ReasonBackoff] of single shards. It is empty where the next in line is
// granted as soon as its bucket opens.
func (s Status) Blocked() (reasons []*BlockedError) {
	add := func(e BlockedError) { reasons = append(reasons, &e) }
	switch b := s.Budget; {
	case b.Unknown && s.Store.Error != "": // said below
	case b.Unknown && s.Source.Error != "":
		e := BlockedError{Reason: ReasonSource, Text: "the limits are not known, and the limit source fails: " + s.Source.Error}
		if s.Source.After.After(s.Time) {
			e.Wait = s.Source.After.Sub(s.Time)
		}
		add(e)
	case b.Unknown:
		add(BlockedError{Reason: ReasonSource, Text: "the limits are not known: nobody has waited yet, or the limit source has not answered"})
	case b.Never != "":
		add(BlockedError{Reason: ReasonLimits, Text: strings.TrimPrefix(strings.TrimPrefix(b.Never, "gatewayqueue: "), "redisqueue: "), Cure: words.CureLimits})
	case b.MaxConcurrency > 0 && b.Grantable() == 0:
		e := BlockedError{Reason: ReasonBudget, Text: words.Budget}
		if b.Reset.After(s.Time) {
			e.Wait = b.Reset.Sub(s.Time)
		}
		add(e)
	}
	if s.Store.Error != "" {
		add(BlockedError{Reason: ReasonStore, Text: s.Store.Error, Cure: s.Store.Cure})
	}
	if s.Pause != nil {
		reasons = append(reasons, s.Pause.Blocks(s.Time))
	}
	if s.Hold > 0 {
		add(BlockedError{Reason: ReasonHold, Wait: s.Hold, Text: words.Hold + ", " + words.Elsewhere})
	}
	shards := make([]int, 0, len(s.Backoffs))
	for shard := range s.Backoffs {
		shards = append(shards, shard)
	}
	slices.Sort(shards)
	for _, shard := range shards {
		add(BlockedError{Reason: ReasonBackoff, Wait: s.Backoffs[shard].Sub(s.Time), Text: fmt.Sprintf("shard %d backs off: it has identified too often", shard)})
	}
	return reasons
}

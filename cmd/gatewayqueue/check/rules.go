// What is wrong with a queue, by one snapshot.

package check

import (
	"fmt"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/look"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
)

// state is the answer, and the exit code: those of plugins of Nagios and Icinga.
type state int

const (
	stateOK state = iota
	stateWarning
	stateCritical
	stateUnknown
)

func (s state) String() string { return [...]string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}[s] }

// MarshalText is String.
func (s state) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// longestHold is how long a hold may last yet without being critical: the usual one,
// after a start or a loss of state, is 10 s.
const longestHold = time.Minute

// What can be wrong, in the words of --ignore. Of the first four nothing is ignored:
// they have limits of their own, or nothing is granted at all.
const (
	whatBudget  = "budget"
	whatOldest  = "oldest"
	whatLimits  = "limits"
	whatStore   = "store"
	whatHold    = "hold"
	whatPaused  = "paused"
	whatStorm   = "storm"
	whatBackoff = "backoff"
	whatSource  = "source"
	whatReplica = "replica"
)

var ignorable = []string{whatHold, whatPaused, whatStorm, whatBackoff, whatSource, whatReplica}

// problem is one thing that is wrong.
type problem struct {
	What  string `json:"what"`
	State state  `json:"state"`
	Text  string `json:"text"`
}

// figures are what a monitoring system keeps.
type figures struct {
	Budget    int     `json:"budget"` // units left
	Total     int     `json:"total"`
	Waiting   int     `json:"waiting"`
	Oldest    float64 `json:"oldest_seconds"` // how long the first in line has waited; 0 for nobody
	Hold      float64 `json:"hold_seconds"`   // for how long every bucket is closed yet
	Backoffs  int     `json:"backoffs"`       // shards
	Refused   int     `json:"refused"`        // sessions in the last minute, as far as proxies tell
	unbounded bool    // there is no budget to be counted
	unknown   bool    // nor is it known what is left of it
}

func figuresOf(s look.Snapshot) figures {
	f := figures{
		Budget: s.Budget.Remaining, Total: s.Budget.Total, Waiting: s.Waiting(), Oldest: oldest(s.Status).Seconds(), Hold: s.Hold.Seconds(),
		Backoffs: len(s.Backoffs), unbounded: s.Budget.MaxConcurrency == 0 && !s.Budget.Unknown,
	}
	f.unknown = s.Budget.Unknown
	if s.Storm != nil {
		f.Refused = s.Storm.Refused
	}
	return f
}

// oldest is how long the first of those who stand in any line has waited.
func oldest(s gatewayqueue.Status) (longest time.Duration) {
	for _, b := range s.Buckets {
		if len(b.Line) > 0 {
			longest = max(longest, s.Time.Sub(b.Line[0].Arrival))
		}
	}
	return longest
}

// judge finds what is wrong.
func (c *config) judge(s look.Snapshot) (found []problem) {
	add := func(what string, state state, format string, args ...any) {
		if state != stateOK && !c.ignored[what] {
			found = append(found, problem{what, state, fmt.Sprintf(format, args...)})
		}
	}
	exhausted := false
	for _, b := range s.Blocked() {
		text := cli.OneLine(fmt.Errorf("%s", b.Text))
		switch b.Reason {
		case gatewayqueue.ReasonSource, gatewayqueue.ReasonLimits:
			add(whatLimits, stateCritical, "nothing is granted: %s", text)
		case gatewayqueue.ReasonStore:
			add(whatStore, stateCritical, "Redis refuses grants: %s%s", text, inBrackets(b.Cure))
		case gatewayqueue.ReasonBudget:
			exhausted = true
			add(whatBudget, stateCritical, "%s%s", text, inTime(b.Wait))
		case gatewayqueue.ReasonPaused:
			add(whatPaused, stateWarning, "%s%s", text, inTime(b.Wait))
		}
	}
	if b := s.Budget; b.MaxConcurrency > 0 && !b.Unknown && b.Never == "" && !exhausted {
		switch warn, critical := c.WarnBudget.Of(b.Total), c.CriticalBudget.Of(b.Total); {
		case b.Remaining < critical:
			add(whatBudget, stateCritical, "%d of %d units are left, fewer than %d", b.Remaining, b.Total, critical)
		case b.Remaining < warn:
			add(whatBudget, stateWarning, "%d of %d units are left, fewer than %d", b.Remaining, b.Total, warn)
		}
	}
	switch waited := oldest(s.Status); {
	case c.CriticalOldest > 0 && waited > c.CriticalOldest:
		add(whatOldest, stateCritical, "the first in line has waited for %s, longer than %s", picture.Seconds(waited), cli.Short(c.CriticalOldest))
	case c.WarnOldest > 0 && waited > c.WarnOldest:
		add(whatOldest, stateWarning, "the first in line has waited for %s, longer than %s", picture.Seconds(waited), cli.Short(c.WarnOldest))
	}
	switch {
	case s.Hold > longestHold:
		add(whatHold, stateCritical, "every bucket is held closed for %s", picture.Seconds(s.Hold))
	case s.Hold > 0:
		add(whatHold, stateWarning, "every bucket is held closed for %s", picture.Seconds(s.Hold))
	}
	if s.Storm != nil && !s.Storm.Since.IsZero() {
		add(whatStorm, stateWarning, "Discord refuses sessions in numbers: %d in the last minute", s.Storm.Refused)
	}
	if n := len(s.Backoffs); n > 0 {
		add(whatBackoff, stateWarning, "%s: identified too often", picture.Count(n, "shard")+" back"+map[bool]string{true: "s"}[n == 1]+" off")
	}
	if s.Source.Error != "" && !s.Budget.Unknown {
		add(whatSource, stateWarning, "the limits could not be asked for: %s", cli.OneLine(fmt.Errorf("%s", s.Source.Error)))
	}
	if s.Replica {
		add(whatReplica, stateWarning, "this Redis is a replica, which grants nothing: give the URL of its primary")
	}
	return found
}

// inBrackets is what to do, if anything.
func inBrackets(cure string) string {
	if cure == "" {
		return ""
	}
	return " (" + cure + ")"
}

// inTime says when something ends, if that is known.
func inTime(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return ", for " + picture.Seconds(d) + " more"
}

// worst is the state of the whole. Not to know is worse than a warning only.
func worst(found []problem) (s state) {
	for _, p := range found {
		s = max(s, p.State)
	}
	return s
}

// text is what the line says before its figures.
func text(f figures, found []problem) string {
	var parts []string
	said := map[string]bool{}
	for _, s := range []state{stateUnknown, stateCritical, stateWarning} {
		for _, p := range found {
			if p.State == s {
				parts, said[p.What] = append(parts, p.Text), true
			}
		}
	}
	switch {
	case said[whatLimits], said[whatBudget], f.unknown:
	case f.unbounded:
		parts = append(parts, "no limit")
	default:
		parts = append(parts, fmt.Sprintf("%d of %d units left", f.Budget, f.Total))
	}
	if f.Waiting == 0 {
		parts = append(parts, "nobody waits")
	} else {
		parts = append(parts, fmt.Sprintf("%d in line", f.Waiting))
	}
	return strings.Join(parts, "; ")
}

// perfdata are the figures as plugins write them: label=value;warn;critical;least;most,
// with ranges that are good.
func (c *config) perfdata(f figures) string {
	parts := []string{}
	if !f.unbounded && !f.unknown {
		parts = append(parts, fmt.Sprintf("budget=%d;%d:;%d:;0;%d", f.Budget, c.WarnBudget.Of(f.Total), c.CriticalBudget.Of(f.Total), f.Total))
	}
	return strings.Join(append(parts,
		fmt.Sprintf("waiting=%d;;;0", f.Waiting),
		fmt.Sprintf("oldest=%.0fs;%s;%s;0", f.Oldest, seconds(c.WarnOldest), seconds(c.CriticalOldest)),
		fmt.Sprintf("hold=%.0fs;0;%.0f;0", f.Hold, longestHold.Seconds()),
		fmt.Sprintf("backoffs=%d;0;;0", f.Backoffs),
		fmt.Sprintf("refused=%d;;;0", f.Refused)), " ")
}

// seconds is a limit of perfdata; 0 means that no limit is set.
func seconds(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", d.Seconds())
}

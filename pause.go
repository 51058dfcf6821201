// Pausing a queue: the order of an operator, which is no part of Discord's rules.

package gatewayqueue

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds on an [Order].
const (
	longestWho   = 100 // bytes
	longestWhy   = 300 // bytes
	shortestHalt = time.Second
	longestHalt  = 366 * 24 * time.Hour
)

// AuditKept is how many orders a queue remembers.
const AuditKept = 100

// Pauser is a queue whose grants an operator can stop and resume.
//
// A paused queue grants nothing to anybody, in any pod. Those who wait keep their
// places, and wait; callers come, and leave, as ever. What was granted before may
// still be used: permits that are out are renewed, and identify. Budget, windows and
// resets go on as if nobody waited. When grants are resumed the lines go on where
// they stood, at the latest half a pod's lease later, 1.5 s by default.
//
// All methods block until the store has answered, or ctx ends. A queue that was
// closed returns [ErrClosed]; an order that lacks something or is too long is an
// [InvalidError].
type Pauser interface {
	// Pause stops the grants: for a while, or until somebody resumes. Where they are
	// paused already, this order takes the place of the one before.
	Pause(ctx context.Context, order Order) error

	// Resume ends a pause. Without a pause it does nothing, and no record of it is
	// kept. The order's For must be 0.
	Resume(ctx context.Context, order Order) error

	// Audit returns the orders of the past, the latest first, [AuditKept] at most.
	Audit(ctx context.Context) ([]AuditEntry, error)
}

// Order is what an operator wants, and why. It is written down: in the log, and where
// the queue has its state.
type Order struct {
	Who string        `json:"who"`              // a person or a program: 1 to 100 bytes of one line
	Why string        `json:"why"`              // for people who find the queue paused: 1 to 300 bytes of one line
	For time.Duration `json:"for_ns,omitempty"` // how long a pause lasts: 1 s to 366 days; 0 is until somebody resumes
}

// Validate returns an [InvalidError] for the first field that is out of its range.
func (o Order) Validate() error {
	if err := checkLine("who", o.Who, longestWho); err != nil {
		return err
	}
	if err := checkLine("why", o.Why, longestWhy); err != nil {
		return err
	}
	if o.For != 0 && (o.For < shortestHalt || o.For > longestHalt) {
		return &InvalidError{Field: "for", Value: o.For, Want: "0 (until somebody resumes), or 1s to 8784h"}
	}
	return nil
}

// ValidateResume is Validate for an order to resume, whose For must be 0.
func (o Order) ValidateResume() error {
	if o.For != 0 {
		return &InvalidError{Field: "for", Value: o.For, Want: "0: grants are resumed for good"}
	}
	return o.Validate()
}

// checkLine refuses what is no line of text of 1 to so many bytes: it is shown on
// terminals, in logs and on pages.
func checkLine(field, text string, longest int) error {
	want := fmt.Sprintf("1 to %d bytes of text in one line", longest)
	switch {
	case strings.TrimSpace(text) == "":
		return &InvalidError{Field: field, Value: "empty", Want: want}
	case len(text) > longest:
		return &InvalidError{Field: field, Value: fmt.Sprintf("%d bytes long", len(text)), Want: want}
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unprintable):
		return &InvalidError{Field: field, Value: fmt.Sprintf("%q", text), Want: want}
	}
	return nil
}

// unprintable is what may move a cursor, end a line, or turn the direction of a text.
func unprintable(r rune) bool { return unicode.IsControl(r) || r != ' ' && !unicode.IsPrint(r) }

// AuditEntry is an order that was given.
type AuditEntry struct {
	Time time.Time `json:"time"` // on the queue's clock, to the second
	What string    `json:"what"` // OrderPause or OrderResume
	Order
}

// What was ordered.
const (
	OrderPause  = "pause"
	OrderResume = "resume"
)

// PauseStatus is the pause that is in force.
type PauseStatus struct {
	Since time.Time `json:"since,omitzero"` // zero where somebody has written the pause by hand
	Until time.Time `json:"until,omitzero"` // zero: until somebody resumes
	Who   string    `json:"who,omitempty"`
	Why   string    `json:"why,omitempty"`
}

// String is the pause in words, such as "paused by alice: Discord is down".
func (p PauseStatus) String() string {
	text := "paused"
	if p.Who != "" {
		text += " by " + p.Who
	}
	if p.Why != "" {
		text += ": " + p.Why
	}
	return text
}

// Blocks is the pause as a reason, at that moment of the queue's clock.
func (p PauseStatus) Blocks(now time.Time) *BlockedError {
	b := &BlockedError{Reason: ReasonPaused, Text: "grants are " + p.String(), Cure: "resume them (gatewayqueue resume), or wait for the end of the pause"}
	if p.Until.IsZero() {
		b.Cure = "resume them (gatewayqueue resume): the pause has no end"
	} else {
		b.Wait = max(0, p.Until.Sub(now))
	}
	return b
}

// What people write in a request for a plan: an amount, and a moment.

package rollout

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// amountBound is the largest number of units that an [Amount] may have.
const amountBound = 1_000_000_000

// Amount is a part of a budget: units, and a share of its total. The zero value is
// nothing.
type Amount struct {
	Units   int
	Percent float64 // of the total, 0 to 100
}

// ParseAmount reads a number of units (250), or a share of the total (25% or 2.5%).
// Anything else is an [gatewayqueue.InvalidError].
func ParseAmount(text string) (Amount, error) {
	text = strings.TrimSpace(text)
	if share, is := strings.CutSuffix(text, "%"); is {
		if p, err := strconv.ParseFloat(share, 64); err == nil && p >= 0 && p <= 100 {
			return Amount{Percent: p}, nil
		}
	} else if n, err := strconv.Atoi(text); err == nil && n >= 0 && n <= amountBound {
		return Amount{Units: n}, nil
	}
	return Amount{}, &gatewayqueue.InvalidError{Field: "amount", Value: strconv.Quote(text), Want: AmountForms}
}

// AmountForms says what [ParseAmount] reads.
const AmountForms = "a number of units such as 250, or a share of the total such as 25%"

// Of is how many units that is of a budget. A part of a unit is a whole one.
func (a Amount) Of(total int) int {
	return a.Units + int(math.Ceil(float64(total)*a.Percent/100-1e-9)) // 7 % of 100 is 7, not 7.000000000000001
}

// String is what ParseAmount reads.
func (a Amount) String() string {
	switch {
	case a.Percent == 0:
		return strconv.Itoa(a.Units)
	case a.Units == 0:
		return strconv.FormatFloat(a.Percent, 'f', -1, 64) + "%"
	}
	return fmt.Sprintf("%d and %v%%", a.Units, a.Percent)
}

// MomentForms says what [ParseMoment] reads.
const MomentForms = "a time such as 2026-11-28T03:00:00Z or 03:00, or how long from now, such as +2h"

// How far from now a moment may be: a little before, as clocks differ and scripts take their
// time, and as far ahead as anybody plans.
const (
	mostPast  = time.Minute
	mostAhead = 366 * 24 * time.Hour
)

// ParseMoment reads a time of RFC 3339, a time of day (the next one, in the time zone of
// now), or how long after now it is. Anything else is an [gatewayqueue.InvalidError], and so
// are moments more than a minute ago or more than 366 days ahead.
func ParseMoment(text string, now time.Time) (time.Time, error) {
	text = strings.TrimSpace(text)
	at, ok := momentOf(text, now)
	bad := func(want string) (time.Time, error) {
		return time.Time{}, &gatewayqueue.InvalidError{Field: "moment", Value: strconv.Quote(text), Want: want}
	}
	switch {
	case !ok:
		return bad(MomentForms)
	case at.Before(now.Add(-mostPast)):
		return bad("a moment that has not passed yet: it is " + now.Format(time.RFC3339) + " now")
	case at.After(now.Add(mostAhead)):
		return bad("a moment within 366 days")
	}
	return at, nil
}

func momentOf(text string, now time.Time) (at time.Time, ok bool) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, true
	}
	if d, err := time.ParseDuration(text); err == nil && strings.HasPrefix(text, "+") {
		return now.Add(d), true
	}
	if at, err := time.Parse("15:04", text); err == nil {
		year, month, day := now.Date()
		next := time.Date(year, month, day, at.Hour(), at.Minute(), 0, 0, now.Location())
		if next.Before(now) {
			next = time.Date(year, month, day+1, at.Hour(), at.Minute(), 0, 0, now.Location())
		}
		return next, true
	}
	return time.Time{}, false
}

// later is the later of two moments.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

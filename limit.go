package gatewayqueue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"
)

// SessionStartLimit is Discord's session_start_limit object, as
// GET /gateway/bot returns it.
// https://discord.com/developers/docs/events/gateway#session-start-limit-object
//
// Its JSON form is Discord's, with reset_after in milliseconds and all four
// fields: one that lacks a field is no figure, and refused.
type SessionStartLimit struct {
	Total          int           // identifies allowed per period
	Remaining      int           // identifies left in the current period
	ResetAfter     time.Duration // until the current period ends; see Period
	MaxConcurrency int           // buckets: identifies allowed per window; 0 means no limit
}

// MaxBuckets is the largest max_concurrency that is believed. Discord's
// largest bots have some hundreds.
const MaxBuckets = 65536

// DefaultLimit is what Discord grants every bot: 1000 identifies a day, one per
// window.
func DefaultLimit() SessionStartLimit {
	return SessionStartLimit{Total: 1000, Remaining: 1000, ResetAfter: LimitPeriod, MaxConcurrency: 1}
}

// Validate returns an [InvalidError] for the first field that is out of range:
// nothing may be negative, Remaining may not exceed Total, and MaxConcurrency
// not MaxBuckets.
func (l SessionStartLimit) Validate() error {
	const natural = "0 or more"
	switch {
	case l.Total < 0:
		return &InvalidError{Field: "total", Value: l.Total, Want: natural}
	case l.Remaining < 0:
		return &InvalidError{Field: "remaining", Value: l.Remaining, Want: natural}
	case l.Remaining > l.Total:
		return &InvalidError{Field: "remaining", Value: l.Remaining, Want: fmt.Sprintf("at most total, %d", l.Total)}
	case l.ResetAfter < 0:
		return &InvalidError{Field: "reset_after", Value: l.ResetAfter, Want: natural}
	case l.MaxConcurrency < 0 || l.MaxConcurrency > MaxBuckets:
		return &InvalidError{Field: "max_concurrency", Value: l.MaxConcurrency, Want: fmt.Sprintf("0 to %d", MaxBuckets)}
	}
	return nil
}

// Period is how long the current period lasts yet: 0 while Remaining is Total,
// because none has begun then, whatever ResetAfter says. Where units are spent
// but ResetAfter is 0, it is a whole LimitPeriod: the safe side.
func (l SessionStartLimit) Period() time.Duration {
	switch {
	case l.Remaining == l.Total:
		return 0
	case l.ResetAfter == 0:
		return LimitPeriod
	}
	return l.ResetAfter
}

// Bucket is the bucket of a shard: Discord's rate_limit_key. With no limit
// (MaxConcurrency 0) it is 0.
func (l SessionStartLimit) Bucket(shardID int) int {
	if l.MaxConcurrency <= 0 {
		return 0
	}
	return shardID % l.MaxConcurrency
}

// sessionStartLimit is the wire form. A field that is not there is nil, because
// an absent figure is unknown: an absent max_concurrency would switch the limit off.
type sessionStartLimit struct {
	Total          *int   `json:"total"`
	Remaining      *int   `json:"remaining"`
	ResetAfter     *int64 `json:"reset_after"` // milliseconds
	MaxConcurrency *int   `json:"max_concurrency"`
}

// MarshalJSON writes Discord's form.
func (l SessionStartLimit) MarshalJSON() ([]byte, error) {
	ms := l.ResetAfter.Milliseconds()
	return json.Marshal(sessionStartLimit{&l.Total, &l.Remaining, &ms, &l.MaxConcurrency})
}

// UnmarshalJSON reads Discord's form. It refuses what Validate refuses, and an
// object without one of the four fields, or with null or two values for one:
// each is an [InvalidError] that names the field. Null in place of the object
// is refused, too. An explicit max_concurrency of 0 is read as it is written by
// MarshalJSON; Discord sends none.
func (l *SessionStartLimit) UnmarshalJSON(data []byte) error {
	var wire sessionStartLimit
	if err := json.Unmarshal(data, &wire); err != nil {
		return fmt.Errorf("gatewayqueue: session_start_limit: %w", err)
	}
	if wire.ResetAfter != nil && (*wire.ResetAfter < math.MinInt64/int64(time.Millisecond) || *wire.ResetAfter > math.MaxInt64/int64(time.Millisecond)) {
		return &InvalidError{Field: "reset_after", Value: *wire.ResetAfter, Want: "milliseconds, at most 292 years of them"}
	}
	read := SessionStartLimit{
		Remaining: or(wire.Remaining, 0), ResetAfter: time.Duration(or(wire.ResetAfter, 0)) * time.Millisecond,
		MaxConcurrency: or(wire.MaxConcurrency, 0),
	}
	read.Total = or(wire.Total, max(read.Remaining, 0)) // so that what is there is judged first, and by itself
	if err := read.Validate(); err != nil {
		return err
	}
	if err := wire.incomplete(data); err != nil {
		return err
	}
	*l = read
	return nil
}

// incomplete names the first field that has no value, or two.
func (w *sessionStartLimit) incomplete(data []byte) error {
	missing := func(field, want string) error { return &InvalidError{Field: field, Value: "missing", Want: want} }
	switch {
	case string(bytes.TrimSpace(data)) == "null":
		return &InvalidError{Field: "session_start_limit", Value: "null", Want: "an object"}
	case w.Total == nil:
		return missing("total", "0 or more")
	case w.Remaining == nil:
		return missing("remaining", "0 or more")
	case w.ResetAfter == nil:
		return missing("reset_after", "milliseconds, 0 or more")
	case w.MaxConcurrency == nil:
		return missing("max_concurrency", fmt.Sprintf("1 to %d", MaxBuckets))
	}
	if field := twice(data); field != "" {
		return &InvalidError{Field: field, Value: "given twice", Want: "one value"}
	}
	return nil
}

// twice is a name that the object has two values for. encoding/json takes the
// last, others the first: neither is known to be meant.
func twice(object []byte) string {
	dec := json.NewDecoder(bytes.NewReader(object))
	_, _ = dec.Token() // the brace; the object was read once already, so nothing fails
	seen := map[string]bool{}
	for dec.More() {
		name, _ := dec.Token()
		var value json.RawMessage
		text, ok := name.(string)
		if !ok || dec.Decode(&value) != nil {
			return ""
		}
		if text = strings.ToLower(text); seen[text] {
			return text
		}
		seen[text] = true
	}
	return ""
}

func or[T any](value *T, absent T) T {
	if value == nil {
		return absent
	}
	return *value
}

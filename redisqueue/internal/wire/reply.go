package wire

// Taking a script's reply apart.

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// reply takes a script's reply apart, by the names that the script's head gives
// its values or one after the other, and keeps the first error.
type reply struct {
	values []any    // from the next one on
	all    []any    // of a reply with names
	names  []string // of the first values
	err    error
}

func (r *reply) named(s *Script) *reply {
	r.all, r.names = r.values, s.Reply
	return r
}

// at goes to the value of a name.
func (r *reply) at(name string) *reply {
	i := slices.Index(r.names, name)
	if i < 0 {
		panic("wire: no reply has " + name)
	}
	r.values = r.all[min(i, len(r.all)):]
	return r
}

// rest goes to what follows the values that have names.
func (r *reply) rest() { r.values = r.all[min(len(r.names), len(r.all)):] }

func newReply(raw any) *reply {
	var err error
	values, ok := raw.([]any)
	if !ok {
		err = fmt.Errorf("%w: %T for a list", ErrUnexpectedReply, raw)
	}
	return &reply{values: values, err: err}
}

var errShort = fmt.Errorf("%w: too short", ErrUnexpectedReply)

func (r *reply) next() any {
	if len(r.values) == 0 {
		r.err = errors.Join(r.err, errShort)
		return nil
	}
	v := r.values[0]
	r.values = r.values[1:]
	return v
}

func (r *reply) text() string {
	if r.err != nil {
		return ""
	}
	switch v := r.next().(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case nil:
		return ""
	default:
		r.err = fmt.Errorf("%w: %T for a text", ErrUnexpectedReply, v)
		return ""
	}
}

func (r *reply) int64() int64 {
	text := r.text()
	if r.err != nil {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		r.err = fmt.Errorf("%w: %q for a whole number", ErrUnexpectedReply, text)
	}
	return n
}

func (r *reply) int() int { return int(r.int64()) }

// span is a time in ms that may have decimals.
func (r *reply) span() time.Duration {
	text := r.text()
	if r.err != nil {
		return 0
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n != n {
		r.err = fmt.Errorf("%w: %q for a time in ms", ErrUnexpectedReply, text)
		return 0
	}
	return time.Duration(math.Round(min(max(n, -longest), longest) * float64(time.Millisecond)))
}

// longest is 30 years in ms; a Duration holds no more than nine of these.
const longest = 1e12

// inMilliseconds makes a duration of what may have been edited by hand.
func inMilliseconds(n int64) time.Duration {
	return time.Duration(min(max(n, -longest), longest)) * time.Millisecond
}

func (r *reply) duration() time.Duration { return inMilliseconds(r.int64()) }

// optional is a number, or -1 for ”.
func (r *reply) optional() int {
	if r.missing() {
		return -1
	}
	return r.int()
}

// missing takes a ” if that is next.
func (r *reply) missing() bool {
	if len(r.values) == 0 || r.values[0] != "" {
		return false
	}
	_ = r.next()
	return true
}

// optionalSpan is a time in ms, or -1 for ”.
func (r *reply) optionalSpan() time.Duration {
	if r.missing() {
		return -1
	}
	return r.span()
}

// list is a list within the list.
func (r *reply) list() *reply {
	if r.err != nil {
		return &reply{err: r.err, names: r.names}
	}
	list := newReply(r.next())
	list.all, list.names = list.values, r.names // of one of many calls
	return list
}

func (r *reply) done() error { return r.err }

// pairs reads the rest as fields and values.
func (r *reply) pairs() map[string]string {
	m := make(map[string]string, len(r.values)/2)
	for len(r.values) > 0 && r.err == nil {
		field := r.text()
		m[field] = r.text()
	}
	return m
}

// score reads a score of a sorted set, which may be written as 1.7e+12.
func (r *reply) score() int64 {
	f, err := strconv.ParseFloat(r.text(), 64)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("%w: a score that is no number", ErrUnexpectedReply)
	}
	return int64(min(max(f, -endless), endless)) // inf, written by hand, is no int64
}

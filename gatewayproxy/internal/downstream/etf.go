// Payloads as terms of Erlang (encoding=etf). Package internal/etf builds what it
// reads, and refuses atoms for names, which Discord sends; here nothing is built.
// https://www.erlang.org/doc/apps/erts/erl_ext_dist.html

package downstream

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// version is the first byte of a term.
const version = 131

// The tags of terms that have a meaning here.
const (
	tagSmallInteger  = 97
	tagInteger       = 98
	tagAtom          = 100
	tagBinary        = 109
	tagSmallAtom     = 115
	tagMap           = 116
	tagAtomUTF8      = 118
	tagSmallAtomUTF8 = 119
)

type etfFormat struct{}

func (etfFormat) opcode() byte { return opBinary }

func (f etfFormat) envelope(text []byte) (envelope, error) {
	var e envelope
	if len(text) == 0 || text[0] != version {
		return e, errTerm
	}
	w := terms{text: text, at: 1}
	err := w.dict(func(name string, value place) error {
		switch name {
		case "op":
			op, ok := f.integer(text[value.start:value.end])
			if !ok || e.hasOp {
				return errors.New("op is no integer, or comes twice")
			}
			e.op, e.hasOp = int(op), true
		case "t":
			if e.hasEvent {
				return errors.New("t comes twice")
			}
			if e.event, _ = nameOf(text[value.start:value.end]); e.event == "nil" || e.event == "null" {
				e.event = "" // An atom that stands for no event.
			}
			e.hasEvent = true
		case "d":
			if e.d.end > 0 {
				return errors.New("d comes twice")
			}
			e.d = value
		}
		return e.enough()
	})
	switch {
	case errors.Is(err, errEnough):
		return e, nil
	case err == nil && w.at < len(text):
		err = errTerm
	}
	if err == nil && !e.hasOp {
		err = errors.New("it has no op")
	}
	return e, err
}

func (etfFormat) member(d []byte, wanted string) (place, error) {
	var at place
	w := terms{text: d}
	err := w.dict(func(name string, value place) error {
		switch {
		case name == wanted && at.end > 0:
			return fmt.Errorf("%s comes twice", wanted)
		case name == wanted:
			at = value
		}
		return nil
	})
	if err == nil && at.end == 0 {
		err = fmt.Errorf("it has no %s", wanted)
	}
	return at, err
}

func (etfFormat) string(value []byte) (string, bool) {
	if len(value) < 5 || value[0] != tagBinary {
		return "", false
	}
	return string(value[5:]), true
}

func (etfFormat) integer(value []byte) (int64, bool) {
	switch {
	case len(value) == 2 && value[0] == tagSmallInteger:
		return int64(value[1]), true
	case len(value) == 5 && value[0] == tagInteger:
		return int64(int32(binary.BigEndian.Uint32(value[1:]))), true
	}
	return 0, false
}

func (etfFormat) isTrue(value []byte) bool {
	name, isName := nameOf(value)
	return isName && value[0] != tagBinary && name == "true"
}

func (etfFormat) quote(value string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{tagBinary}, uint32(len(value))), value...)
}

// nameOf is what an atom or a binary says.
func nameOf(value []byte) (string, bool) {
	if len(value) == 0 {
		return "", false
	}
	switch value[0] {
	case tagAtom, tagAtomUTF8:
		return string(value[3:]), true
	case tagSmallAtom, tagSmallAtomUTF8:
		return string(value[2:]), true
	case tagBinary:
		return string(value[5:]), true
	}
	return "", false
}

// Payloads in JSON.

package downstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/jsonwalk"
)

type jsonFormat struct{}

func (jsonFormat) opcode() byte { return opText }

func (f jsonFormat) envelope(text []byte) (envelope, error) {
	var e envelope
	w := jsonwalk.New(text)
	err := w.Object(func(name []byte) error {
		member := string(name)
		value, err := w.Skip()
		if err != nil {
			return err
		}
		switch member {
		case "op":
			op, err := strconv.Atoi(string(value))
			if err != nil || e.hasOp {
				return errors.New("op is no integer, or comes twice")
			}
			e.op, e.hasOp = op, true
		case "t":
			if e.hasEvent {
				return errors.New("t comes twice")
			}
			e.event, _ = f.string(value) // It may be null.
			e.hasEvent = true
		case "d":
			if e.d.end > 0 {
				return errors.New("d comes twice")
			}
			e.d = place{w.At() - len(value), w.At()}
		}
		return e.enough()
	})
	switch {
	case errors.Is(err, errEnough):
		return e, nil
	case err == nil:
		err = w.End()
	}
	if err == nil && !e.hasOp {
		err = errors.New("it has no op")
	}
	return e, err
}

func (jsonFormat) member(d []byte, wanted string) (place, error) {
	var at place
	w := jsonwalk.New(d)
	err := w.Object(func(name []byte) error {
		is := string(name) == wanted
		value, err := w.Skip()
		if err == nil && is && at.end > 0 {
			err = fmt.Errorf("%s comes twice", wanted)
		} else if is {
			at = place{w.At() - len(value), w.At()}
		}
		return err
	})
	if err == nil && at.end == 0 {
		err = fmt.Errorf("it has no %s", wanted)
	}
	return at, err
}

func (jsonFormat) string(value []byte) (string, bool) {
	if len(value) == 0 || value[0] != '"' {
		return "", false
	}
	text, err := jsonwalk.Unquote(value)
	return string(text), err == nil
}

func (jsonFormat) integer(value []byte) (int64, bool) {
	n, err := strconv.ParseInt(string(value), 10, 64)
	return n, err == nil
}

func (jsonFormat) isTrue(value []byte) bool { return string(value) == "true" }

// quote escapes what must be, and leaves & alone, which json.Marshal does not.
func (jsonFormat) quote(value string) []byte {
	var b bytes.Buffer
	w := json.NewEncoder(&b)
	w.SetEscapeHTML(false)
	_ = w.Encode(value) // A string can always be written.
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

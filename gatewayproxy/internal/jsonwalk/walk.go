// Package jsonwalk walks over JSON text and builds nothing of it: who looks for
// one value in a message of megabytes reads the names on the way and skips the
// rest. It is as strict as RFC 8259, but for UTF-8, which it does not look at,
// and says where in the text a value stands, which encoding/json does not.
package jsonwalk

import (
	"encoding/json"
	"fmt"
)

// MaxDepth is how deep objects and arrays may be nested: as deep as lists and maps
// in internal/etf, where Discord's own encoder stops.
const MaxDepth = 256

// Walker walks over one text, from its beginning to its end.
type Walker struct {
	text  []byte
	at    int
	depth int
}

// Error says at which byte the text is not JSON. It holds nothing of the text.
type Error struct {
	At   int
	What string
}

func (e *Error) Error() string { return fmt.Sprintf("JSON: byte %d: %s", e.At, e.What) }

// New starts at the beginning of text.
func New(text []byte) *Walker { return &Walker{text: text} }

func (w *Walker) fail(what string) error { return &Error{At: w.at, What: what} }

// At is the offset of the byte that is read next.
func (w *Walker) At() int { return w.at }

// Next is the first byte of what comes next, behind white space; 0 at the end.
func (w *Walker) Next() byte {
	w.space()
	return w.peek()
}

// End reports as an error what follows the value that was read.
func (w *Walker) End() error {
	if w.space(); w.at < len(w.text) {
		return w.fail("something follows the value")
	}
	return nil
}

// Skip reads a value of any kind and returns its text.
func (w *Walker) Skip() ([]byte, error) {
	w.space()
	start := w.at
	err := w.value()
	return w.text[start:w.at], err
}

// Object reads an object. It calls member behind each name, which must read the
// member's value. The name is unescaped, and good until the next call. An error of
// member ends the walk.
func (w *Walker) Object(member func(name []byte) error) error {
	if w.Next() != '{' {
		return w.fail("want an object")
	}
	return w.object(func(quoted []byte) error {
		name, err := Unquote(quoted)
		if err != nil {
			return err
		}
		return member(name)
	})
}

// Unquote is what a string says, given its text with the quotes. Half a surrogate
// pair becomes U+FFFD, as in encoding/json.
func Unquote(quoted []byte) ([]byte, error) {
	for _, c := range quoted {
		if c == '\\' {
			var s string
			err := json.Unmarshal(quoted, &s)
			return []byte(s), err
		}
	}
	return quoted[1 : len(quoted)-1], nil
}

func (w *Walker) space() {
	for w.at < len(w.text) {
		switch w.text[w.at] {
		case ' ', '\t', '\n', '\r':
			w.at++
		default:
			return
		}
	}
}

// peek is the next byte; 0, which no value has, at the end.
func (w *Walker) peek() byte {
	if w.at < len(w.text) {
		return w.text[w.at]
	}
	return 0
}

func (w *Walker) value() error {
	switch c := w.peek(); {
	case c == '{':
		return w.object(func([]byte) error { w.space(); return w.value() })
	case c == '[':
		return w.array()
	case c == '"':
		return w.quoted()
	case c == '-', '0' <= c && c <= '9':
		return w.number()
	case c == 't':
		return w.word("true")
	case c == 'f':
		return w.word("false")
	case c == 'n':
		return w.word("null")
	default:
		return w.fail("want a value")
	}
}

// object reads an object, which begins at the next byte.
func (w *Walker) object(member func(quoted []byte) error) error {
	return w.list('}', func() error {
		start := w.at
		if w.peek() != '"' {
			return w.fail("want a name in quotes")
		}
		if err := w.quoted(); err != nil {
			return err
		}
		name := w.text[start:w.at]
		if w.Next() != ':' {
			return w.fail("want a colon")
		}
		w.at++
		return member(name)
	})
}

func (w *Walker) array() error { return w.list(']', w.value) }

// list reads elements up to the byte end, with commas between them.
func (w *Walker) list(end byte, element func() error) error {
	if w.depth == MaxDepth {
		return w.fail(fmt.Sprintf("objects and arrays nested deeper than %d", MaxDepth))
	}
	w.depth++
	w.at++
	if w.Next() == end {
		w.at++
		w.depth--
		return nil
	}
	for {
		w.space()
		if err := element(); err != nil {
			return err
		}
		switch w.Next() {
		case ',':
			w.at++
		case end:
			w.at++
			w.depth--
			return nil
		default:
			return w.fail("want a comma, or the end of the object or array")
		}
	}
}

func (w *Walker) quoted() error {
	w.at++
	for w.at < len(w.text) {
		switch c := w.text[w.at]; {
		case c == '"':
			w.at++
			return nil
		case c == '\\':
			if err := w.escape(); err != nil {
				return err
			}
		case c < ' ':
			return w.fail("a control character in a string")
		default:
			w.at++
		}
	}
	return w.fail("a string without an end")
}

func (w *Walker) escape() error {
	w.at++
	switch w.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		w.at++
		return nil
	case 'u':
		w.at++
		for range 4 {
			switch c := w.peek(); {
			case '0' <= c && c <= '9', 'a' <= c && c <= 'f', 'A' <= c && c <= 'F':
				w.at++
			default:
				return w.fail("want four hexadecimal digits")
			}
		}
		return nil
	default:
		return w.fail("an escape that JSON has not")
	}
}

func (w *Walker) number() error {
	if w.peek() == '-' {
		w.at++
	}
	if w.peek() == '0' {
		w.at++
	} else if err := w.digits(); err != nil {
		return err
	}
	if w.peek() == '.' {
		w.at++
		if err := w.digits(); err != nil {
			return err
		}
	}
	if c := w.peek(); c == 'e' || c == 'E' {
		w.at++
		if c := w.peek(); c == '+' || c == '-' {
			w.at++
		}
		return w.digits()
	}
	return nil
}

// digits reads one digit or more.
func (w *Walker) digits() error {
	start := w.at
	for c := w.peek(); '0' <= c && c <= '9'; c = w.peek() {
		w.at++
	}
	if w.at == start {
		return w.fail("want a digit")
	}
	return nil
}

func (w *Walker) word(word string) error {
	if len(w.text)-w.at < len(word) || string(w.text[w.at:w.at+len(word)]) != word {
		return w.fail("want true, false or null")
	}
	w.at += len(word)
	return nil
}

// A walk over a term.

package downstream

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/gatewayqueue/gatewayqueue/internal/etf"
)

var errTerm = errors.New("downstream: not a term as Discord sends it")

// terms walks over a text of terms. It believes no length that the text has not.
type terms struct {
	text  []byte
	at    int
	depth int
}

// skip reads one term of any kind.
func (w *terms) skip() error {
	const list, smallTuple, largeTuple, empty = 108, 104, 105, 106
	tag, err := w.number(1)
	if err != nil {
		return err
	}
	switch tag {
	case empty:
		return nil
	case tagSmallInteger:
		return w.take(1)
	case tagInteger:
		return w.take(4)
	case 70: // NEW_FLOAT
		return w.take(8)
	case 99: // FLOAT
		return w.take(31)
	case tagSmallAtom, tagSmallAtomUTF8:
		return w.sized(1, 0)
	case tagAtom, tagAtomUTF8, 107: // STRING
		return w.sized(2, 0)
	case tagBinary:
		return w.sized(4, 0)
	case 110: // SMALL_BIG, with a sign
		return w.sized(1, 1)
	case 111: // LARGE_BIG
		return w.sized(4, 1)
	case smallTuple:
		return w.elements(1, 1, 0)
	case largeTuple:
		return w.elements(4, 1, 0)
	case list: // and its tail
		return w.elements(4, 1, 1)
	case tagMap:
		return w.elements(4, 2, 0)
	}
	return errTerm
}

// dict reads a map and calls member behind each of its elements. A key that is no
// atom and no binary has no name.
func (w *terms) dict(member func(name string, value place) error) error {
	if tag, err := w.number(1); err != nil || tag != tagMap {
		return errTerm
	}
	n, err := w.number(4)
	if err != nil {
		return err
	}
	w.depth++
	for range n {
		start := w.at
		if err := w.skip(); err != nil {
			return err
		}
		name, _ := nameOf(w.text[start:w.at])
		start = w.at
		if err := w.skip(); err != nil {
			return err
		}
		if err := member(name, place{start, w.at}); err != nil {
			return err
		}
	}
	w.depth--
	return nil
}

// number reads a number that is size bytes wide.
func (w *terms) number(size int) (int, error) {
	start := w.at
	if err := w.take(size); err != nil {
		return 0, err
	}
	b := w.text[start:w.at]
	switch size {
	case 1:
		return int(b[0]), nil
	case 2:
		return int(binary.BigEndian.Uint16(b)), nil
	default:
		return int(min(binary.BigEndian.Uint32(b), math.MaxInt32)), nil // what fits into any int
	}
}

func (w *terms) take(n int) error {
	if n > len(w.text)-w.at {
		return errTerm
	}
	w.at += n
	return nil
}

// sized reads a length that is size bytes wide, so many bytes, and extra ones.
func (w *terms) sized(size, extra int) error {
	n, err := w.number(size)
	if err != nil {
		return err
	}
	if err := w.take(extra); err != nil {
		return err
	}
	return w.take(n)
}

// elements reads a number that is size bytes wide, so many elements of several
// terms each, and extra terms.
func (w *terms) elements(size, each, extra int) error {
	n, err := w.number(size)
	if err != nil {
		return err
	}
	if w.depth == etf.MaxDepth || n > len(w.text)-w.at {
		return errTerm // Each element takes a byte at least.
	}
	w.depth++
	for range n*each + extra {
		if err := w.skip(); err != nil {
			return err
		}
	}
	w.depth--
	return nil
}

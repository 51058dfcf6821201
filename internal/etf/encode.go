// Writing, in the forms that clients read: old atoms, since erlpack reads none in
// UTF-8 and cloudstorm none of the small ones, and no STRING, which erlpack takes
// for text.

package etf

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Atom is a string that is written as an atom.
type Atom string

// Map is a map whose keys have an order, and may be atoms.
type Map []Pair

// Pair is an element of a Map. Its key is a string or an Atom.
type Pair struct {
	Key   any
	Value any
}

// Encode writes a value of the kinds that the package's comment names, or a
// json.Number. The keys of a map[string]any come in their order. An integer of
// more than 64 bits, a float that is no number and a value of any other kind is
// an error.
func Encode(value any) ([]byte, error) { return appendTerm([]byte{version}, value) }

func appendTerm(b []byte, value any) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return appendAtom(b, "nil")
	case bool:
		return appendAtom(b, Atom(strconv.FormatBool(v)))
	case Atom:
		return appendAtom(b, v)
	case string:
		return appendBinary(b, v)
	case int:
		return appendInteger(b, int64(v)), nil
	case int64:
		return appendInteger(b, v), nil
	case uint64:
		return appendUnsigned(b, v), nil
	case float64:
		return appendFloat(b, v)
	case json.Number:
		return appendNumber(b, v)
	case []any:
		return appendList(b, v)
	case Map:
		b, err := appendLength(append(b, tagMap), len(v))
		for _, pair := range v {
			if err == nil {
				b, err = appendPair(b, pair.Key, pair.Value)
			}
		}
		return b, err
	case map[string]any:
		b, err := appendLength(append(b, tagMap), len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if err == nil {
				b, err = appendPair(b, key, v[key])
			}
		}
		return b, err
	default:
		return nil, fmt.Errorf("etf: a value of type %T", value)
	}
}

func appendAtom(b []byte, name Atom) ([]byte, error) {
	if len(name) > 255 {
		return nil, fmt.Errorf("etf: an atom of %d bytes: want at most 255", len(name))
	}
	for _, c := range []byte(name) {
		if c >= 0x80 {
			return nil, fmt.Errorf("etf: the atom %q: want ASCII", name)
		}
	}
	b = binary.BigEndian.AppendUint16(append(b, tagAtom), uint16(len(name)))
	return append(b, name...), nil
}

func appendBinary(b []byte, s string) ([]byte, error) {
	b, err := appendLength(append(b, tagBinary), len(s))
	return append(b, s...), err
}

func appendLength(b []byte, n int) ([]byte, error) {
	if int64(n) > math.MaxUint32 {
		return nil, fmt.Errorf("etf: a length of %d", n)
	}
	return binary.BigEndian.AppendUint32(b, uint32(n)), nil
}

func appendInteger(b []byte, n int64) []byte {
	switch {
	case 0 <= n && n <= math.MaxUint8:
		return append(b, tagSmallInteger, byte(n))
	case math.MinInt32 <= n && n <= math.MaxInt32:
		return binary.BigEndian.AppendUint32(append(b, tagInteger), uint32(n))
	case n < 0:
		return appendBig(b, 1, -uint64(n))
	default:
		return appendBig(b, 0, uint64(n))
	}
}

func appendUnsigned(b []byte, n uint64) []byte {
	if n <= math.MaxInt64 {
		return appendInteger(b, int64(n))
	}
	return appendBig(b, 0, n)
}

func appendBig(b []byte, sign byte, n uint64) []byte {
	length := len(b) + 1
	b = append(b, tagSmallBig, 0, sign)
	for ; n > 0; n >>= 8 {
		b = append(b, byte(n))
		b[length]++
	}
	return b
}

func appendFloat(b []byte, f float64) ([]byte, error) {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return nil, fmt.Errorf("etf: the float %v", f)
	}
	return binary.BigEndian.AppendUint64(append(b, tagNewFloat), math.Float64bits(f)), nil
}

func appendNumber(b []byte, n json.Number) ([]byte, error) {
	if i, err := strconv.ParseInt(string(n), 10, 64); err == nil {
		return appendInteger(b, i), nil
	}
	if u, err := strconv.ParseUint(string(n), 10, 64); err == nil {
		return appendUnsigned(b, u), nil
	}
	f, err := n.Float64()
	if err != nil || !strings.ContainsAny(string(n), ".eE") {
		return nil, fmt.Errorf("etf: the number %s: want one of 64 bits", n)
	}
	return appendFloat(b, f)
}

func appendList(b []byte, list []any) ([]byte, error) {
	if len(list) > 0 {
		var err error
		if b, err = appendLength(append(b, tagList), len(list)); err != nil {
			return nil, err
		}
		for _, value := range list {
			if b, err = appendTerm(b, value); err != nil {
				return nil, err
			}
		}
	}
	return append(b, tagNil), nil
}

func appendPair(b []byte, key, value any) ([]byte, error) {
	b, err := appendTerm(b, key)
	if err != nil {
		return nil, err
	}
	return appendTerm(b, value)
}

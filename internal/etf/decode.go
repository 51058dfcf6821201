// Reading: every length is held against what is left before anything is made of
// that length.

package etf

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// Decode reads a term. The error says at which byte the term is not what the
// package's comment says.
func Decode(data []byte) (any, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("etf: %d bytes: want at most %d", len(data), MaxSize)
	}
	d := decoder{data: data}
	if v, err := d.byte(); err != nil {
		return nil, err
	} else if v != version {
		return nil, d.errorf(0, "version %d: want %d", v, version)
	}
	value, err := d.term(0)
	if err != nil {
		return nil, err
	}
	if d.at < len(data) {
		return nil, d.errorf(d.at, "%d bytes follow the term", len(data)-d.at)
	}
	return value, nil
}

type decoder struct {
	data []byte
	at   int
}

func (d *decoder) errorf(at int, format string, args ...any) error {
	return fmt.Errorf("etf: byte %d: %s", at, fmt.Sprintf(format, args...))
}

// take returns the next n bytes.
func (d *decoder) take(n int) ([]byte, error) {
	if left := len(d.data) - d.at; n > left {
		return nil, d.errorf(d.at, "the term needs %d bytes and %d are left", n, left)
	}
	b := d.data[d.at : d.at+n]
	d.at += n
	return b, nil
}

func (d *decoder) byte() (byte, error) {
	b, err := d.take(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// length reads a length or a number of elements, which is size bytes wide.
func (d *decoder) length(size int) (int, error) {
	b, err := d.take(size)
	if err != nil {
		return 0, err
	}
	switch size {
	case 1:
		return int(b[0]), nil
	case 2:
		return int(binary.BigEndian.Uint16(b)), nil
	default:
		return int(min(binary.BigEndian.Uint32(b), math.MaxInt32)), nil // what fits into any int, and is more than MaxSize
	}
}

// bytes reads a length that is size bytes wide, and so many bytes.
func (d *decoder) bytes(size int) ([]byte, error) {
	n, err := d.length(size)
	if err != nil {
		return nil, err
	}
	return d.take(n)
}

// term reads one term that stands in depth lists and maps.
func (d *decoder) term(depth int) (any, error) {
	at := d.at
	tag, err := d.byte()
	if err != nil {
		return nil, err
	}
	switch tag {
	case tagSmallInteger:
		n, err := d.byte()
		return int64(n), err
	case tagInteger:
		b, err := d.take(4)
		if err != nil {
			return nil, err
		}
		return int64(int32(binary.BigEndian.Uint32(b))), nil
	case tagSmallBig:
		return d.big(1)
	case tagLargeBig:
		return d.big(4)
	case tagNewFloat:
		b, err := d.take(8)
		if err != nil {
			return nil, err
		}
		return d.finite(at, math.Float64frombits(binary.BigEndian.Uint64(b)))
	case tagFloat:
		return d.oldFloat()
	case tagAtom:
		return d.atom(2, latin1)
	case tagSmallAtom:
		return d.atom(1, latin1)
	case tagAtomUTF8:
		return d.atom(2, text)
	case tagSmallAtomUTF8:
		return d.atom(1, text)
	case tagBinary:
		return d.binary()
	case tagNil:
		return []any{}, nil
	case tagString:
		return d.byteList()
	case tagList:
		return d.list(depth + 1)
	case tagMap:
		return d.dict(depth + 1)
	case tagCompressed:
		return nil, d.errorf(at, "a compressed term")
	case tagSmallTuple, tagLargeTuple:
		return nil, d.errorf(at, "a tuple: want a list")
	default:
		return nil, d.errorf(at, "a term of tag %d", tag)
	}
}

// big reads an integer whose length is size bytes wide: its sign, then its
// bytes, the lowest first.
func (d *decoder) big(size int) (any, error) {
	at := d.at
	n, err := d.length(size)
	if err != nil {
		return nil, err
	}
	sign, err := d.byte()
	if err != nil {
		return nil, err
	}
	digits, err := d.take(n)
	if err != nil {
		return nil, err
	}
	for len(digits) > 0 && digits[len(digits)-1] == 0 {
		digits = digits[:len(digits)-1]
	}
	if len(digits) > 8 {
		return nil, d.errorf(at, "an integer of more than 64 bits")
	}
	var value uint64
	for i, digit := range digits {
		value |= uint64(digit) << (8 * i)
	}
	switch {
	case sign > 1:
		return nil, d.errorf(at, "an integer with the sign %d: want 0 or 1", sign)
	case sign == 1 && value > 1<<63:
		return nil, d.errorf(at, "an integer of more than 64 bits")
	case sign == 1:
		return -int64(value), nil // right for 1<<63, too
	case value > math.MaxInt64:
		return value, nil
	default:
		return int64(value), nil
	}
}

// oldFloat reads 31 bytes of decimal digits, filled up with zeros, which are
// what C's printf makes of %.20e.
func (d *decoder) oldFloat() (any, error) {
	at := d.at
	b, err := d.take(31)
	if err != nil {
		return nil, err
	}
	end := len(b)
	for end > 0 && b[end-1] == 0 {
		end--
	}
	for _, c := range b[:end] {
		if ('0' > c || c > '9') && c != '+' && c != '-' && c != '.' && c != 'e' {
			return nil, d.errorf(at, "%q: want a decimal number", b[:end])
		}
	}
	f, err := strconv.ParseFloat(string(b[:end]), 64)
	if err != nil {
		return nil, d.errorf(at, "%q: want a decimal number", b[:end])
	}
	return f, nil
}

// finite is f, if JSON has that number.
func (d *decoder) finite(at int, f float64) (any, error) {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return nil, d.errorf(at, "a float that is no number")
	}
	return f, nil
}

// atom reads an atom whose length is size bytes wide.
func (d *decoder) atom(size int, decode func([]byte) (string, bool)) (any, error) {
	at := d.at
	b, err := d.bytes(size)
	if err != nil {
		return nil, err
	}
	name, ok := decode(b)
	if !ok {
		return nil, d.errorf(at, "an atom that is not UTF-8")
	}
	switch name {
	case "nil", "null":
		return nil, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return name, nil
}

func text(b []byte) (string, bool) { return string(b), utf8.Valid(b) }

func latin1(b []byte) (string, bool) {
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes), true
}

func (d *decoder) binary() (string, error) {
	at := d.at
	b, err := d.bytes(4)
	if err != nil {
		return "", err
	}
	s, ok := text(b)
	if !ok {
		return "", d.errorf(at, "a binary that is not UTF-8")
	}
	return s, nil
}

func (d *decoder) byteList() (any, error) {
	b, err := d.bytes(2)
	if err != nil {
		return nil, err
	}
	list := make([]any, len(b))
	for i, c := range b {
		list[i] = int64(c)
	}
	return list, nil
}

// count reads how many elements follow, each of at least size bytes.
func (d *decoder) count(depth, size int) (int, error) {
	at := d.at
	if depth > MaxDepth {
		return 0, d.errorf(at, "lists and maps nested deeper than %d", MaxDepth)
	}
	n, err := d.length(4)
	if err != nil {
		return 0, err
	}
	if left := len(d.data) - d.at; n > left/size {
		return 0, d.errorf(at, "%d elements in %d bytes", n, left)
	}
	return n, nil
}

func (d *decoder) list(depth int) (any, error) {
	n, err := d.count(depth, 1)
	if err != nil {
		return nil, err
	}
	list := make([]any, n)
	for i := range list {
		if list[i], err = d.term(depth); err != nil {
			return nil, err
		}
	}
	at := d.at
	if tail, err := d.byte(); err != nil {
		return nil, err
	} else if tail != tagNil {
		return nil, d.errorf(at, "a list whose tail is not the empty list")
	}
	return list, nil
}

func (d *decoder) dict(depth int) (any, error) {
	n, err := d.count(depth, 6) // a key of no bytes, and a value of one
	if err != nil {
		return nil, err
	}
	dict := make(map[string]any, n)
	for range n {
		at := d.at
		if tag, err := d.byte(); err != nil {
			return nil, err
		} else if tag != tagBinary {
			return nil, d.errorf(at, "a key of tag %d: want a binary", tag)
		}
		key, err := d.binary()
		if err != nil {
			return nil, err
		}
		if _, twice := dict[key]; twice {
			return nil, d.errorf(at, "the key %q comes twice", key)
		}
		if dict[key], err = d.term(depth); err != nil {
			return nil, err
		}
	}
	return dict, nil
}

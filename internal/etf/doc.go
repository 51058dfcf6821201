// Package etf reads and writes as much of Erlang's External Term Format as
// Discord's gateway and its clients use (encoding=etf), between the format's
// bytes and the values of encoding/json.
// https://www.erlang.org/doc/apps/erts/erl_ext_dist.html
//
// It is our own because what there is for Go (erlang_go, and a number of forks
// of older packages) believes a length before it looks whether so much was sent,
// and bounds no nesting: a frame of ten bytes would take 4 GiB.
//
// # What is what
//
//	nil                     atom nil; null is read, too
//	true, false             atoms
//	int64, uint64           SMALL_INTEGER, INTEGER, SMALL_BIG; LARGE_BIG is read, up to 64 bits
//	float64                 NEW_FLOAT; FLOAT, the old one in decimal digits, is read, too
//	string                  BINARY, in UTF-8; any other atom is read as one
//	Atom                    ATOM; nothing is read as one
//	[]any                   LIST with the tail nil, NIL if empty; STRING is read as the list of bytes that it is
//	map[string]any, Map     MAP
//
// A term of another kind (tuples, compressed terms, references and so on) is an
// error, and so are an improper list, a key that is no binary, a key that comes
// twice, and bytes that follow the term.
package etf

// version is the first byte of every term.
const version = 131

// The tags of terms.
const (
	tagNewFloat      = 70
	tagCompressed    = 80
	tagSmallInteger  = 97
	tagInteger       = 98
	tagFloat         = 99
	tagAtom          = 100 // in Latin-1
	tagSmallTuple    = 104
	tagLargeTuple    = 105
	tagNil           = 106 // the empty list
	tagString        = 107 // a list of bytes, which an Erlang client makes of [0,1]
	tagList          = 108
	tagBinary        = 109
	tagSmallBig      = 110
	tagLargeBig      = 111
	tagSmallAtom     = 115 // in Latin-1
	tagMap           = 116
	tagAtomUTF8      = 118
	tagSmallAtomUTF8 = 119
)

const (
	// MaxSize is how many bytes a term may have that is read: more than the
	// greatest payload known of (6 MB).
	MaxSize = 16 << 20

	// MaxDepth is how deep lists and maps may be nested in a term that is read:
	// what erlpack, Discord's own encoder, stops at.
	MaxDepth = 256
)

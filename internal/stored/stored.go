// Package stored writes the compressed formats of Discord's gateway without
// compressing: what it writes is legal in each of them, and costs a copy. So text
// can be put into a compressed stream where the sender's own bytes do not fit.
package stored

import (
	"encoding/binary"
	"hash/adler32"
)

// Flush is what a message of zlib-stream ends with: the length of an empty stored
// block, which Z_SYNC_FLUSH writes.
var Flush = []byte{0x00, 0x00, 0xff, 0xff}

// zlibHeader says deflate with a window of 32 KiB, no dictionary (RFC 1950).
var zlibHeader = []byte{0x78, 0x01}

// maxStored is the length of the longest stored block of deflate (RFC 1951, 3.2.4).
const maxStored = 1<<16 - 1

// AppendZlibHeader appends what a zlib stream begins with.
func AppendZlibHeader(b []byte) []byte { return append(b, zlibHeader...) }

// AppendDeflate appends text as stored blocks and a flush, which make one message
// of zlib-stream where the stream stands at the beginning of a byte, as it does
// behind each flush.
func AppendDeflate(b, text []byte) []byte {
	for len(text) > 0 {
		n := min(len(text), maxStored)
		b = appendBlock(b, 0, text[:n])
		text = text[n:]
	}
	return append(append(b, 0), Flush...)
}

// AppendZlib appends text as a whole zlib stream.
func AppendZlib(b, text []byte) []byte {
	b = AppendZlibHeader(b)
	sum := adler32.Checksum(text)
	for len(text) > maxStored {
		b = appendBlock(b, 0, text[:maxStored])
		text = text[maxStored:]
	}
	b = appendBlock(b, 1, text)
	return binary.BigEndian.AppendUint32(b, sum)
}

// appendBlock appends a stored block; last is 1 for a stream's last block.
func appendBlock(b []byte, last byte, text []byte) []byte {
	n := uint16(len(text))
	b = binary.LittleEndian.AppendUint16(append(b, last), n)
	b = binary.LittleEndian.AppendUint16(b, ^n)
	return append(b, text...)
}

// zstdHeader begins a frame of zstd whose content has no length and no checksum,
// with a window of 128 KiB, which is the longest that a block may be (RFC 8878,
// 3.1.1).
var zstdHeader = []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38}

// maxRaw is the length of the longest block of zstd (RFC 8878, 3.1.1.2.4).
const maxRaw = 128 << 10

// AppendZstdHeader appends what a zstd stream begins with.
func AppendZstdHeader(b []byte) []byte { return append(b, zstdHeader...) }

// AppendZstd appends text as raw blocks, of which none is the frame's last. They
// make one message of zstd-stream.
func AppendZstd(b, text []byte) []byte {
	for first := true; first || len(text) > 0; first = false {
		n := min(len(text), maxRaw)
		header := uint32(n) << 3 // not the last; type 0, raw
		b = append(b, byte(header), byte(header>>8), byte(header>>16))
		b = append(b, text[:n]...)
		text = text[n:]
	}
	return b
}

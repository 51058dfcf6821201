// Package zstdstream lets a gatewaytest.Server speak compress=zstd-stream:
//
//	srv := gatewaytest.NewServer(gatewaytest.WithZstd(zstdstream.New))
//
// It is a module of its own, so that only those who import it need a zstd
// library.
package zstdstream

import (
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// window is how far back a payload may refer: far below what any decoder refuses
// (8 MiB, by RFC 8878), and so little that a connection takes less than 1 MB.
const window = 1 << 18

// New starts a stream: one frame of zstd, which never ends, with a flush after
// each payload.
func New(w io.Writer) gatewaytest.Compressor {
	// Concurrency 1 is no goroutine. The error is one of options, which are right.
	encoder, _ := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true),
		zstd.WithWindowSize(window), zstd.WithEncoderLevel(zstd.SpeedFastest))
	return encoder
}

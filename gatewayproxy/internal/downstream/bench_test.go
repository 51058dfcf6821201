package downstream_test

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/downstream"
	"github.com/gatewayqueue/gatewayqueue/internal/wiretest"
)

// atLevel6 compresses as zlib does where it is not told how hard.
func atLevel6(compression downstream.Compression) *upstream {
	u := &upstream{}
	if compression == downstream.ZlibStream {
		u.stream = zlib.NewWriter(&u.out)
	}
	return u
}

// What a message costs that is read: events of about 1 KB, and a READY of 1 MB.
func BenchmarkMessage(b *testing.B) {
	event := written(true, 0, string(wiretest.JSON(b, wiretest.Guild(1000))), "MESSAGE_CREATE")
	for _, client := range []downstream.Compression{downstream.None, downstream.ZlibStream, downstream.ZstdStream} {
		b.Run(fmt.Sprintf("event/%q", client), func(b *testing.B) {
			s := downstream.New(false, client, toX)
			up := atLevel6(s.Upstream())
			first, again := up.message(event), up.message(event)
			again = bytes.Clone(again)
			_, _, _, err := s.Message(binary2, first)
			require.NoError(b, err)
			b.SetBytes(int64(len(event)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, _, err := s.Message(binary2, again); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("READY/%q", client), func(b *testing.B) {
			text := written(true, 0, `{"resume_gateway_url":"`+discords+`","x":`+string(wiretest.JSON(b, wiretest.Guild(1_000_000)))+`}`, "READY")
			message := atLevel6(downstream.New(false, client, toX).Upstream()).message(text)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				s := downstream.New(false, client, toX)
				if _, _, seen, err := s.Message(binary2, message); err != nil || !seen.Rewritten {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkMemory says what a connection takes that is read and idle.
func BenchmarkMemory(b *testing.B) {
	event := written(true, 0, string(wiretest.JSON(b, wiretest.Guild(40_000))), "GUILD_CREATE")
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		streams := make([]*downstream.Stream, 200)
		for i := range streams {
			streams[i] = downstream.New(false, downstream.ZstdStream, toX)
			_, _, _, err := streams[i].Message(binary2, atLevel6(downstream.ZlibStream).message(event))
			require.NoError(b, err)
		}
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(len(streams))/1024, "KiB/conn")
		runtime.KeepAlive(streams)
	}
}

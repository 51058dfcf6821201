package zstdstream_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest/zstdstream"
	"github.com/gatewayqueue/gatewayqueue/internal/stored"
	"github.com/gatewayqueue/gatewayqueue/internal/wiretest"
)

// decompress gives the messages of one stream to libzstd.
func decompress(t *testing.T, messages [][]byte) [][]byte {
	t.Helper()
	return wiretest.Exchange(t, messages, "python3", "testdata/decompress.py")
}

func TestNew_LibzstdReadsEachPayload(t *testing.T) {
	var out bytes.Buffer
	stream := zstdstream.New(&out)
	var payloads, messages [][]byte
	for _, size := range []int{0, 300_000, 1, 0, 6_000_000, 400, 1_000_000, 400} {
		payload := wiretest.JSON(t, wiretest.Guild(size))
		out.Reset()
		_, err := stream.Write(payload)
		require.NoError(t, err)
		require.NoError(t, stream.Flush())
		payloads, messages = append(payloads, payload), append(messages, bytes.Clone(out.Bytes()))
	}
	require.NoError(t, stream.Close())
	for i, payload := range decompress(t, messages) {
		assert.Equal(t, string(payloads[i]), string(payload))
	}
	for i, payload := range payloads {
		assert.Less(t, len(messages[i]), len(payload))
	}
}

func TestNew_IsOneContext(t *testing.T) {
	var out bytes.Buffer
	stream := zstdstream.New(&out)
	payload := wiretest.JSON(t, wiretest.Guild(5000))
	var sizes [2]int
	for i := range sizes {
		out.Reset()
		_, err := stream.Write(payload)
		require.NoError(t, err)
		require.NoError(t, stream.Flush())
		sizes[i] = out.Len()
	}
	assert.Less(t, 4*sizes[1], sizes[0], "the second refers to the first")
}

// What the proxy writes for clients that asked for zstd-stream is read by klauspost's
// decoder, disgo's, message by message.
func TestStored_IsReadAsItComes(t *testing.T) {
	in, out := io.Pipe()
	decoder, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1))
	require.NoError(t, err)
	defer decoder.Close()
	write := stored.AppendZstdHeader(nil)
	for _, size := range []int{1, 400, 128<<10 - 1, 128 << 10, 128<<10 + 1, 1_000_000, 5} {
		text := bytes.Repeat([]byte{'a' + byte(size%25)}, size)
		message := stored.AppendZstd(write, text)
		write = nil
		wrote := make(chan error, 1)
		go func() { _, err := out.Write(message); wrote <- err }()
		got := make([]byte, size)
		_, err := io.ReadFull(decoder, got) // without any byte of the next message
		require.NoError(t, err)
		assert.True(t, bytes.Equal(text, got), "%d", size)
		require.NoError(t, <-wrote)
	}
	_ = out.Close()
}

func TestServer_SpeaksZstdStream(t *testing.T) {
	s := gatewaytest.NewServer(gatewaytest.WithZstd(zstdstream.New))
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, s.GatewayURL()+"/?v=10&encoding=json&compress=zstd-stream", nil)
	require.NoError(t, err)
	defer func() { _ = ws.CloseNow() }()
	var messages [][]byte
	read := func() {
		kind, message, err := ws.Read(ctx)
		require.NoError(t, err)
		assert.Equal(t, websocket.MessageBinary, kind)
		messages = append(messages, message)
	}
	write := func(payload string) { require.NoError(t, ws.Write(ctx, websocket.MessageText, []byte(payload))) }
	read()
	write(fmt.Sprintf(`{"op":2,"d":{"token":%q,"shard":[0,1],"compress":true}}`, s.Token()))
	read()
	for range 3 {
		write(`{"op":1,"d":1}`)
		read()
	}
	var seen []string
	for _, text := range decompress(t, messages) {
		var payload struct {
			Op int
			T  string
		}
		require.NoError(t, json.Unmarshal(text, &payload))
		seen = append(seen, fmt.Sprintf("%d%s", payload.Op, payload.T))
	}
	assert.Equal(t, "10 0READY 11 11 11", strings.Join(seen, " "))
	assert.Less(t, len(messages[4]), 20, "a heartbeat's answer that was sent before")
}

func BenchmarkNew(b *testing.B) {
	var out bytes.Buffer
	stream := zstdstream.New(&out)
	payload := wiretest.JSON(b, wiretest.Guild(6_000_000))
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		out.Reset()
		_, err := stream.Write(payload)
		require.NoError(b, err)
		require.NoError(b, stream.Flush())
	}
}

package downstream_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/downstream"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/internal/etf"
)

// What a whole server sends, in every transport: HELLO, READY, guilds, heartbeats.
func TestStream_OfAServer(t *testing.T) {
	for _, test := range []struct {
		query    string
		client   downstream.Compression
		compress bool
	}{
		{"encoding=json", downstream.None, false},
		{"encoding=json", downstream.None, true},
		{"encoding=etf", downstream.None, false},
		{"encoding=json", downstream.ZlibStream, false},
		{"encoding=etf", downstream.ZlibStream, false},
		{"encoding=json", downstream.ZstdStream, false},
	} {
		t.Run(fmt.Sprintf("%s %q compress %v", test.query, test.client, test.compress), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			srv := gatewaytest.NewServer(gatewaytest.WithGuilds(4, 20_000))
			defer srv.Close()
			asETF := strings.Contains(test.query, "etf")
			s := downstream.New(asETF, test.client, func(url string) string { return "ws://127.0.0.1:1/resume?" + url })
			query := test.query
			if compression := s.Upstream(); compression != downstream.None {
				query += "&compress=" + string(compression)
			}
			ws, _, err := websocket.Dial(ctx, srv.GatewayURL()+"/?v=10&"+query, nil)
			require.NoError(t, err)
			ws.SetReadLimit(-1)
			defer func() { _ = ws.CloseNow() }()

			var texts [][]byte
			var got session
			var ready downstream.Seen
			next := func() {
				kind, message, err := ws.Read(ctx)
				require.NoError(t, err)
				opcode := byte(text)
				if kind == websocket.MessageBinary {
					opcode = binary2
				}
				out := message
				if !s.Passing() {
					var seen downstream.Seen
					_, out, seen, err = s.Message(opcode, message)
					require.NoError(t, err)
					require.True(t, seen.Readable)
					require.Empty(t, seen.Problem)
					if seen.Event == "READY" {
						ready = seen
					}
				}
				if test.compress && opcode == binary2 {
					texts = append(texts, unzlibbed(t, out))
				} else {
					texts = append(texts, bytes.Clone(out))
				}
			}
			write := func(payload map[string]any) {
				data, _ := json.Marshal(payload)
				if asETF {
					data, err = etf.Encode(payload)
					require.NoError(t, err)
				}
				require.NoError(t, ws.Write(ctx, websocket.MessageBinary, data))
			}
			next()
			s.Identified()
			write(map[string]any{"op": 2, "d": map[string]any{"token": srv.Token(), "shard": []any{0, 1}, "compress": test.compress}})
			for range 5 { // READY and guilds
				next()
			}
			write(map[string]any{"op": 1, "d": 5})
			next()
			assert.NotEmpty(t, ready.Session)
			ready.Session = ""
			assert.Equal(t, downstream.Seen{Readable: true, Event: "READY", Rewritten: true, ResumeURL: srv.ResumeURL()}, ready)
			assert.Equal(t, test.client != downstream.ZstdStream, s.Passing())

			got.messages = texts
			switch test.client {
			case downstream.ZlibStream:
				all, err := flushed(texts)
				require.NoError(t, err)
				texts = [][]byte{all}
			case downstream.ZstdStream:
				texts, err = got.zstdTexts()
				require.NoError(t, err)
			}
			all := string(bytes.Join(texts, nil))
			assert.Equal(t, 1, strings.Count(all, "resume?"+srv.ResumeURL()), "the other URL")
			assert.Equal(t, 1, strings.Count(all, srv.ResumeURL()), "no other of Discord's")
			assert.Equal(t, 4, strings.Count(all, "GUILD_CREATE"))
			if !asETF {
				ops := 0
				for reader := json.NewDecoder(strings.NewReader(all)); reader.More(); ops++ {
					var payload map[string]any
					require.NoError(t, reader.Decode(&payload))
				}
				assert.Equal(t, 7, ops)
			}
		})
	}
}

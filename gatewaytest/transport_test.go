// What a client receives is decoded by what is not ours: Python's and Node's
// zlib, and Erlang. zstd is tested in package zstdstream.

package gatewaytest

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/etf"
	"github.com/gatewayqueue/gatewayqueue/internal/wiretest"
)

// readers are what is not ours and reads zlib: of one context for all messages
// ("stream"), or of one for each ("each").
var readers = map[string][]string{
	"Python": {"python3", "testdata/inflate.py"},
	"Node":   {"node", "testdata/inflate.mjs"},
}

const escript = "../internal/etf/testdata/etf.escript"

// payloads are small ones and large ones, as Discord sends them.
func payloads() []sent {
	seq := int64(0)
	list := []sent{{Op: opHello, D: helloData{HeartbeatInterval: 41250}}}
	for _, size := range []int{0, 1, compressedSize, 300_000, 5, 1_000_000, 6_000_000, 100, 70_000} {
		seq++
		name, number := "GUILD_CREATE", seq
		if seq == 1 {
			name = "READY"
		}
		list = append(list, sent{Op: opDispatch, D: wiretest.Guild(size), S: &number, T: &name}, sent{Op: opHeartbeatACK})
	}
	return list
}

// messagesOf are the messages of a connection on which payloads are sent, as a
// client reads them. compress is IDENTIFY's.
func messagesOf(t *testing.T, query string, compress bool, list []sent) (kinds []websocket.MessageType, messages [][]byte) {
	t.Helper()
	s := NewServer()
	defer s.Close()
	wire := transportOf(t, query)
	wire.compressPayloads(compress)
	ended := make(chan struct{})
	t.Cleanup(func() { <-ended }) // wire is its own until then
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		ws, err := websocket.Accept(w, r, nil)
		if !assert.NoError(t, err) {
			return
		}
		c := &conn{s: s, ws: ws, wire: wire}
		for _, payload := range list {
			c.send(payload)
		}
		_ = ws.Close(websocket.StatusNormalClosure, "")
	}))
	defer web.Close()
	c := join(t, web.URL, query, websocket.MessageText)
	for range list {
		c.read()
	}
	return c.kinds, c.messages
}

func transportOf(t testing.TB, query string) *transport {
	t.Helper()
	values, err := url.ParseQuery(query)
	require.NoError(t, err)
	wire, err := (&Server{}).newTransport(values)
	require.NoError(t, err)
	require.Empty(t, wire.refused)
	t.Cleanup(wire.close)
	return wire
}

func TestZlibStream_EachMessageIsAPayloadOfOneStream(t *testing.T) {
	list := payloads()
	kinds, messages := messagesOf(t, "v=10&encoding=json&compress=zlib-stream", false, list)
	assert.NotContains(t, kinds, websocket.MessageText)
	for name, reader := range readers {
		t.Run(name, func(t *testing.T) {
			for i, text := range wiretest.Exchange(t, messages, reader[0], reader[1], "stream") {
				assert.Equal(t, string(wiretest.JSON(t, list[i])), string(text))
			}
		})
	}
	again := sent{Op: opDispatch, D: wiretest.Guild(5000)}
	_, repeated := messagesOf(t, "compress=zlib-stream", false, []sent{again, again})
	assert.Less(t, 4*len(repeated[1]), len(repeated[0]), "the second refers to the first")
}

func TestPayloadCompression_LargePayloadsAndREADYAreAZlibStreamEach(t *testing.T) {
	list := payloads()
	kinds, messages := messagesOf(t, "v=10", true, list)
	var compressed [][]byte
	var texts []string
	for i, message := range messages {
		text := string(wiretest.JSON(t, list[i]))
		if list[i].T != nil && *list[i].T == "READY" || len(text) >= compressedSize {
			assert.Equal(t, websocket.MessageBinary, kinds[i])
			compressed, texts = append(compressed, message), append(texts, text)
		} else {
			assert.Equal(t, websocket.MessageText, kinds[i])
			assert.Equal(t, text, string(message))
		}
	}
	require.Greater(t, len(compressed), 4)
	require.Less(t, len(compressed), len(messages)-4)
	for name, reader := range readers {
		t.Run(name, func(t *testing.T) {
			for i, text := range wiretest.Exchange(t, compressed, reader[0], reader[1], "each") {
				assert.Equal(t, texts[i], string(text))
			}
		})
	}
}

func TestPayloadCompression_IsForJSONWithoutAStreamOnly(t *testing.T) {
	for _, query := range []string{"encoding=etf", "compress=zlib-stream", "encoding=etf&compress=zlib-stream"} {
		wire := transportOf(t, query)
		wire.compressPayloads(true)
		assert.False(t, wire.payloads, query)
	}
}

func TestETF_IsWhatErlangReads(t *testing.T) {
	list := payloads()
	kinds, messages := messagesOf(t, "encoding=etf", true, list)
	assert.NotContains(t, kinds, websocket.MessageText)
	for i, text := range wiretest.Exchange(t, messages, "escript", escript, "decode") {
		var got, want map[string]any
		reader := json.NewDecoder(bytes.NewReader(text))
		reader.UseNumber()
		require.NoError(t, reader.Decode(&got))
		reader = json.NewDecoder(bytes.NewReader(wiretest.JSON(t, list[i])))
		reader.UseNumber()
		require.NoError(t, reader.Decode(&want))
		expected := map[string]any{"atom:op": want["op"], "atom:d": numbered(want["d"]), "atom:s": want["s"], "atom:t": want["t"]}
		if name, ok := want["t"].(string); ok {
			expected["atom:t"] = "atom:" + name
		}
		require.Equal(t, expected, got)
	}
}

// numbered makes numbers of the IDs of a wiretest.Guild.
func numbered(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			switch id, isText := inner.(string); {
			case isText && (key == "id" || key == "system_channel_id"):
				v[key] = json.Number(id)
			case key == "roles":
				for i, role := range inner.([]any) {
					inner.([]any)[i] = json.Number(role.(string))
				}
			default:
				v[key] = numbered(inner)
			}
		}
	case []any:
		for i, inner := range v {
			v[i] = numbered(inner)
		}
	}
	return value
}

func TestETF_InAZlibStream(t *testing.T) {
	list := payloads()
	_, plain := messagesOf(t, "encoding=etf", false, list)
	_, messages := messagesOf(t, "encoding=etf&compress=zlib-stream", true, list)
	python := readers["Python"]
	assert.Equal(t, plain, wiretest.Exchange(t, messages, python[0], python[1], "stream"))
}

func TestETF_IDsAreIntegersInTermsAndTextInJSON(t *testing.T) {
	const id, n = "123456789012345678", 123456789012345678
	for key, isID := range map[string]bool{
		"id": true, "guild_id": true, "user_ids": true, "roles": true, "mention_roles": true,
		"custom_id": false, "name": false, "nonce": false, "ids": false, "ready": false,
	} {
		in, out := convertIDs(map[string]any{key: id}, false, integerID), convertIDs(map[string]any{key: int64(n)}, false, textID)
		if isID {
			assert.Equal(t, map[string]any{key: uint64(n)}, in)
			assert.Equal(t, map[string]any{key: id}, out)
		} else {
			assert.Equal(t, map[string]any{key: id}, in)
			assert.Equal(t, map[string]any{key: int64(n)}, out)
		}
	}
	for _, other := range []any{"", "0123", "+1", "1.0", "18446744073709551616", "0123456789abcdef", true, nil, 1.5} {
		assert.Equal(t, other, integerID(other))
		assert.Equal(t, other, textID(other))
	}
	list := map[string]any{"user_ids": []any{id, map[string]any{"name": id}}, "names": []any{id}}
	assert.Equal(t, map[string]any{"user_ids": []any{uint64(n), map[string]any{"name": id}}, "names": []any{id}},
		convertIDs(list, false, integerID))
}

// A session in every transport, over real connections: HELLO, IDENTIFY, READY, a
// heartbeat, op 7, RESUME, RESUMED. An ETF client's messages are Erlang's own, in
// which a shard of small numbers is a STRING.
func TestTransport_AWholeSession(t *testing.T) {
	for _, test := range []struct {
		query string
		kind  websocket.MessageType // in which the client sends
	}{
		{"", websocket.MessageText},
		{"encoding=json", websocket.MessageBinary},
		{"compress=zlib-stream", websocket.MessageText},
		{"encoding=json&compress=zlib-stream", websocket.MessageBinary},
		{"encoding=etf", websocket.MessageBinary},
		{"encoding=etf&compress=zlib-stream", websocket.MessageBinary},
	} {
		t.Run(test.query+" "+test.kind.String(), func(t *testing.T) {
			s := NewServer()
			defer s.Close()
			first := join(t, s.GatewayURL(), test.query, test.kind)
			first.read()
			first.write(fmt.Sprintf(`{"op":2,"d":{"token":%q,"shard":[1,16],"compress":true,"properties":{}}}`, s.Token()))
			first.read()
			first.write(`{"op":1,"d":1}`)
			first.read()
			require.Equal(t, 1, s.Reconnect())
			first.read()

			second := join(t, s.ResumeURL(), test.query, test.kind)
			second.read()
			second.write(fmt.Sprintf(`{"op":6,"d":{"token":%q,"session_id":%q,"seq":1}}`, s.Token(), s.Sessions()[0].ID))
			second.read()
			assert.Equal(t, []int{1}, s.ReadyShards())

			payloads := append(first.payloads(), second.payloads()...)
			for i, want := range []string{"10 <nil>", "0 READY", "11 <nil>", "7 <nil>", "10 <nil>", "0 RESUMED"} {
				assert.Equal(t, want, fmt.Sprintf("%v %v", payloads[i]["op"], payloads[i]["t"]))
			}
			ready := payloads[1]["d"].(map[string]any)
			assert.Equal(t, s.ResumeURL(), ready["resume_gateway_url"])
			assert.Equal(t, []any{1.0, 16.0}, ready["shard"])
		})
	}
}

// peer is a client that keeps what it reads, as it came.
type peer struct {
	t        *testing.T
	ws       *websocket.Conn
	etf      bool
	stream   bool
	kind     websocket.MessageType
	kinds    []websocket.MessageType
	messages [][]byte
}

func join(t *testing.T, base, query string, kind websocket.MessageType) *peer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	ws, res, err := websocket.Dial(ctx, base+"/?v=10&"+query, &websocket.DialOptions{CompressionMode: websocket.CompressionContextTakeover})
	require.NoError(t, err)
	assert.Empty(t, res.Header.Get("Sec-WebSocket-Extensions"), "Discord has no permessage-deflate")
	ws.SetReadLimit(-1)
	t.Cleanup(func() { _ = ws.CloseNow() })
	return &peer{t: t, ws: ws, etf: strings.Contains(query, "etf"), stream: strings.Contains(query, "zlib"), kind: kind}
}

// write sends a payload that is given as JSON.
func (c *peer) write(payload string) {
	c.t.Helper()
	message := []byte(payload)
	if c.etf {
		message = wiretest.Exchange(c.t, [][]byte{erlang(payload)}, "escript", escript, "encode")[0]
	}
	require.NoError(c.t, c.ws.Write(c.t.Context(), c.kind, message))
}

// erlang is the expression that writes as a term what is given as JSON.
func erlang(payload string) []byte {
	text := regexp.MustCompile(`"[^"]*"`).ReplaceAllString(payload, "<<$0>>")
	return []byte("term_to_binary(" + strings.NewReplacer(":", "=>", "{", "#{").Replace(text) + ").")
}

func (c *peer) read() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Minute)
	defer cancel()
	kind, message, err := c.ws.Read(ctx)
	require.NoError(c.t, err)
	c.kinds, c.messages = append(c.kinds, kind), append(c.messages, message)
}

// payloads decodes what was read.
func (c *peer) payloads() []map[string]any {
	c.t.Helper()
	messages := c.messages
	if c.stream {
		messages = wiretest.Exchange(c.t, messages, "python3", "testdata/inflate.py", "stream")
	}
	if c.etf {
		messages = wiretest.Exchange(c.t, messages, "escript", escript, "decode")
	}
	list := make([]map[string]any, len(messages))
	for i, message := range messages {
		if !c.stream && !c.etf && c.kinds[i] == websocket.MessageBinary { // READY, as IDENTIFY said compress: true
			message = wiretest.Exchange(c.t, [][]byte{message}, "python3", "testdata/inflate.py", "each")[0]
		}
		message = bytes.ReplaceAll(message, []byte(`"atom:`), []byte(`"`))
		require.NoError(c.t, json.Unmarshal(message, &list[i]), "%s", message)
	}
	return list
}

func TestTransport_WhatCannotBeReadCloses4002(t *testing.T) {
	term := func(value any) []byte {
		b, err := etf.Encode(value)
		require.NoError(t, err)
		return b
	}
	identify := map[string]any{"token": DefaultToken, "shard": []any{0, 1}}
	var deflated bytes.Buffer
	w := zlib.NewWriter(&deflated)
	_, err := w.Write([]byte(`{"op":1,"d":null}`))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	for name, test := range map[string]struct {
		query   string
		kind    websocket.MessageType
		message []byte
	}{
		"no JSON":                   {"", websocket.MessageText, []byte("hello")},
		"no JSON, binary":           {"", websocket.MessageBinary, []byte("hello")},
		"no UTF-8":                  {"", websocket.MessageBinary, []byte("{\"op\":1,\"d\":\"\xff\"}")},
		"an empty message":          {"", websocket.MessageText, nil},
		"compressed JSON":           {"", websocket.MessageBinary, deflated.Bytes()},
		"compressed, in a stream":   {"compress=zlib-stream", websocket.MessageBinary, deflated.Bytes()},
		"ETF where JSON was agreed": {"encoding=json", websocket.MessageBinary, term(map[string]any{"op": 2, "d": identify})},
		"JSON where ETF was agreed": {"encoding=etf", websocket.MessageBinary, []byte(`{"op":1,"d":null}`)},
		"JSON in text, the same":    {"encoding=etf", websocket.MessageText, []byte(`{"op":1,"d":null}`)},
		"ETF with atoms for keys":   {"encoding=etf", websocket.MessageBinary, term(etf.Map{{Key: etf.Atom("op"), Value: 2}, {Key: etf.Atom("d"), Value: identify}})},
		"a term that is cut":        {"encoding=etf", websocket.MessageBinary, term(map[string]any{"op": 2, "d": identify})[:30]},
		"a list of 4 billion":       {"encoding=etf", websocket.MessageBinary, []byte{131, 108, 255, 255, 255, 255, 97, 1}},
		"a term that is no map":     {"encoding=etf", websocket.MessageBinary, term([]any{1})},
		"a shard that is a map":     {"encoding=etf", websocket.MessageBinary, term(map[string]any{"op": 2, "d": map[string]any{"shard": map[string]any{}}})},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewServer()
			defer s.Close()
			c := join(t, s.GatewayURL(), test.query, test.kind)
			c.read()
			require.NoError(t, c.ws.Write(t.Context(), test.kind, test.message))
			_, _, err := c.ws.Read(t.Context())
			assert.EqualValues(t, 4002, websocket.CloseStatus(err))
			assert.Zero(t, s.Judge().Verdict().Identifies)
		})
	}
	for _, query := range []string{"encoding=xml", "compress=gzip", "compress=true", "encoding=ETF"} {
		s := NewServer()
		c := join(t, s.GatewayURL(), query, websocket.MessageText)
		_, _, err := c.ws.Read(t.Context())
		assert.EqualValues(t, 4002, websocket.CloseStatus(err), query)
		s.Close()
	}
}

func TestZstdStream_ThatTheServerHasNotIsSaid(t *testing.T) {
	s := NewServer()
	defer s.Close()
	_, res, err := websocket.Dial(t.Context(), s.GatewayURL()+"/?compress=zstd-stream", nil)
	require.Error(t, err)
	assert.Equal(t, http.StatusNotImplemented, res.StatusCode)
	body, _ := io.ReadAll(res.Body)
	assert.Contains(t, string(body), "WithZstd(zstdstream.New)")
}

// How fast a GUILD_CREATE of 6 MB is made a message.
func BenchmarkTransport(b *testing.B) {
	list := payloads()
	large := list[13]
	for _, query := range []string{"encoding=json", "compress=zlib-stream", "encoding=etf", "encoding=etf&compress=zlib-stream"} {
		b.Run(query, func(b *testing.B) {
			wire := transportOf(b, query)
			b.SetBytes(int64(len(wiretest.JSON(b, large))))
			for b.Loop() {
				_, _, err := wire.encode(large)
				require.NoError(b, err)
			}
		})
	}
}

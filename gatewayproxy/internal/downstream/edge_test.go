package downstream_test

import (
	"bytes"
	"compress/zlib"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/downstream"
	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/payload"
	"github.com/gatewayqueue/gatewayqueue/internal/stored"
)

func toX(string) string { return "ws://x/" }

// zlibbed is text as a zlib stream of its own.
func zlibbed(t testing.TB, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, err := w.Write(text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func unzlibbed(t testing.TB, message []byte) []byte {
	t.Helper()
	r, err := zlib.NewReader(bytes.NewReader(message))
	require.NoError(t, err)
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	return text
}

func TestStream_CompressTrue(t *testing.T) {
	for seed := range uint64(6) {
		s := downstream.New(false, downstream.None, toX)
		src := newSource(seed, false)
		s.Identified()
		guild := zlibbed(t, src.event())
		op, out, seen, err := s.Message(binary2, guild)
		require.NoError(t, err)
		assert.True(t, seen.Readable)
		assert.Equal(t, []any{byte(binary2), guild}, []any{op, out})
		sent, want := src.ready("ws://x/")
		op, out, seen, err = s.Message(binary2, zlibbed(t, sent))
		require.NoError(t, err)
		assert.True(t, seen.Rewritten)
		assert.EqualValues(t, binary2, op)
		assert.True(t, bytes.Equal(want, unzlibbed(t, out)))
		assert.True(t, s.Passing())
	}
	s := downstream.New(false, downstream.None, toX)
	message := zlibbed(t, []byte(`{"op":11}`))
	message[len(message)-1]++ // of the checksum
	_, out, seen, err := s.Message(binary2, message)
	require.NoError(t, err)
	assert.Equal(t, message, out)
	assert.Equal(t, downstream.Seen{Problem: "a compressed payload that cannot be read, or is too long"}, seen)
}

// long is a payload of more than n bytes, which compresses well.
func long(event string, n int) []byte {
	return []byte(`{"t":"` + event + `","s":1,"op":0,"d":{"x":"` + strings.Repeat("0123456789", n/10) + `","resume_gateway_url":"` + discords + `"}}`)
}

func TestStream_WhatIsTooLongPassesOrIsAnError(t *testing.T) {
	huge := long("READY", downstream.MaxReady+10)
	for _, client := range []downstream.Compression{downstream.None, downstream.ZlibStream, downstream.ZstdStream} {
		s := downstream.New(false, client, toX)
		src := newSource(2, false)
		up := src.upstream(s.Upstream())
		got := session{want: [][]byte{src.hello(), huge, src.event()}}
		for i, text := range got.want {
			message := up.message(text)
			if !s.Passing() {
				_, out, seen, err := s.Message(binary2, message)
				require.NoError(t, err)
				message = bytes.Clone(out)
				assert.False(t, seen.Rewritten)
				assert.Equal(t, i == 1, seen.Problem != "", seen.Problem)
			}
			got.messages = append(got.messages, message)
		}
		assert.Equal(t, client != downstream.ZlibStream, s.CanRead())
		var text []byte
		var err error
		switch client {
		case downstream.None:
			text = bytes.Join(got.messages, nil)
		case downstream.ZlibStream:
			text, err = got.inflated()
		case downstream.ZstdStream:
			var texts [][]byte
			texts, err = got.zstdTexts()
			text = bytes.Join(texts, nil)
		}
		require.NoError(t, err)
		assert.True(t, bytes.Equal(bytes.Join(got.want, nil), text), client)
	}
}

func TestStream_PassUnread(t *testing.T) {
	for _, test := range []struct {
		name   string
		client downstream.Compression
		before func(*testing.T, *downstream.Stream, *upstream)
		ok     bool
	}{
		{"uncompressed", downstream.None, nil, true},
		{"following", downstream.ZlibStream, nil, true},
		{"made here", downstream.ZstdStream, nil, false},
		{"behind an own payload", downstream.ZlibStream, func(t *testing.T, s *downstream.Stream, up *upstream) {
			_, _, _, err := s.Message(binary2, up.message([]byte(`{"op":10,"d":{}}`)))
			require.NoError(t, err)
			_, _, err = s.Inject([]byte(`{"op":11}`))
			require.NoError(t, err)
		}, false},
		{"before another upstream's header", downstream.ZlibStream, func(t *testing.T, s *downstream.Stream, up *upstream) {
			_, _, _, err := s.Message(binary2, up.message([]byte(`{"op":10,"d":{}}`)))
			require.NoError(t, err)
			s.Join()
		}, false},
		{"before the first header, behind an own payload", downstream.ZlibStream, func(t *testing.T, s *downstream.Stream, _ *upstream) {
			_, _, err := s.Inject([]byte(`{"op":10}`))
			require.NoError(t, err)
		}, false},
		{"within a payload", downstream.ZlibStream, func(t *testing.T, s *downstream.Stream, up *upstream) {
			_, out, _, err := s.Message(binary2, up.message([]byte(`{"op":10,"d":{}}`))[:9])
			require.NoError(t, err)
			require.Nil(t, out)
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := downstream.New(false, test.client, toX)
			if test.before != nil {
				test.before(t, s, newSource(1, false).upstream(s.Upstream()))
			}
			err := s.PassUnread()
			assert.Equal(t, test.ok, err == nil, "%v", err)
			assert.Equal(t, test.ok, s.Passing())
		})
	}
}

// A payload of the proxy's own can be the first that a client receives, before there
// is an upstream, whose own HELLO is then not for the client.
func TestStream_HELLOOfTheProxy(t *testing.T) {
	for _, client := range []downstream.Compression{downstream.ZlibStream, downstream.ZstdStream, downstream.None} {
		s := downstream.New(false, client, toX)
		src := newSource(1, false)
		own := payload.Hello(false, 41250*time.Millisecond)
		_, out, err := s.Inject(own)
		require.NoError(t, err)
		got := session{messages: [][]byte{bytes.Clone(out)}, want: [][]byte{own}}
		s.Join()
		s.Identified()
		up := src.upstream(s.Upstream())
		_, out, seen, err := s.Message(binary2, up.message(src.hello()))
		require.NoError(t, err)
		assert.Nil(t, out)
		assert.Equal(t, 41250*time.Millisecond, seen.Interval)
		sent, want := src.ready("ws://x/")
		_, out, seen, err = s.Message(binary2, up.message(sent))
		require.NoError(t, err)
		assert.True(t, seen.Rewritten)
		got.messages, got.want = append(got.messages, bytes.Clone(out)), append(got.want, want)
		switch client {
		case downstream.ZlibStream:
			out, err = got.inflated()
		case downstream.ZstdStream:
			got.messages, err = got.zstdTexts()
			fallthrough
		default:
			out = bytes.Join(got.messages, nil)
		}
		require.NoError(t, err)
		assert.True(t, bytes.Equal(bytes.Join(got.want, nil), out))
	}
}

// A zlib stream has one header, from whichever upstream its first bytes come.
func TestStream_HasOneHeader(t *testing.T) {
	const hello, other = `{"op":10,"d":{}}`, `{"op":11}`
	for name, test := range map[string]struct {
		do   func(t *testing.T, s *downstream.Stream, deliver func(up *upstream, text string))
		want string
	}{
		"an own payload, then an upstream's first": {func(t *testing.T, s *downstream.Stream, deliver func(*upstream, string)) {
			deliver(nil, other)
			deliver(atLevel6(downstream.ZlibStream), hello)
		}, other + hello},
		"another upstream that does not begin with HELLO": {func(t *testing.T, s *downstream.Stream, deliver func(*upstream, string)) {
			deliver(atLevel6(downstream.ZlibStream), hello)
			s.Join()
			up := atLevel6(downstream.ZlibStream)
			deliver(up, other)
			deliver(up, other)
		}, hello + other + other},
		"an upstream whose first message passed unread": {func(t *testing.T, s *downstream.Stream, deliver func(*upstream, string)) {
			require.NoError(t, s.PassUnread())
			deliver(atLevel6(downstream.ZlibStream), other)
			s.Join()
			up := atLevel6(downstream.ZlibStream)
			deliver(up, hello)
			deliver(up, other)
		}, other + other},
		"an upstream whose first payload was too long": {func(t *testing.T, s *downstream.Stream, deliver func(*upstream, string)) {
			deliver(atLevel6(downstream.ZlibStream), string(long("X", downstream.MaxReady)))
			require.True(t, s.Passing())
			s.Join()
			up := atLevel6(downstream.ZlibStream)
			deliver(up, hello)
			deliver(up, other)
		}, string(long("X", downstream.MaxReady)) + other},
	} {
		t.Run(name, func(t *testing.T) {
			s := downstream.New(false, downstream.ZlibStream, toX)
			var messages [][]byte
			test.do(t, s, func(up *upstream, text string) {
				var out []byte
				var err error
				switch {
				case up == nil:
					_, out, err = s.Inject([]byte(text))
				case s.Passing():
					out = up.message([]byte(text))
				default:
					_, out, _, err = s.Message(binary2, up.message([]byte(text)))
				}
				require.NoError(t, err)
				messages = append(messages, bytes.Clone(out))
			})
			got, err := flushed(messages)
			require.NoError(t, err)
			assert.True(t, test.want == string(got)) //nolint:testifylint // 16 MiB, which Equal would print
		})
	}
}

// What deflate can refer to is kept to the byte, whatever lengths it comes in.
func TestStream_RemembersAsFarBackAsDeflateRefers(t *testing.T) {
	for _, size := range []int{1, 32766, 32767, 32768, 32769, 40000} {
		s := downstream.New(false, downstream.ZstdStream, toX)
		up := atLevel6(downstream.ZlibStream)
		var got session
		for n, text := range []string{strings.Repeat("a", 100), newSource(1, false).filler(size), newSource(1, false).filler(size), "b"} {
			_, out, _, err := s.Message(binary2, up.message([]byte(text)))
			require.NoError(t, err, "%d, message %d", size, n)
			got.messages, got.want = append(got.messages, bytes.Clone(out)), append(got.want, []byte(text))
		}
		texts, err := got.zstdTexts()
		require.NoError(t, err)
		assert.True(t, bytes.Equal(bytes.Join(got.want, nil), bytes.Join(texts, nil)), size)
	}
}

func TestStream_LookAtWhatPasses(t *testing.T) {
	s := downstream.New(false, downstream.None, toX)
	require.NoError(t, s.PassUnread())
	assert.Equal(t, downstream.Seen{Readable: true, Op: 9, Resumable: true}, s.Look(text, []byte(`{"op":9,"d":true}`)))
	assert.Equal(t, downstream.Seen{Readable: true, Event: "READY", ResumeURL: "x"},
		s.Look(text, []byte(`{"op":0,"t":"READY","d":{"resume_gateway_url":"x"}}`)), "it passed, so it was not changed")
	assert.Equal(t, downstream.Seen{Readable: true, Op: 9}, s.Look(binary2, zlibbed(t, []byte(`{"op":9}`))), "compress: true")
	assert.Zero(t, s.Look(binary2, zlibbed(t, []byte(`{"op":9}`))[:9]))
	s = downstream.New(false, downstream.ZlibStream, toX)
	require.NoError(t, s.PassUnread())
	assert.Zero(t, s.Look(binary2, []byte(`{"op":9}`)))
}

// An upstream may declare a smaller window than the next one.
func TestStream_AnUpstreamOfALargerWindowIsNeverSplicedIn(t *testing.T) {
	s := downstream.New(false, downstream.ZlibStream, toX)
	small := stored.AppendDeflate([]byte{0x08, 0x1d}, []byte(`{"op":10,"d":{}}`)) // 256 bytes
	_, out, _, err := s.Message(binary2, small)
	require.NoError(t, err)
	assert.Equal(t, small, out)
	s.Join()
	up := newSource(1, false).upstream(downstream.ZlibStream)
	for _, text := range [][]byte{[]byte(`{"op":10,"d":{}}`), written(true, 0, `{}`, "RESUMED"), long("X", 100_000), long("X", 100_000)} {
		_, _, _, err = s.Message(binary2, up.message(text))
		require.NoError(t, err)
		assert.False(t, s.Passing())
	}
}

func TestStream_WhatIsNoStreamIsAnError(t *testing.T) {
	src := newSource(3, false)
	fresh := func() []byte {
		return src.upstream(downstream.ZlibStream).message([]byte(`{"op":10,"d":{"heartbeat_interval":1}}`))
	}
	with := func(at int, c byte) []byte {
		m := fresh()
		m[at] = c
		return m
	}
	for name, message := range map[string][]byte{
		"another method":      with(0, 0x79),
		"a wrong check":       with(1, 0x02),
		"a dictionary":        append([]byte{0x78, 0xbb}, fresh()[2:]...),
		"no header":           fresh()[2:],
		"a flush alone":       stored.Flush,
		"garbage":             append([]byte{0x78, 0x01, 0xff, 0xff, 0xff}, stored.Flush...),
		"a flush in a block":  append([]byte{0x78, 0x01, 0x00, 0x09, 0x00, 0xf6, 0xff, 'x'}, stored.Flush...),
		"a stream that ended": append(append([]byte{0x78, 0x01}, 0x01, 0x00, 0x00, 0xff, 0xff), 0, 0, 0, 0xff, 0xff),
		"zstd":                append(stored.AppendZstdHeader(nil), stored.Flush...),
		"JSON":                append([]byte(`{"op":10}`), stored.Flush...),
	} {
		for _, client := range []downstream.Compression{downstream.ZlibStream, downstream.ZstdStream} {
			s := downstream.New(false, client, toX)
			_, out, _, err := s.Message(binary2, message)
			assert.Error(t, err, name)
			assert.Nil(t, out, name)
		}
	}
}

func TestStream_TermsThatCannotBeRead(t *testing.T) {
	ready := term(0, map[string]any{"resume_gateway_url": discords}, "READY")
	for name, message := range map[string][]byte{
		"nothing":         {},
		"JSON":            []byte(`{"op":10}`),
		"cut":             ready[:len(ready)-1],
		"bytes behind":    append(bytes.Clone(ready), 0),
		"a list":          {131, 108, 0, 0, 0, 1, 97, 1, 106},
		"4 billion":       {131, 116, 255, 255, 255, 255, 97, 1},
		"too deep":        append([]byte{131, 116, 0, 0, 0, 1}, bytes.Repeat([]byte{108, 0, 0, 0, 1}, 400)...),
		"compressed":      {131, 80, 0, 0, 0, 9, 'x'},
		"op as a string":  term(0, nil, "")[:5],
		"an unknown kind": {131, 116, 0, 0, 0, 1, 109, 0, 0, 0, 1, 'd', 77},
	} {
		s := downstream.New(true, downstream.None, toX)
		_, out, seen, err := s.Message(binary2, message)
		require.NoError(t, err, name)
		assert.Equal(t, message, out, name)
		assert.Equal(t, downstream.Seen{}, seen, name)
	}
	s := downstream.New(true, downstream.None, toX)
	_, out, seen, err := s.Message(binary2, ready)
	require.NoError(t, err)
	assert.Equal(t, term(0, map[string]any{"resume_gateway_url": "ws://x/"}, "READY"), out)
	assert.Equal(t, downstream.Seen{Readable: true, Event: "READY", ResumeURL: discords, Rewritten: true}, seen)
	for want, d := range map[bool][]byte{true: term(9, true, ""), false: term(9, false, "")} {
		s := downstream.New(true, downstream.None, toX)
		_, _, seen, err = s.Message(binary2, d)
		require.NoError(t, err)
		assert.Equal(t, downstream.Seen{Readable: true, Op: 9, Resumable: want}, seen)
	}
}

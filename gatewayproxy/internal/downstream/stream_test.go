package downstream_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/downstream"
	"github.com/gatewayqueue/gatewayqueue/internal/wiretest"
)

// The text that a client reads is Discord's, but for the URL: over random sessions,
// in which Discord's own bytes are soon spliced back in.
func TestStream_TheTextIsDiscordsButForTheURL(t *testing.T) {
	for _, o := range []options{
		{client: downstream.ZlibStream},
		{client: downstream.ZlibStream, rejoin: true},
		{client: downstream.ZlibStream, rejoin: true, pieces: true},
		{client: downstream.ZlibStream, etf: true, rejoin: true},
	} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			t.Parallel()
			o.payloads = 14
			passed := 0
			for seed := range uint64(25) { // pure computing, which the race detector makes slow
				got := o.run(t, seed)
				text, err := got.inflated()
				require.NoError(t, err, "seed %d", seed)
				require.True(t, bytes.Equal(bytes.Join(got.want, nil), text), "seed %d", seed)
				passed += got.passed
			}
			assert.Greater(t, passed, 12, "messages that passed unread")
		})
	}
}

// What the test above is worth: with Discord's bytes spliced in as soon as 2,000
// bytes are the same, clients read something else, or nothing.
func TestStream_SplicedTooEarlyIsWrong(t *testing.T) {
	wrong := 0
	const sessions = 20
	for seed := range uint64(sessions) {
		got := options{client: downstream.ZlibStream, payloads: 14, reach: 2000}.run(t, 2*seed+1) // short payloads
		text, err := got.inflated()
		if err != nil || !bytes.Equal(bytes.Join(got.want, nil), text) {
			wrong++
		}
	}
	assert.Greater(t, wrong, sessions/2)
}

func TestStream_OtherDecodersReadEachMessage(t *testing.T) {
	for name, reader := range map[string][]string{"Python": {"python3", "inflate.py"}, "Node": {"node", "inflate.mjs"}} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(3) {
				got := options{client: downstream.ZlibStream, payloads: 25, rejoin: true}.run(t, 100+seed)
				texts := wiretest.Exchange(t, got.messages, reader[0], "../../../gatewaytest/testdata/"+reader[1], "stream")
				for i, text := range texts {
					require.True(t, bytes.Equal(got.want[i], text), "seed %d, message %d", seed, i)
				}
			}
		})
	}
}

func TestStream_Zstd(t *testing.T) {
	for _, asETF := range []bool{false, true} {
		for seed := range uint64(8) {
			got := options{etf: asETF, client: downstream.ZstdStream, payloads: 14, rejoin: true, pieces: true}.run(t, seed)
			texts, err := got.zstdTexts()
			require.NoError(t, err)
			require.Len(t, texts, len(got.want))
			for i, text := range texts {
				require.True(t, bytes.Equal(got.want[i], text), "seed %d, message %d", seed, i)
			}
			assert.Zero(t, got.passed)
		}
	}
	got := options{client: downstream.ZstdStream, payloads: 25, rejoin: true}.run(t, 99)
	for i, text := range wiretest.Exchange(t, got.messages, "python3", "../../../gatewaytest/zstdstream/testdata/decompress.py") {
		require.True(t, bytes.Equal(got.want[i], text), "libzstd, message %d", i)
	}
}

func TestStream_Uncompressed(t *testing.T) {
	for _, asETF := range []bool{false, true} {
		passed := 0
		for seed := range uint64(10) {
			got := options{etf: asETF, payloads: 14, rejoin: true}.run(t, seed)
			require.Len(t, got.messages, len(got.want))
			for i, message := range got.messages {
				require.True(t, bytes.Equal(got.want[i], message), "seed %d, message %d", seed, i)
			}
			passed += got.passed
		}
		assert.Greater(t, passed, 10)
	}
}

// Discord's bytes fit again when exactly 32,768 bytes of text have followed the
// change, and not a byte before.
func TestStream_PassesFromTheLastByteThatDeflateCanReferTo(t *testing.T) {
	for _, missing := range []int{1, 0} {
		s := downstream.New(false, downstream.ZlibStream, func(string) string { return "ws://x/" })
		src := newSource(1, false)
		up := src.upstream(downstream.ZlibStream)
		ready := []byte(`{"t":"READY","s":1,"op":0,"d":{"resume_gateway_url":"wss://gateway.discord.gg"}}`)
		event := func(size int) []byte {
			return []byte(`{"t":"X","s":2,"op":0,"d":"` + strings.Repeat("x", size-29) + `"}`)
		}
		s.Identified()
		_, _, seen, err := s.Message(binary2, up.message(ready))
		require.NoError(t, err)
		assert.True(t, seen.Rewritten)
		assert.False(t, s.Passing())
		const behind = len(`}}`)
		_, _, _, err = s.Message(binary2, up.message(event(32768-behind-missing)))
		require.NoError(t, err)
		assert.Equal(t, missing == 0, s.Passing())
		assert.Equal(t, missing == 0, s.Forgotten())
		assert.Equal(t, missing == 1, s.CanRead())
		if missing == 1 {
			_, _, _, err = s.Message(binary2, up.message([]byte("1")))
			require.NoError(t, err)
			assert.True(t, s.Passing())
		}
		_, _, err = s.Inject([]byte("{}"))
		assert.Error(t, err, "nothing can be put into what nobody reads")
	}
}

func TestStream_RESUMEDEndsReadingAndIdentifiedBeginsItWhereItCan(t *testing.T) {
	resumed := written(true, 0, `{}`, "RESUMED")
	for _, client := range []downstream.Compression{downstream.None, downstream.ZlibStream, downstream.ZstdStream} {
		s := downstream.New(false, client, func(string) string { return "ws://x/" })
		src := newSource(1, false)
		up := src.upstream(s.Upstream())
		for _, text := range [][]byte{src.hello(), src.event(), src.event()} {
			_, _, _, err := s.Message(binary2, up.message(text))
			require.NoError(t, err)
			assert.False(t, s.Passing(), "events that were missed come before RESUMED")
		}
		_, _, seen, err := s.Message(binary2, up.message(resumed))
		require.NoError(t, err)
		assert.Equal(t, "RESUMED", seen.Event)
		assert.Equal(t, client != downstream.ZstdStream, s.Passing())
		assert.Equal(t, client != downstream.ZlibStream, s.CanRead())
		s.Identified()
		assert.Equal(t, client == downstream.ZlibStream, s.Passing())
		s.Join()
		assert.False(t, s.Passing())
		assert.True(t, s.CanRead())
	}
}

func TestStream_WhatIsSeen(t *testing.T) {
	for text, want := range map[string]downstream.Seen{
		`{"t":null,"s":null,"op":11,"d":null}`:                                         {Readable: true, Op: 11},
		`{"op":11}`:                                                                    {Readable: true, Op: 11},
		`{"t":null,"s":null,"op":7,"d":null}`:                                          {Readable: true, Op: 7},
		`{"t":null,"s":null,"op":9,"d":true}`:                                          {Readable: true, Op: 9, Resumable: true},
		`{"op":9,"d":false,"s":null,"t":null}`:                                         {Readable: true, Op: 9},
		`{"t":"GUILD_CREATE","s":5,"op":0,"d":{"op":9,"t":"READY"}}`:                   {Readable: true, Event: "GUILD_CREATE"},
		`{"op":0,"d":{"t":"READY"},"s":5,"t":"X"}`:                                     {Readable: true, Event: "X"},
		`{"t":"RESUMED","s":5,"op":0,"d":{}}`:                                          {Readable: true, Event: "RESUMED"},
		`{"t":"READY","s":5,"op":0,"d":{}}`:                                            {Readable: true, Event: "READY", Problem: "READY has no resume_gateway_url, or cannot be read"},
		`{"t":"READY","s":5,"op":0,"d":null}`:                                          {Readable: true, Event: "READY", Problem: "READY has no resume_gateway_url, or cannot be read"},
		`{"t":"READY","s":5,"op":0,"d":{"resume_gateway_url":null}}`:                   {Readable: true, Event: "READY", Problem: "READY's resume_gateway_url is not a string"},
		`{"t":"READY","op":0,"d":{"resume_gateway_url":"a","resume_gateway_url":"a"}}`: {Readable: true, Event: "READY", Problem: "READY has no resume_gateway_url, or cannot be read"},
		`{"op":0,"t":"READY","d":{"session_id":"5","resume_gateway_url":"same"}}`:      {Readable: true, Event: "READY", ResumeURL: "same", Session: "5"},
		`{"t":"READY","op":0,"d":{"resume_gateway_url":"same"}}`:                       {Readable: true, Event: "READY", ResumeURL: "same"},
		`{"t":"READY","op":0,"d":{"resume_gateway_url":"w\u0073s:\/\/x"}}`:             {Readable: true, Event: "READY", ResumeURL: "wss://x", Rewritten: true},
		`{"t":"READY","op":0,"d":{"resume_gateway_url":"x"}`:                           {},
		`{"t":null,"d":null}`:                                                          {},
		`[]`:                                                                           {},
		`no JSON`:                                                                      {},
		`1`:                                                                            {},
	} {
		s := downstream.New(false, downstream.None, func(url string) string {
			if url == "same" {
				return url
			}
			return "ws://a?b&c"
		})
		_, out, seen, err := s.Message(1, []byte(text))
		require.NoError(t, err)
		assert.Equal(t, want, seen, text)
		if !seen.Rewritten {
			assert.Equal(t, text, string(out))
		} else {
			rewritten := []byte(`{"t":"READY","op":0,"d":{"resume_gateway_url":"ws://a?b&c"}}`)
			assert.Equal(t, rewritten, out, "& as it is")
		}
	}
}

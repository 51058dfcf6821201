package downstream_test

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/downstream"
	"github.com/gatewayqueue/gatewayqueue/internal/etf"
	"github.com/gatewayqueue/gatewayqueue/internal/stored"
)

// Whatever a server that compresses rightly sends as text goes through without an
// error and is the same text, but for a URL in what encoding/json takes for a READY.
func FuzzMessage_AnyText(f *testing.F) {
	for _, text := range [][]byte{
		[]byte(`{"t":"READY","s":1,"op":0,"d":{"resume_gateway_url":"wss://x"}}`),
		[]byte(`{"op":0,"d":{"a":"\u0041","resume_gateway_url":"wss:\/\/x"},"t":"REA\u0044Y"}`),
		[]byte(`{"t":"RESUMED","op":0,"d":{}}`), []byte(`{"op":10,"d":{"heartbeat_interval":5}}`), []byte(`{"op":9,"d":true}`),
		[]byte(`{"op":0,"t":"READY","d":{"resume_gateway_url":1}}`), []byte(`1`), {},
		term(0, map[string]any{"resume_gateway_url": "wss://x", "a": []any{1, 2.5, nil}}, "READY"), term(10, map[string]any{"heartbeat_interval": 300}, ""),
	} {
		f.Add(text, true)
		f.Add(text, false)
	}
	f.Fuzz(func(t *testing.T, text []byte, asETF bool) {
		var zipped bytes.Buffer
		w, _ := zlib.NewWriterLevel(&zipped, 2)
		_, _ = w.Write(text)
		_ = w.Flush()
		var got [3][]byte
		var seen [3]downstream.Seen
		for i, client := range []downstream.Compression{downstream.None, downstream.ZlibStream, downstream.ZstdStream} {
			s := downstream.New(asETF, client, toX)
			message := zipped.Bytes()
			if client == downstream.None {
				message = text
			}
			_, out, saw, err := s.Message(binary2, message)
			if client == downstream.None && saw.Problem != "" {
				return // it begins as a zlib stream does
			}
			require.NoError(t, err)
			got[i], seen[i] = out, saw
			one := session{messages: [][]byte{out}, want: [][]byte{got[0]}}
			switch client {
			case downstream.ZlibStream:
				got[i], err = one.inflated()
			case downstream.ZstdStream:
				var texts [][]byte
				texts, err = one.zstdTexts()
				got[i] = texts[0]
			}
			require.NoError(t, err)
		}
		for i := range got {
			require.True(t, bytes.Equal(got[0], got[i]))
			require.Equal(t, seen[0], seen[i])
		}
		if !seen[0].Rewritten {
			require.True(t, bytes.Equal(text, got[0]))
			return
		}
		before, after := decoded(t, text, asETF), decoded(t, got[0], asETF)
		if before == nil {
			return // a term that package etf does not read
		}
		require.Equal(t, "ws://x/", after["d"].(map[string]any)["resume_gateway_url"])
		require.Equal(t, seen[0].ResumeURL, before["d"].(map[string]any)["resume_gateway_url"])
		delete(after["d"].(map[string]any), "resume_gateway_url")
		delete(before["d"].(map[string]any), "resume_gateway_url")
		require.Equal(t, before, after)
	})
}

func decoded(t *testing.T, text []byte, asETF bool) (dict map[string]any) {
	t.Helper()
	if asETF {
		value, _ := etf.Decode(text)
		dict, _ = value.(map[string]any)
		return dict
	}
	require.NoError(t, json.Unmarshal(text, &dict))
	return dict
}

// Nothing that a server could send is a panic, and after an error nothing comes.
func FuzzMessage_AnyBytes(f *testing.F) {
	up := newSource(1, false).upstream(downstream.ZlibStream)
	first := up.message([]byte(`{"op":10,"d":{"heartbeat_interval":5}}`))
	f.Add(first, up.message([]byte(`{"t":"READY","s":1,"op":0,"d":{"resume_gateway_url":"wss://x"}}`)), 5)
	f.Add(stored.Flush, stored.Flush, 2)
	f.Add(zlibbed(f, []byte(`{"op":0,"t":"READY","d":{"resume_gateway_url":"wss://x"}}`)), []byte(`{"op":11}`), 0)
	f.Fuzz(func(t *testing.T, first, second []byte, cut int) {
		for _, client := range []downstream.Compression{downstream.None, downstream.ZlibStream, downstream.ZstdStream} {
			for _, asETF := range []bool{false, true} {
				s := downstream.New(asETF, client, toX)
				cut := min(max(cut, 0), len(first))
				for _, message := range [][]byte{first[:cut], first[cut:], second} {
					if _, out, _, err := s.Message(binary2, message); err != nil {
						require.Nil(t, out)
						break
					}
				}
			}
		}
	})
}

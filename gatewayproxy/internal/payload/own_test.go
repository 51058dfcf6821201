package payload_test

import (
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/payload"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/internal/etf"
	"github.com/gatewayqueue/gatewayqueue/internal/wiretest"
)

func TestOwnPayloads_AreTheSameInBothEncodings(t *testing.T) {
	for want, write := range map[string]func(etf bool) []byte{
		`{"op":1,"d":null}`:                                            payload.Heartbeat,
		`{"op":11,"d":null,"s":null,"t":null}`:                         payload.Ack,
		`{"op":10,"d":{"heartbeat_interval":41250},"s":null,"t":null}`: func(etf bool) []byte { return payload.Hello(etf, 41250*time.Millisecond) },
	} {
		assert.JSONEq(t, want, string(write(false)))
		// Package etf reads no atoms for names, which a client gets.
		for _, text := range wiretest.Exchange(t, [][]byte{write(true)}, "escript", "../../../internal/etf/testdata/etf.escript", "decode") {
			var dict map[string]any
			require.NoError(t, json.Unmarshal(text, &dict))
			for name, value := range dict {
				if rest, isAtom := cutAtom(name); isAtom {
					delete(dict, name)
					dict[rest] = value
				}
			}
			again, err := json.Marshal(dict)
			require.NoError(t, err)
			assert.JSONEq(t, want, string(again))
		}
	}
	_, err := etf.Decode(payload.Heartbeat(true))
	assert.NoError(t, err, "a client's names are binaries")
}

func cutAtom(name string) (string, bool) {
	const prefix = "atom:"
	if len(name) < len(prefix) || name[:len(prefix)] != prefix {
		return "", false
	}
	return name[len(prefix):], true
}

func TestApp(t *testing.T) {
	id, ok := payload.App(gatewaytest.DefaultToken)
	assert.True(t, ok)
	assert.Equal(t, gatewaytest.ApplicationID, id)
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
		for _, want := range []string{"1", "12", "123", "80351110224678912", "18446744073709551615"} {
			got, ok := payload.App(encoding.EncodeToString([]byte(want)) + ".x.y")
			assert.True(t, ok, want)
			assert.Equal(t, want, got)
		}
	}
	for _, digits := range []string{"", "0", "012", "-1", "+1", "1.5", "18446744073709551616", "12a", " 12", "12\n"} {
		_, ok := payload.App(base64.RawStdEncoding.EncodeToString([]byte(digits)) + ".x.y")
		assert.False(t, ok, "%q", digits)
	}
	for _, token := range []string{"", ".", "MTIz", "MT\nIz.x.y", "MT Iz.x.y", "M=TIz.x.y", "!.x.y"} {
		_, ok := payload.App(token)
		assert.False(t, ok, "%q", token)
	}
}

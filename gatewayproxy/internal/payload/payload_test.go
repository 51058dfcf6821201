package payload_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/payload"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/internal/etf"
)

const token = gatewaytest.DefaultToken

// term is the ETF of a value.
func term(t testing.TB, value any) []byte {
	t.Helper()
	b, err := etf.Encode(value)
	require.NoError(t, err)
	return b
}

// identify is an IDENTIFY in JSON whose TOKEN is the token.
func identify(text string) string { return strings.ReplaceAll(text, "TOKEN", token) }

func TestRead_WhatTheQueueMustKnow(t *testing.T) {
	first := payload.Payload{Op: 2, Shard: [2]int{0, 1}, Token: token}
	for text, want := range map[string]payload.Payload{
		`{"op":2,"d":{"token":"TOKEN","shard":[3,16]}}`:                          {Op: 2, Shard: [2]int{3, 16}, Token: token},
		"\n{\"d\":{\"shard\":[3,16],\"token\":\"Bot TOKEN\"},\"op\":2}\t":        {Op: 2, Shard: [2]int{3, 16}, Token: token},
		`{"op":2,"d":{"token":"TOKEN"}}`:                                         first,
		`{"op":2,"d":{"token":"TOKEN","shard":null,"compress":true}}`:            first,
		`{"\u006fp":2,"\u0064":{"\u0074oken":"TOKEN"}}`:                          first,
		`{"op":2.0,"d":{"token":"TOKEN","shard":[0.0,1e0]}}`:                     first,
		`{"op":2e0,"d":{"token":"TOKEN"}}`:                                       first,
		`{"op":20e-1,"d":{"token":"TOKEN"},"s":null,"t":null}`:                   first,
		`{"op":2,"d":{"token":"\u004dTIzNDU2Nzg5MDEyMzQ1Njc4.gateway.test"}}`:    first,
		`{"op":6,"d":{"token":"TOKEN","session_id":"x","seq":5,"shard":"what"}}`: {Op: 6, Token: token, Session: "x"},
		`{"op":6,"d":{"token":"TOKEN","session_id":5}}`:                          {Op: 6, Token: token},
		`{"op":1,"d":null}`: {Op: 1},
		`{"op":1}`:          {Op: 1},
		`{"op":1,"d":251}`:  {Op: 1},
		`{"op":8,"d":{"token":1,"Token":2,"token":3,"shard":4}}`:                          {Op: 8},
		`{"op":3,"d":{"op":2,"d":{"token":"TOKEN"}}}`:                                     {Op: 3},
		`{"op":255,"d":[[[]]]}`:                                                           {Op: 255},
		`{"op":-0,"d":{}}`:                                                                {},
		`{"op":4,"t":"{\"op\":2}","ops":2,"opp":[2]}`:                                     {Op: 4},
		`{"op":2,"d":{"token":"TOKEN","properties":{"token":"x","token":"y","Shard":1}}}`: first,
	} {
		got, err := payload.Read([]byte(identify(text)))
		assert.NoError(t, err, "%s", text)
		assert.Equal(t, want, got, "%s", text)
	}
}

func TestRead_Terms(t *testing.T) {
	first := payload.Payload{Op: 2, ETF: true, Shard: [2]int{0, 1}, Token: token}
	data := map[string]any{"token": token}
	for name, test := range map[string]struct {
		term []byte
		want payload.Payload
	}{
		"an IDENTIFY":         {term(t, map[string]any{"op": 2, "d": map[string]any{"token": "Bot " + token, "shard": []any{300, 301}}}), payload.Payload{Op: 2, ETF: true, Shard: [2]int{300, 301}, Token: token}},
		"without a shard":     {term(t, map[string]any{"op": 2, "d": data}), first},
		"op as a float":       {term(t, map[string]any{"op": 2.0, "d": data}), first},
		"op in four bytes":    {[]byte(strings.Replace(string(term(t, map[string]any{"op": 2, "d": data})), "op\x61\x02", "op\x62\x00\x00\x00\x02", 1)), first},
		"op as a big one":     {[]byte(strings.Replace(string(term(t, map[string]any{"op": 2, "d": data})), "op\x61\x02", "op\x6e\x02\x00\x02\x00", 1)), first},
		"a shard as a STRING": {[]byte(strings.Replace(string(term(t, map[string]any{"op": 2, "d": map[string]any{"token": token, "shard": 7}})), "shard\x61\x07", "shard\x6b\x00\x02\x05\x09", 1)), payload.Payload{Op: 2, ETF: true, Shard: [2]int{5, 9}, Token: token}},
		"a RESUME":            {term(t, map[string]any{"op": 6, "d": data}), payload.Payload{Op: 6, ETF: true, Token: token}},
		"our own heartbeat":   {payload.Heartbeat(true), payload.Payload{Op: 1, ETF: true}},
	} {
		got, err := payload.Read(test.term)
		assert.NoError(t, err, name)
		assert.Equal(t, test.want, got, name)
	}
}

func TestRead_Refuses(t *testing.T) {
	for text, want := range map[string]string{
		``:                          "4002 JSON: byte 0: want an object",
		`[2]`:                       "4002 JSON: byte 0: want an object",
		`null`:                      "4002 JSON: byte 0: want an object",
		"\ufeff{\"op\":1}":          "4002 JSON: byte 0: want an object",
		"{\"op\":1,\"d\":\"\xff\"}": "4002 JSON: not UTF-8",
		"x\x9c\x03\x00":             "4002 JSON: not UTF-8",
		`{"op":1}{"op":2}`:          "4002 JSON: byte 8: something follows the value",
		`{"op":1,"d":` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + `}`: "4002 JSON: byte 267: objects and arrays nested deeper than 256",
		`{}`:                                     "4002 op: absent: want an integer from 0 to 255",
		`{"d":null}`:                             "4002 op: absent: want an integer from 0 to 255",
		`{"op":null}`:                            "4002 op: null: want an integer from 0 to 255",
		`{"op":"2"}`:                             "4002 op: a string: want an integer from 0 to 255",
		`{"op":[2]}`:                             "4002 op: a list: want an integer from 0 to 255",
		`{"op":{"op":2}}`:                        "4002 op: an object: want an integer from 0 to 255",
		`{"op":true}`:                            "4002 op: true: want an integer from 0 to 255",
		`{"op":2.5}`:                             "4002 op: 2.5: want an integer from 0 to 255",
		`{"op":1e999}`:                           "4002 op: 1e999: want an integer from 0 to 255",
		`{"op":2e-999999}`:                       "4002 op: 2e-999999: want an integer from 0 to 255",
		`{"op":2.0000000000000000000000001}`:     "4002 op: a number of 27 characters: want an integer from 0 to 255",
		`{"op":258}`:                             "4001 op: 258: want one from 0 to 255",
		`{"op":-1}`:                              "4001 op: -1: want one from 0 to 255",
		`{"op":1,"op":2}`:                        "4002 op: it comes twice: want one",
		`{"op":1,"\u006fp":1}`:                   "4002 op: it comes twice: want one",
		`{"Op":2,"op":1}`:                        "4002 op: a name like it in other letters: want none",
		`{"op":1,"OP":2}`:                        "4002 op: a name like it in other letters: want none",
		`{"OP":2}`:                               "4002 op: a name like it in other letters: want none",
		`{"op":1,"op\u0000":2}`:                  "4002 a name beside op and d with a control character: want none",
		`{"op":2,"d":{},"d":{}}`:                 "4002 d: it comes twice: want one",
		`{"op":8,"d":{},"D":{}}`:                 "4002 d: a name like it in other letters: want none",
		`{"op":2}`:                               "4002 d of opcode 2: absent: want an object",
		`{"op":2,"d":null}`:                      "4002 d of opcode 2: null: want an object",
		`{"op":2,"d":[]}`:                        "4002 d of opcode 2: a list: want an object",
		`{"op":6,"d":"x"}`:                       "4002 d of opcode 6: a string: want an object",
		`{"op":2,"d":{}}`:                        "4004 token: absent: want a bot's token",
		`{"op":2,"d":{"token":null}}`:            "4004 token: null: want a bot's token",
		`{"op":6,"d":{"token":""}}`:              "4004 token: empty: want a bot's token",
		`{"op":6,"d":{"token":"Bot "}}`:          "4004 token: empty: want a bot's token",
		`{"op":2,"d":{"token":7}}`:               "4002 token: 7: want a string",
		`{"op":2,"d":{"token":" TOKEN"}}`:        "4004 token: it has a space or a character that is not ASCII: want a bot's token",
		`{"op":2,"d":{"token":"TOKEN\u0000"}}`:   "4004 token: it has a space or a character that is not ASCII: want a bot's token",
		`{"op":2,"d":{"token":"TOKEN\ud800"}}`:   "4004 token: it has a space or a character that is not ASCII: want a bot's token",
		`{"op":2,"d":{"token":"Bot Bot TOKEN"}}`: "4004 token: it has a space or a character that is not ASCII: want a bot's token",
		`{"op":2,"d":{"token":"TOKEN","token":"TOKEN"}}`:                               "4002 token: it comes twice: want one",
		`{"op":6,"d":{"token":"TOKEN","Token":"TOKEN"}}`:                               "4002 token: a name like it in other letters: want none",
		`{"op":2,"d":{"token":"TOKEN","to\u212aen":"TOKEN"}}`:                          "4002 token: a name like it in other letters: want none",
		`{"op":2,"d":{"token":"TOKEN","\u017fhard":[1,2]}}`:                            "4002 shard: a name like it in other letters: want none",
		`{"op":2,"d":{"token":"TOKEN","shard":[0,2],"shard":[1,2]}}`:                   "4002 shard: it comes twice: want one",
		`{"op":2,"d":{"token":"TOKEN","shard":"0"}}`:                                   "4002 shard: a string: want [id, count], 0 <= id < count <= 2147483647",
		`{"op":2,"d":{"token":"TOKEN","shard":["0","1"]}}`:                             "4002 shard: [a string, a string]: want [id, count], 0 <= id < count <= 2147483647",
		`{"op":2,"d":{"token":"TOKEN","shard":[0.5,1]}}`:                               "4002 shard: [0.5, 1]: want [id, count], 0 <= id < count <= 2147483647",
		`{"op":2,"d":{"token":"TOKEN","shard":[]}}`:                                    "4010 shard: a list of 0: want [id, count], 0 <= id < count <= 2147483647",
		`{"op":2,"d":{"token":"TOKEN","shard":[1]}}`:                                   "4010 shard: a list of 1: want [id, count], 0 <= id < count <= 2147483647",
		`{"op":2,"d":{"token":"TOKEN","shard":[5,4]}}`:                                 "4010 shard: [5, 4]: want [id, count], 0 <= id < count <= 2147483647",
		`{"op":2,"d":{"token":"TOKEN","shard":[0,0]}}`:                                 "4010 shard: [0, 0]: want [id, count], 0 <= id < count <= 2147483647",
		`{"op":2,"d":{"token":"TOKEN","shard":[-1,1]}}`:                                "4010 shard: [-1, 1]: want [id, count], 0 <= id < count <= 2147483647",
		`{"op":2,"d":{"token":"TOKEN","shard":[0,2147483648]}}`:                        "4010 shard: [0, 2147483648]: want [id, count], 0 <= id < count <= 2147483647",
		`{"op":2,"d":{"token":"TOKEN","shard":[` + strings.Repeat(" ", 256) + `0,1]}}`: "4010 shard: a list of more than 256 bytes: want [id, count], 0 <= id < count <= 2147483647",
	} {
		got, err := payload.Read([]byte(identify(text)))
		assert.EqualError(t, err, want, "%s", text)
		assert.Equal(t, payload.Payload{}, got, "%s", text)
	}
}

func TestRead_RefusesTerms(t *testing.T) {
	data := map[string]any{"token": token}
	for want, value := range map[string][]byte{
		"4002 etf: a list: want a map":                                             {131, 106},
		"4002 etf: byte 1: a compressed term":                                      {131, 80, 0, 0, 0, 9, 'x'},
		"4002 etf: byte 6: a key of tag 100: want a binary":                        term(t, etf.Map{{Key: etf.Atom("op"), Value: 2}, {Key: etf.Atom("d"), Value: data}}),
		"4002 etf: byte 17: the key ...":                                           term(t, etf.Map{{Key: token[:4], Value: 2}, {Key: token[:4], Value: 2}}),
		"4002 op: a string: want an integer from 0 to 255":                         term(t, map[string]any{"op": "2", "d": data}),
		"4002 op: 2.5: want an integer from 0 to 255":                              term(t, map[string]any{"op": 2.5, "d": data}),
		"4002 op: 18446744073709551615: want an integer from 0 to 255":             term(t, map[string]any{"op": uint64(1<<64 - 1), "d": data}),
		"4001 op: 258: want one from 0 to 255":                                     term(t, map[string]any{"op": 258, "d": data}),
		"4002 op: a name like it in other letters: want none":                      term(t, map[string]any{"op": 1, "Op": 2}),
		"4002 d of opcode 2: null: want an object":                                 term(t, map[string]any{"op": 2, "d": nil}),
		"4004 token: absent: want a bot's token":                                   term(t, map[string]any{"op": 2, "d": map[string]any{}}),
		"4002 token: a name like it in other letters: want none":                   term(t, map[string]any{"op": 6, "d": map[string]any{"token": token, "TOKEN": token}}),
		"4010 shard: a list of 0: want [id, count], 0 <= id < count <= 2147483647": term(t, map[string]any{"op": 2, "d": map[string]any{"token": token, "shard": []any{}}}),
	} {
		got, err := payload.Read(value)
		assert.EqualError(t, err, want)
		assert.Equal(t, payload.Payload{}, got)
	}
}

// check reads a message and looks at what holds for every message.
func check(t *testing.T, message []byte) (payload.Payload, bool) {
	t.Helper()
	p, err := payload.Read(message)
	if err == nil {
		return p, true
	}
	var refusal *payload.Refusal
	require.ErrorAs(t, err, &refusal)
	require.Contains(t, []int{4001, 4002, 4004, 4010}, refusal.Code)
	require.LessOrEqual(t, len(refusal.Reason), 123, "%s", refusal.Reason)
	for _, c := range []byte(refusal.Reason) {
		require.True(t, ' ' <= c && c <= '~', "%q", refusal.Reason)
	}
	require.NotContains(t, refusal.Reason, token[:8], "the token")
	return payload.Payload{}, false
}

// likeTheServer is what gatewaytest's server takes a message for.
func likeTheServer(message []byte) (op int, shard [2]int, bot string, ok bool) {
	if len(message) > 0 && message[0] == 131 {
		value, err := etf.Decode(message)
		if err != nil {
			return 0, shard, "", false
		}
		message, _ = json.Marshal(value)
	}
	var received struct {
		Op *int
		D  json.RawMessage
	}
	if json.Unmarshal(message, &received) != nil || received.Op == nil {
		return 0, shard, "", false
	}
	var data struct {
		Token string
		Shard []int
	}
	if *received.Op != 2 && *received.Op != 6 {
		return *received.Op, shard, "", true
	}
	if json.Unmarshal(received.D, &data) != nil {
		return 0, shard, "", false
	}
	shard = [2]int{0, 1}
	if data.Shard != nil && len(data.Shard) != 2 {
		return 0, shard, "", false
	} else if data.Shard != nil {
		shard = [2]int(data.Shard)
	}
	return *received.Op, shard, strings.TrimPrefix(data.Token, "Bot "), true
}

// Whatever gatewaytest's reading, which is as lax as encoding/json, takes for an
// IDENTIFY or a RESUME is the same here, or refused; and nothing else is one.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		`{"op":2,"d":{"token":"TOKEN","shard":[3,16],"intents":1}}`, `{"op":6,"d":{"token":"Bot TOKEN","session_id":"x","seq":1}}`,
		`{"op":1,"op":2,"d":{"token":"TOKEN"}}`, `{"op":1,"OP":2,"d":{"token":"TOKEN"}}`, `{"op":2,"d":{"token":"TOKEN","shard":[0,2],"SHARD":[1,2]}}`,
		`{"op":2,"d":{"to\u212aen":"TOKEN","\u017fhard":[0,2]}}`, `{"\u006fp":20e-1,"d":{"token":"TOKEN"}}`, `{"op":1,"d":null}`, `{"op":258}`,
		`{"op":2,"D":{"token":"TOKEN"},"d":null}`, `{"op":"2"}`, `{"op":2,"d":{"token":"TOKEN","shard":[1.0,2]}}`, `[2]`, `{"op":1}{"op":2}`,
		"{\"op\":1,\"d\":\"\xff\"}", "\ufeff{\"op\":2}", `{"op":null,"d":{}}`,
	} {
		f.Add([]byte(identify(seed)))
	}
	for _, seed := range []any{
		map[string]any{"op": 2, "d": map[string]any{"token": token, "shard": []any{300, 301}}}, map[string]any{"op": 2.0, "d": map[string]any{"token": token}},
		map[string]any{"Op": 2, "op": 1, "d": map[string]any{"token": token}}, map[string]any{"op": 6, "d": map[string]any{"token": token}},
		etf.Map{{Key: "op", Value: 1}, {Key: "op", Value: 2}}, map[string]any{"op": 1, "d": nil},
	} {
		f.Add(term(f, seed))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		got, ok := check(t, message)
		if !ok {
			return
		}
		op, shard, bot, taken := likeTheServer(message)
		if !taken {
			// 2.0 is an integer here, and none to encoding/json: held all the same.
			return
		}
		require.Equal(t, op, got.Op)
		if op == payload.OpIdentify || op == payload.OpResume {
			require.Equal(t, bot, got.Token)
		}
		if op == payload.OpIdentify {
			require.Equal(t, shard, got.Shard)
		}
		// By exact names, too.
		if !got.ETF {
			var exact map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(message, &exact))
			var n float64
			require.NoError(t, json.Unmarshal(exact["op"], &n))
			require.InDelta(t, n, got.Op, 0)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	for name, message := range map[string]string{
		"heartbeat": `{"op":1,"d":251}`,
		"identify":  identify(`{"op":2,"d":{"token":"TOKEN","shard":[3,16],"intents":1,"properties":{"os":"linux","browser":"x","device":"x"}}}`),
		"64KiB":     `{"op":3,"d":{"since":null,"status":"` + strings.Repeat("online ", 9300) + `"}}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(message)))
			for b.Loop() {
				if _, err := payload.Read([]byte(message)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

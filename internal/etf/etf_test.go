package etf_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/etf"
	"github.com/gatewayqueue/gatewayqueue/internal/wiretest"
)

// erlang gives the messages to Erlang itself.
func erlang(t *testing.T, mode string, messages ...[]byte) [][]byte {
	t.Helper()
	return wiretest.Exchange(t, messages, "escript", "testdata/etf.escript", mode)
}

func TestDecode_WhatErlangWrites(t *testing.T) {
	tests := []struct {
		term string
		want any
	}{
		{`nil`, nil},
		{`null`, nil},
		{`true`, true},
		{`false`, false},
		{`online`, "online"},
		{`'größe'`, "größe"},
		{`0`, int64(0)},
		{`255`, int64(255)},
		{`256`, int64(256)},
		{`-1`, int64(-1)},
		{`2147483647`, int64(math.MaxInt32)},
		{`2147483648`, int64(math.MaxInt32 + 1)},
		{`-2147483648`, int64(math.MinInt32)},
		{`-2147483649`, int64(math.MinInt32 - 1)},
		{`123456789012345678`, int64(123456789012345678)},
		{`9223372036854775807`, int64(math.MaxInt64)},
		{`-9223372036854775808`, int64(math.MinInt64)},
		{`18446744073709551615`, uint64(math.MaxUint64)},
		{`0.25`, 0.25},
		{`-1.0e300`, -1e300},
		{`5.0e-324`, 5e-324},
		{`<<>>`, ""},
		{`<<"Größe 日本 🎉"/utf8>>`, "Größe 日本 🎉"},
		{`[]`, []any{}},
		{`[0, 16]`, []any{int64(0), int64(16)}}, // STRING: the shard of a client in Elixir
		{`[0, 256]`, []any{int64(0), int64(256)}},
		{`[[], [[]], nil]`, []any{[]any{}, []any{[]any{}}, nil}},
		{`#{}`, map[string]any{}},
		{
			`#{<<"op">> => 1, <<"d">> => #{<<"list">> => [1.5, <<"x">>]}}`,
			map[string]any{"op": int64(1), "d": map[string]any{"list": []any{1.5, "x"}}},
		},
	}
	// 0 has old floats and old atoms, 1 new floats, 2 new atoms.
	for _, options := range []string{"{minor_version, 0}", "{minor_version, 1}", "{minor_version, 2}"} {
		var expressions [][]byte
		for _, test := range tests {
			expressions = append(expressions, []byte("term_to_binary("+test.term+", ["+options+"])."))
		}
		for i, term := range erlang(t, "encode", expressions...) {
			got, err := etf.Decode(term)
			assert.NoError(t, err, "%s %s", tests[i].term, options)
			assert.Equal(t, tests[i].want, got, "%s %s", tests[i].term, options)
		}
	}
}

func TestEncode_IsWhatErlangReads(t *testing.T) {
	tests := []struct {
		value any
		json  string
	}{
		{nil, `null`},
		{true, `true`},
		{false, `false`},
		{etf.Atom("READY"), `"atom:READY"`},
		{"", `""`},
		{"a\"\\\x00\n日本 🎉", `"a\"\\\u0000\u000a日本 🎉"`},
		{0, `0`},
		{255, `255`},
		{-1, `-1`},
		{int64(math.MaxInt32), `2147483647`},
		{int64(math.MaxInt32 + 1), `2147483648`},
		{int64(math.MinInt32), `-2147483648`},
		{int64(math.MinInt32 - 1), `-2147483649`},
		{int64(math.MinInt64), `-9223372036854775808`},
		{uint64(math.MaxUint64), `18446744073709551615`},
		{json.Number("123456789012345678"), `123456789012345678`},
		{json.Number("18446744073709551615"), `18446744073709551615`},
		{json.Number("2.5e-3"), `0.0025`},
		{0.1, `0.1`},
		{[]any{}, `[]`},
		{[]any{1, 2, []any{"x"}}, `[1,2,["x"]]`},
		{map[string]any{}, `{}`},
		{
			etf.Map{{Key: etf.Atom("op"), Value: 0}, {Key: "d", Value: map[string]any{"a": 1, "b": nil}}},
			`{"atom:op":0,"d":{"a":1,"b":null}}`,
		},
	}
	var terms [][]byte
	for _, test := range tests {
		term, err := etf.Encode(test.value)
		require.NoError(t, err, "%v", test.value)
		terms = append(terms, term)
	}
	for i, text := range erlang(t, "decode", terms...) {
		assert.JSONEq(t, tests[i].json, string(text), "%v", tests[i].value)
	}
}

func TestEncode_Refuses(t *testing.T) {
	for want, value := range map[string]any{
		"etf: a value of type struct {}":                            struct{}{},
		"etf: the float +Inf":                                       math.Inf(1),
		"etf: the float NaN":                                        []any{math.NaN()},
		"etf: the number 18446744073709551616: want one of 64 bits": json.Number("18446744073709551616"),
		"etf: the number 1e400: want one of 64 bits":                map[string]any{"x": json.Number("1e400")},
		"etf: the number many: want one of 64 bits":                 json.Number("many"),
		`etf: the atom "größe": want ASCII`:                         etf.Map{{Key: etf.Atom("größe")}},
		"etf: an atom of 256 bytes: want at most 255":               etf.Atom(strings.Repeat("x", 256)),
	} {
		_, err := etf.Encode(value)
		assert.EqualError(t, err, want)
	}
}

// term is a term of these bytes, which may be given as strings and numbers.
func term(parts ...any) []byte {
	b := []byte{131}
	for _, part := range parts {
		switch p := part.(type) {
		case string:
			b = append(b, p...)
		case int:
			b = append(b, byte(p))
		}
	}
	return b
}

func TestDecode_Refuses(t *testing.T) {
	var deep []any
	for range etf.MaxDepth + 1 {
		deep = append(deep, 108, 0, 0, 0, 1)
	}
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":                  {nil, "etf: byte 0: the term needs 1 bytes and 0 are left"},
		"another version":          {[]byte{130, 97, 1}, "etf: byte 0: version 130: want 131"},
		"JSON":                     {[]byte(`{"op":1,"d":null}`), "etf: byte 0: version 123: want 131"},
		"no term":                  {term(), "etf: byte 1: the term needs 1 bytes and 0 are left"},
		"two terms":                {term(97, 1, 97, 2), "etf: byte 3: 2 bytes follow the term"},
		"too long":                 {make([]byte, etf.MaxSize+1), "etf: 16777217 bytes: want at most 16777216"},
		"a compressed term":        {term(80, 0, 0, 0, 9, "x"), "etf: byte 1: a compressed term"},
		"a tuple":                  {term(104, 2, 97, 0, 97, 1), "etf: byte 1: a tuple: want a list"},
		"a large tuple":            {term(105, 0, 0, 0, 0), "etf: byte 1: a tuple: want a list"},
		"a PID":                    {term(103), "etf: byte 1: a term of tag 103"},
		"a cut integer":            {term(98, 0, 0), "etf: byte 2: the term needs 4 bytes and 2 are left"},
		"a cut big integer":        {term(110, 8, 0, 1), "etf: byte 4: the term needs 8 bytes and 1 are left"},
		"a big integer of 9 bytes": {term(110, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), "etf: byte 2: an integer of more than 64 bits"},
		"a negative one of 64":     {term(110, 8, 1, 1, 0, 0, 0, 0, 0, 0, 128), "etf: byte 2: an integer of more than 64 bits"},
		"a strange sign":           {term(110, 1, 2, 1), "etf: byte 2: an integer with the sign 2: want 0 or 1"},
		"a large integer of 4 GiB": {term(111, 255, 255, 255, 255, 0, 1), "etf: byte 7: the term needs 2147483647 bytes and 1 are left"},
		"a float that is not one":  {term(70, 127, 248, 0, 0, 0, 0, 0, 0), "etf: byte 1: a float that is no number"},
		"an infinite float":        {term(70, 127, 240, 0, 0, 0, 0, 0, 0), "etf: byte 1: a float that is no number"},
		"an old float of words":    {term(99, "inf"+strings.Repeat("\x00", 28)), `etf: byte 2: "inf": want a decimal number`},
		"an old float too great":   {term(99, "1e999"+strings.Repeat("\x00", 26)), `etf: byte 2: "1e999": want a decimal number`},
		"an old float of nothing":  {term(99, strings.Repeat("\x00", 31)), `etf: byte 2: "": want a decimal number`},
		"a binary of 4 GiB":        {term(109, 255, 255, 255, 255, "x"), "etf: byte 6: the term needs 2147483647 bytes and 1 are left"},
		"a binary not UTF-8":       {term(109, 0, 0, 0, 1, 255), "etf: byte 2: a binary that is not UTF-8"},
		"an atom not UTF-8":        {term(119, 1, 255), "etf: byte 2: an atom that is not UTF-8"},
		"a cut string":             {term(107, 0, 2, 1), "etf: byte 4: the term needs 2 bytes and 1 are left"},
		"a list of 4 billion":      {term(108, 255, 255, 255, 255, 97, 1), "etf: byte 2: 2147483647 elements in 2 bytes"},
		"a list with another tail": {term(108, 0, 0, 0, 1, 97, 1, 97, 2), "etf: byte 8: a list whose tail is not the empty list"},
		"a list without a tail":    {term(108, 0, 0, 0, 1, 97, 1), "etf: byte 8: the term needs 1 bytes and 0 are left"},
		"a map of 4 billion":       {term(116, 255, 255, 255, 255, 97, 1), "etf: byte 2: 2147483647 elements in 2 bytes"},
		"an atom for a key":        {term(116, 0, 0, 0, 1, 100, 0, 2, "op", 97, 1), "etf: byte 6: a key of tag 100: want a binary"},
		"a number for a key":       {term(116, 0, 0, 0, 1, 97, 1, 109, 0, 0, 0, 0), "etf: byte 6: a key of tag 97: want a binary"},
		"a key that comes twice": {
			term(116, 0, 0, 0, 2, 109, 0, 0, 0, 1, "a", 97, 1, 109, 0, 0, 0, 1, "a", 97, 2), `etf: byte 14: the key "a" comes twice`,
		},
		"a map that is cut": {term(116, 0, 0, 0, 1, 109, 0, 0, 0, 1, "a"), "etf: byte 12: the term needs 1 bytes and 0 are left"},
		"too deep":          {term(deep...), "etf: byte 1282: lists and maps nested deeper than 256"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := etf.Decode(test.data)
			assert.EqualError(t, err, test.want)
			assert.Nil(t, got)
		})
	}
}

func TestDecode_LeadingZerosOfABigIntegerAreNoDigits(t *testing.T) {
	got, err := etf.Decode(term(111, 0, 0, 0, 12, 1, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
	require.NoError(t, err)
	assert.Equal(t, int64(-5), got)
}

func TestDecode_NestedAsDeepAsAllowed(t *testing.T) {
	deep := bytes.Repeat([]byte{108, 0, 0, 0, 1}, etf.MaxDepth)
	deep = append(append([]byte{131}, deep...), 97, 7)
	got, err := etf.Decode(append(deep, bytes.Repeat([]byte{106}, etf.MaxDepth)...))
	require.NoError(t, err)
	for range etf.MaxDepth {
		got = got.([]any)[0]
	}
	assert.Equal(t, int64(7), got)
}

// What is read can be written, and reads the same again; JSON has it, too.
func FuzzDecode(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		value, err := etf.Decode(data)
		if err != nil {
			return
		}
		_, err = json.Marshal(value)
		require.NoError(t, err)
		again, err := etf.Encode(value)
		require.NoError(t, err)
		same, err := etf.Decode(again)
		require.NoError(t, err)
		require.Equal(t, value, same)
	})
}

func guildTree(t testing.TB, size int) any {
	reader := json.NewDecoder(bytes.NewReader(wiretest.JSON(t, wiretest.Guild(size))))
	reader.UseNumber()
	var tree any
	require.NoError(t, reader.Decode(&tree))
	return tree
}

func BenchmarkEncode(b *testing.B) {
	tree := guildTree(b, 6<<20)
	b.ReportAllocs()
	for b.Loop() {
		data, err := etf.Encode(tree)
		require.NoError(b, err)
		b.SetBytes(int64(len(data)))
	}
}

func BenchmarkDecode(b *testing.B) {
	data, err := etf.Encode(guildTree(b, 6<<20))
	require.NoError(b, err)
	require.Greater(b, binary.Size(data), 4<<20)
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		_, err := etf.Decode(data)
		require.NoError(b, err)
	}
}

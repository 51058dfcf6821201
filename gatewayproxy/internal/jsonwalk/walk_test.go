package jsonwalk_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/jsonwalk"
	"github.com/gatewayqueue/gatewayqueue/internal/wiretest"
)

// whole walks over text with Skip.
func whole(text []byte) error {
	w := jsonwalk.New(text)
	if _, err := w.Skip(); err != nil {
		return err
	}
	return w.End()
}

func TestWalker_SaysWhereTheTextIsNoJSON(t *testing.T) {
	for text, want := range map[string]string{
		``:                       "JSON: byte 0: want a value",
		`  `:                     "JSON: byte 2: want a value",
		"\ufeff{}":               "JSON: byte 0: want a value",
		`{} {}`:                  "JSON: byte 3: something follows the value",
		`{"a" 1}`:                "JSON: byte 5: want a colon",
		`{a:1}`:                  "JSON: byte 1: want a name in quotes",
		`{"a":1,}`:               "JSON: byte 7: want a name in quotes",
		`[1,]`:                   "JSON: byte 3: want a value",
		`[1 2]`:                  "JSON: byte 3: want a comma, or the end of the object or array",
		`[1}`:                    "JSON: byte 2: want a comma, or the end of the object or array",
		`"a`:                     "JSON: byte 2: a string without an end",
		"\"a\n\"":                "JSON: byte 2: a control character in a string",
		`"\x41"`:                 "JSON: byte 2: an escape that JSON has not",
		`"\u12g4"`:               "JSON: byte 5: want four hexadecimal digits",
		`01`:                     "JSON: byte 1: something follows the value",
		`-`:                      "JSON: byte 1: want a digit",
		`1.`:                     "JSON: byte 2: want a digit",
		`1e+`:                    "JSON: byte 3: want a digit",
		`nul`:                    "JSON: byte 0: want true, false or null",
		`NaN`:                    "JSON: byte 0: want a value",
		strings.Repeat("[", 257): "JSON: byte 256: objects and arrays nested deeper than 256",
	} {
		assert.EqualError(t, whole([]byte(text)), want, "%s", text)
	}
	assert.NoError(t, whole([]byte(strings.Repeat("[", 256)+strings.Repeat("]", 256))))
}

func TestWalker_SaysWhatStandsWhere(t *testing.T) {
	text := ` {"a" : [1, {"b":2}] , "\u0062\n":"x\"y", "c":{"d":-1.5e3}} `
	w := jsonwalk.New([]byte(text))
	var seen []string
	require.NoError(t, w.Object(func(name []byte) error {
		if string(name) == "c" {
			return w.Object(func(name []byte) error {
				start := w.At()
				raw, err := w.Skip()
				assert.Equal(t, text[start:w.At()], string(raw))
				seen = append(seen, "c."+string(name)+"="+string(raw))
				return err
			})
		}
		raw, err := w.Skip()
		seen = append(seen, string(name)+"="+string(raw))
		return err
	}))
	require.NoError(t, w.End())
	assert.Equal(t, []string{`a=[1, {"b":2}]`, "b\n=" + `"x\"y"`, "c.d=-1.5e3"}, seen)
}

// What encoding/json takes is taken, and nothing else; but for the depth.
func FuzzWalker(f *testing.F) {
	for _, seed := range []string{`{"op":2,"d":{"a":[1.5e-3,true,null,"\ud83d\ude00"]}}`, `{"op":1}{`, ` [ ] `, `"\u0`, `-0.0E+1`, "\"\x7f\xff\""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		err := whole(text)
		if err != nil && strings.Contains(err.Error(), "deeper") {
			return
		}
		require.Equal(t, json.Valid(text), err == nil, "%v", err)
	})
}

func BenchmarkSkip(b *testing.B) {
	text := wiretest.JSON(b, wiretest.Guild(6<<20))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if err := whole(text); err != nil {
			b.Fatal(err)
		}
	}
}

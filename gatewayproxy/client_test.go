// Any bytes that a bot may send: what is passed on as no IDENTIFY is no IDENTIFY for any
// reader, and no byte is changed.

package gatewayproxy

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/payload"
	"github.com/gatewayqueue/gatewayqueue/internal/etf"
	"github.com/gatewayqueue/gatewayqueue/internal/wsframe"
)

const aToken = "MTIzNDU2Nzg5MDEyMzQ1Njc4.x.y"

// passes feeds bytes to the reader of a bot's, and returns the messages that would pass,
// and of them those that would be held.
func passes(t testing.TB, p []byte) (passed, held []clientMessage) {
	t.Helper()
	r := clientReader{in: bufio.NewReader(bytes.NewReader(p))}
	for {
		m, err := r.next()
		var refusal *payload.Refusal
		if err != nil {
			require.True(t, errors.As(err, &refusal) || errors.Is(err, io.EOF), "%v", err)
			return passed, held
		}
		switch read, err := payload.Read(m.text); {
		case m.control():
		case err != nil:
			return passed, held
		case read.Op == payload.OpIdentify:
			held = append(held, m)
		default:
			passed = append(passed, m)
		}
	}
}

// couldIdentify reports whether any reader could take a text for an IDENTIFY: one that
// does not look at the case of names, takes the first or the last of two, and numbers
// and digits alike.
func couldIdentify(text []byte) bool {
	two := func(v any) bool {
		switch v := v.(type) {
		case float64:
			return v == 2 || int64(v)&0xff == 2
		case int64:
			return v&0xff == 2
		case uint64:
			return v&0xff == 2
		case string:
			return strings.TrimSpace(v) == "2"
		}
		return false
	}
	if term, err := etf.Decode(text); err == nil {
		dict, _ := term.(map[string]any)
		for name, v := range dict {
			if strings.EqualFold(strings.Trim(name, "\x00 "), "op") && two(v) {
				return true
			}
		}
		return false
	}
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))))
	if begin, err := d.Token(); err != nil || begin != json.Delim('{') {
		return false
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return false
		}
		var v any
		if d.Decode(&v) != nil {
			return false
		}
		if n, ok := name.(string); ok && strings.EqualFold(strings.Trim(n, "\x00 "), "op") && two(v) {
			return true
		}
	}
	return false
}

// mutated changes p here and there, in ways that readers differ on.
func mutated(r *rand.Rand, p []byte) []byte {
	p = bytes.Clone(p)
	pieces := []string{
		`"op":1,`, `"op":2,`, `"OP":2,`, `"op\u0000":2,`, `"d":{},`, " ", "\n", "\x00", "\ufeff", `\u006f`, "2", "1", "e0", ".0", "-", "258", `"`, "{", "}", "[", "]", ",", ":", "//", "\xff", "\x83", "\x74\x00\x00\x00\x02",
	}
	for range 1 + r.IntN(3) {
		at := r.IntN(len(p) + 1)
		switch r.IntN(4) {
		case 0:
			p = append(p[:at:at], append([]byte(pieces[r.IntN(len(pieces))]), p[at:]...)...)
		case 1:
			if at < len(p) {
				p[at] ^= 1 << r.IntN(8)
			}
		case 2:
			end := min(len(p), at+r.IntN(4))
			p = append(p[:at:at], p[end:]...)
		case 3:
			end := min(len(p), at+r.IntN(20))
			p = append(p[:end:end], p[at:]...)
		}
	}
	return p
}

func TestClientReader_NothingPassesForAnIdentify(t *testing.T) {
	t.Parallel()
	term, err := etf.Encode(etf.Map{{Key: "op", Value: 2}, {Key: "d", Value: etf.Map{{Key: "token", Value: aToken}}}})
	require.NoError(t, err)
	beat, err := etf.Encode(etf.Map{{Key: "op", Value: 1}, {Key: "d", Value: nil}})
	require.NoError(t, err)
	seeds := [][]byte{
		[]byte(`{"op":2,"d":{"token":"` + aToken + `","shard":[0,1]}}`), []byte(`{"d":{"token":"` + aToken + `"},"op":2}`), []byte(`{"op":1,"d":null}`), term, beat,
	}
	r := rand.New(rand.NewPCG(1, 2))
	found := map[bool]int{}
	for range 60_000 {
		text := mutated(r, seeds[r.IntN(len(seeds))])
		read, err := payload.Read(text)
		if err != nil {
			continue
		}
		found[read.Op == payload.OpIdentify]++
		if read.Op != payload.OpIdentify && couldIdentify(text) {
			t.Fatalf("passes as op %d: %q", read.Op, text)
		}
	}
	require.Greater(t, min(found[true], found[false]), 500, "it looks at some: %v", found)
}

func FuzzClientReader(f *testing.F) {
	text := []byte(`{"op":2,"d":{"token":"` + aToken + `"}}`)
	whole := wsframe.AppendMasked(nil, wsframe.Text, text)
	f.Add(whole)
	f.Add(append(append(append([]byte{0x01, 0x85, 1, 2, 3, 4}, 'z', 'a', 'b', 'c', 'd'), 0x89, 0x80, 0, 0, 0, 0), whole...))
	f.Add([]byte{0x81, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0})
	f.Add(append(wsframe.AppendMasked(nil, wsframe.Ping, []byte("x")), wsframe.AppendMasked(nil, wsframe.Binary, []byte{131, 116, 0, 0, 0, 0})...))
	f.Fuzz(func(t *testing.T, p []byte) {
		passed, held := passes(t, p)
		for _, m := range passed {
			if couldIdentify(m.text) {
				t.Fatalf("passes: %q", m.text)
			}
		}
		for _, m := range append(passed, held...) { // what is passed on is read alike by a reader of frames
			var again []byte
			for rest := m.frames; len(rest) > 0; {
				h, ok := wsframe.Parse(rest)
				require.True(t, ok && h.Masked && h.Sound() && !h.Control())
				part := bytes.Clone(rest[h.Size : h.Size+int(h.Payload)])
				wsframe.Unmask(h.Mask, 0, part)
				again, rest = append(again, part...), rest[h.Size+int(h.Payload):]
			}
			require.Equal(t, string(m.text), string(again))
		}
	})
}

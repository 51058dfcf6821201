package payload_test

import (
	"fmt"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/payload"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// A real connection for each message: what the server's judge counts as an
// IDENTIFY is one of the same shard here, or refused.
func TestRead_AsTheServerReads(t *testing.T) {
	s := gatewaytest.NewServer()
	defer s.Close()
	counted, held := 0, 0
	for _, test := range []struct {
		query, message string
	}{
		{"", `{"op":2,"d":{"token":"TOKEN","shard":[1,16]}}`},
		{"", `{"op":2,"d":{"token":"Bot TOKEN","shard":null}}`},
		{"", `{"OP":2,"d":{"token":"TOKEN","shard":[1,16]}}`},
		{"", `{"op":1,"Op":2,"d":{"token":"TOKEN","shard":[1,16]}}`},
		{"", `{"op":1,"op":2,"d":{"token":"TOKEN","shard":[1,16]}}`},
		{"", `{"op":2,"d":{"token":"TOKEN","shard":[0,16],"shard":[1,16]}}`},
		{"", `{"op":2,"d":{"token":"TOKEN","shard":[0,16],"\u017fhard":[1,16]}}`},
		{"", `{"\u006fp":2,"\u0064":{"\u0074oken":"TOKEN","shard":[1,16]}}`},
		{"", `{"op":2.0,"d":{"token":"TOKEN","shard":[1,16]}}`},
		{"", `{"op":2,"d":{"token":"TOKEN","shard":[16,16]}}`},
		{"", `{"op":1,"d":null}`},
		{"encoding=etf", string(term(t, map[string]any{"op": 2, "d": map[string]any{"token": token, "shard": []any{1, 16}}}))},
		{"encoding=etf", string(term(t, map[string]any{"op": 2.0, "d": map[string]any{"token": token}}))},
		{"encoding=etf", string(term(t, map[string]any{"op": 1, "Op": 2, "d": map[string]any{"token": token, "shard": []any{1, 16}}}))},
	} {
		message := []byte(identify(test.message))
		before := s.Judge().Verdict().Identifies
		ws, _, err := websocket.Dial(t.Context(), s.GatewayURL()+"/?v=10&"+test.query, nil)
		require.NoError(t, err)
		_, _, err = ws.Read(t.Context()) // HELLO
		require.NoError(t, err)
		require.NoError(t, ws.Write(t.Context(), websocket.MessageBinary, message))
		_, _, _ = ws.Read(t.Context()) // any answer, or the close
		_ = ws.CloseNow()
		got, err := payload.Read(message)
		if s.Judge().Verdict().Identifies == before {
			continue
		}
		counted++
		if err != nil {
			continue
		}
		held++
		assert.Equal(t, 2, got.Op, "%s", test.message)
		want := []int{1, 16}
		if got.Shard[1] == 1 {
			want = []int{0, 1}
		}
		assert.Equal(t, fmt.Sprint(want), fmt.Sprint(got.Shard), "%s", test.message)
	}
	assert.Greater(t, counted, held, "some are refused here that the server counts")
	assert.GreaterOrEqual(t, held, 4)
}

package fakediscord

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture/goldentest"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

func TestView_TellsOfEachShardWithinTheTerminal(t *testing.T) {
	server := gatewaytest.NewServer(gatewaytest.WithWindow(time.Hour), gatewaytest.WithLimit(limitOf(4)))
	defer server.Close()
	const shards = 6
	for shard := range shards {
		ws, _, err := websocket.Dial(t.Context(), server.GatewayURL(), nil)
		require.NoError(t, err)
		defer func() { _ = ws.CloseNow() }()
		payload := fmt.Sprintf(`{"op":2,"d":{"token":%q,"intents":0,"shard":[%d,%d],"properties":{}}}`, server.Token(), shard, shards)
		require.NoError(t, ws.Write(t.Context(), websocket.MessageText, []byte(payload)))
		for range 2 { // HELLO, and READY or op 9
			_, _, err = ws.Read(t.Context())
			require.NoError(t, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, server.WaitReady(ctx, 4))
	v := &view{config: &config{}, server: server, began: time.Now()}
	for _, size := range [][2]int{{80, 24}, {200, 24}, {80, 9}, {40, 12}, {80, 6}, {80, 3}} {
		lines, _ := picture.Draw(v.screen(), picture.View{}, size[0], size[1])
		assert.Len(t, lines, size[1])
		text := ""
		for _, line := range lines {
			assert.LessOrEqual(t, ansi.StringWidth(line), size[0])
			text += ansi.Strip(line) + "\n"
		}
		if size[1] < 6 {
			continue
		}
		assert.Contains(t, text, "4 of 6 ready")
		assert.Contains(t, text, "2 violations, 0 over budget")
		switch size {
		case [2]int{80, 24}:
			assert.Regexp(t, `\n +3  ready +1 +1 +0 +0 +0 +0 +1\n`, text)
			assert.Regexp(t, `\n +5  not ready +1 +0 +0 +0 +1 +0 +1\n`, text)
		case [2]int{80, 9}:
			assert.Regexp(t, `\n shards 1 to \d of 6: 4 ready\n`, text)
		}
	}
}

// Each file in testdata was looked at.
func TestScreen(t *testing.T) {
	s := state{
		config: &config{Window: 5 * time.Second}, limit: limitOf(16), running: 93 * time.Second, ready: []int{0, 1, 2, 4},
		verdict:   gatewaytest.Verdict{Identifies: 7, Violations: 1, LeastGap: 4970 * time.Millisecond},
		addresses: []string{"  REST     http://127.0.0.1:8090/api/v10", "  gateway  ws://127.0.0.1:8090", "  token    a.bot.token", "  control  http://127.0.0.1:8090/control"},
		notes:     []string{"5.0 s  shard 3  VIOLATION: IDENTIFY in bucket 3 only 4.970 s from the one before: op 9"},
	}
	for shard := range 6 {
		s.shards = append(s.shards, gatewaytest.ShardReport{Shard: shard, Identifies: 1 + shard/5, Readies: 1, Resumes: shard % 2, Connections: 1})
	}
	s.shards[3].InvalidSessions = 1
	goldentest.Screen(t, "shards", s.screen(), picture.View{})
}

func limitOf(concurrency int) gatewayqueue.SessionStartLimit {
	limit := gatewayqueue.DefaultLimit()
	limit.MaxConcurrency = concurrency
	return limit
}

func TestQuoted_IsOneWordOfAShell(t *testing.T) {
	for word, want := range map[string]string{"/a/ca.pem": "/a/ca.pem", "/a b/ca.pem": "'/a b/ca.pem'", "/it's": `'/it'\''s'`} {
		assert.Equal(t, want, quoted(word))
	}
}

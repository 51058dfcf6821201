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
	for _, size := range [][2]int{{80, 24}, {200, 24}, {80, 9}, {40, 7}, {80, 6}, {80, 3}} {
		frame := v.draw(size[0], size[1])
		text := ""
		for _, line := range frame {
			if size[0] >= 80 {
				assert.LessOrEqual(t, ansi.StringWidth(line), 80)
			}
			text += ansi.Strip(line) + "\n"
		}
		assert.Contains(t, text, "4 of 6 ready")
		if size[1] < 7 {
			continue
		}
		assert.LessOrEqual(t, len(frame), size[1])
		assert.Contains(t, text, "2 violations, 0 over budget")
		if size[1] == 24 {
			assert.Regexp(t, `\n +3  ready +1 +1 +0 +0 +0 +0 +1\n`, text)
			assert.Regexp(t, `\n +5  not ready +1 +0 +0 +0 +1 +0 +1\n`, text)
		} else {
			assert.Regexp(t, `\n and \d more\n`, text)
		}
	}
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

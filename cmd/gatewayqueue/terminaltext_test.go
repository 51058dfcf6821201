package main_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// acting are characters that a terminal acts on, but for the end of a line.
var acting = regexp.MustCompile("[\x00-\x09\x0b-\x1f\x7f\u0080-\u009f\u200e\u200f\u061c\u2028\u2029\u202a-\u202e\u2066-\u2069]")

// Anybody who may write to Redis could else move the cursor of an operator who looks.
func TestTerminal_NothingFromRedisActsOnIt(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client, url := server.Client(t), "redis://"+server.Addr
	const evil = "a\x1b[2J\x1b[8mb\rc\x7fd\u009be\u202ef\u2066g\u2028h\x9bi\xff"
	s := serve(t, nil, "--redis", url, "--app", "bot", "--fresh-start", "--max-concurrency", "2")
	code, text := s.get("/?shard=0")
	require.Equal(t, 200, code, text)
	key := func(name string) string { return "identify:{bot}:" + name }
	far := time.Now().Add(time.Hour).UnixMilli()
	for _, command := range [][]any{
		{"HSET", key("limits"), "paused_until", far, "paused_at", far - 3_600_000, "paused_by", evil, "paused_why", evil, "source_error", evil, "ask_after", far},
		{"ZADD", key("pods"), far, evil},
		{"ZADD", key("queue:1"), 1, "00001@" + evil + "#1"},
		{"SET", key("slot:0"), "00000@" + evil + "#1 permit", "PX", 3_600_000},
		{"LPUSH", key("audit"), `{"time":"2026-01-03T13:01:58Z","what":"pau\u001bse","who":"\u001b[2J\u009b\u202e\r","why":"\u001b]0;x\u0007\u007f"}`},
		{"HSET", key("sights"), "1", `{"state":"\u001b[2J","since":"2026-01-03T13:01:58Z","told":"2026-01-03T13:01:58Z","by":"\u001b[2J","bot":"\u009b\u202e"}`},
	} {
		require.NoError(t, client.Do(t.Context(), command...).Err(), command)
	}
	at := []string{"--redis", url, "--app", "bot"}
	for _, line := range []string{
		"check", "check --json", "plan --shards 2", "plan --shards 2 --json", "status", "status --json", "status --all", "status --all --json",
		"history", "history --json", "audit", "audit --json", "wait --shard 1 --timeout 1s", "pause --why x", "resume --why x", "audit",
	} {
		args := append(strings.Fields(line), at...)
		if strings.HasPrefix(line, "status --all") {
			args = append(strings.Fields(line), "--redis", url)
		}
		harmless(t, line, run(t, args...))
		if takes := strings.Fields(line)[0]; takes != "pause" && takes != "resume" && !strings.Contains(line, "--all") { // orders want a token
			harmless(t, line+" --url", run(t, append(strings.Fields(line), "--url", s.URL)...))
		}
	}
	for _, where := range [][]string{at, {"--url", s.URL}, {"--all", "--redis", url}} {
		for _, how := range []string{"--watch=100ms", "--watch=100ms --json"} {
			cmd := command(t, append(append([]string{"status"}, strings.Fields(how)...), where...)...)
			got := finish(t, cmd, func() {
				time.Sleep(2 * time.Second)
				assert.NoError(t, cmd.Process.Signal(os.Interrupt))
			})
			harmless(t, strings.Join(cmd.Args, " "), got)
		}
	}
	require.NoError(t, client.HSet(t.Context(), key("limits"), "max_concurrency", evil).Err())
	for _, line := range []string{"check", "plan --shards 2", "status", "wait --shard 1 --timeout 1s"} {
		harmless(t, line, run(t, append(strings.Fields(line), at...)...))
	}
}

// harmless asserts that a terminal would show all of what a command has written.
func harmless(t *testing.T, line string, got result) {
	t.Helper()
	text := got.out + got.err
	assert.NotEmpty(t, text, line)
	assert.Empty(t, acting.FindAllString(text, -1), "%s: %q", line, text)
	assert.True(t, utf8.ValidString(text), "%s: %q", line, text)
}

// What Redis holds that keeps servers from granting is told by everybody who looks.

package main_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// become is what becomes of a caller once somebody has changed what Redis holds.
type become int

const (
	granted become = iota // at once: every reader says that all is well
	refused               // with an error, or it waits for somebody to do something
	heals                 // it waits for a while: until it does, every reader says that something is wrong
)

// edit is a change by hand: a command of redis-cli whose key lacks its prefix.
type edit struct {
	command string
	becomes become
	says    string // what check says, as a regular expression
}

// edits has every key of docs/keys.md and docs/design.md that a claim reads, and others.
func edits() (all []edit) {
	add := func(becomes become, says string, commands ...string) {
		for _, command := range commands {
			all = append(all, edit{command, becomes, says})
		}
	}
	add(granted, "", "PING", "HSET limits window banana", "HSET limits window 99999999999999999999@99999999999999", "HSET limits grace 99999999999999999999@99999999999999",
		"HSET limits slack x", "HSET limits since x", "HSET limits first x", "HSET limits counted x", "HSET limits granted x", "HSET limits refresh_at x",
		"HSET limits ask_at x", "HSET limits ask_after x", "HSET limits reset_at 0", "HSET limits reset_at 999999999999999", "HSET limits paused_at 999999999999999", "SET remaining 5000", "HSET opens 9 x", "HSET opens 1 -1", "HSET spent someone x",
		"ZADD pods inf x", "ZADD out inf x", "ZADD holds inf x", "ZADD queue:0 inf x", "HSET backoffs 1 x", "SET slot:9 x")
	add(granted, "", wrongTypes("history", "audit", "sights", "storm")...) // they keep what was, and nobody asks them before a grant
	for _, key := range []string{"limits", "spent", "pods", "opens", "holds", "out", "queue:1", "backoffs"} {
		add(refused, `Redis refuses grants: identify:\{\w+\}:`+key+` holds another type than the queue's: .*DEL 'identify:\{\w+\}:`+key+`'`, wrongTypes(key)...)
	}
	add(refused, "remaining holds another type", "DEL remaining; LPUSH remaining x")
	add(refused, "slot:1 holds another type", "DEL slot:1; LPUSH slot:1 x")
	for field, values := range map[string]string{
		"seq": "x '' 1.5 99999999999999999", "total": "x '' -1 1.5 99999999999999999", "max_concurrency": "x '' 0 -1 +2 2.0 4097 99999999999999999",
		"reset_at": "x '' -1 99999999999999999", "closed_until": "x '' 99999999999999999", "period": "x '' 99999999999999999",
	} {
		for _, value := range strings.Fields(values) {
			text := strings.Trim(value, "'")
			says := regexp.QuoteMeta(fmt.Sprintf("}:limits %s is %q, which cannot be used: want a ", field, text)) + `.*\(redis-cli .* 'identify:`
			add(refused, says, "HSET limits "+field+" "+value)
		}
	}
	add(refused, `limits (seq|total|max_concurrency) is "", which cannot be used`, "HDEL limits seq", "HDEL limits total", "HDEL limits max_concurrency")
	for _, value := range []string{"x", "''", "1.5", "99999999999999999"} {
		add(refused, `remaining is ".*", which cannot be used: want a whole number of at most 15 digits`, "SET remaining "+value)
	}
	add(refused, "the budget is used up", "SET remaining 0 KEEPTTL", "SET remaining -5 KEEPTTL")
	add(refused, "the total is 0", "HSET limits total 0")
	add(refused, `spent 1 is "x", which cannot be used`, "HSET spent 1 x")
	add(refused, `opens 1 is ".*", which cannot be used`, "HSET opens 1 x", "HSET opens 1 inf", "HSET opens 1 9999999999999999")
	add(refused, "grants are paused", "HSET limits paused_until x", "HSET limits paused_until 99999999999999999", "HSET limits paused_until 9999999999999",
		"HSET limits paused_until ''", "HSET limits paused_until +5", "HSET limits paused_until 1.5", "HSET limits paused_until -9999999999999999")
	add(granted, "", "HSET limits paused_until 0", "HSET limits paused_until -5")
	add(refused, "every bucket is held closed", "HSET limits closed_until 9999999999999")
	add(heals, "", "HDEL limits epoch", "HSET limits epoch ''", "DEL remaining", "DEL limits")
	return all
}

func wrongTypes(keys ...string) (commands []string) {
	for _, key := range keys {
		commands = append(commands, fmt.Sprintf("DEL %s; SET %[1]s x", key))
	}
	return commands
}

func (e edit) do(t *testing.T, client *redis.Client, app string) {
	t.Helper()
	for command := range strings.SplitSeq(e.command, "; ") {
		var args []any
		for i, word := range strings.Fields(command) {
			if i == 1 {
				word = "identify:{" + app + "}:" + word
			}
			args = append(args, strings.Trim(word, "'"))
		}
		require.NoError(t, client.Do(t.Context(), args...).Err(), command)
	}
}

func TestTruth_WhatKeepsServersFromGrantingIsToldByAll(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client, url := server.Client(t), "redis://"+server.Addr
	for i, e := range edits() {
		t.Run(e.command, func(t *testing.T) {
			t.Parallel()
			app := fmt.Sprintf("a%d", i)
			s := serve(t, nil, "--redis", url, "--app", app, "--fresh-start", "--max-concurrency", "2")
			code, text := s.get("/?shard=0")
			require.Equal(t, 200, code, text)
			require.Equal(t, 200, s.call("GET", "/readyz", "").code)
			e.do(t, client, app)
			e.look(t, s, url, app)
		})
	}
}

// look compares what becomes of a caller with what those say who look.
func (e edit) look(t *testing.T, s *served, url, app string) {
	t.Helper()
	check := run(t, "check", "--redis", url, "--app", app)
	plan := run(t, "plan", "--shards", "2", "--crash-reserve", "0", "--redis", url, "--app", app)
	status := run(t, "status", "--redis", url, "--app", app)
	served := run(t, "check", "--url", s.URL)
	_, metrics := s.get("/metrics")
	state := page(t, s)
	wait := time.Minute
	if e.becomes == refused {
		wait = 3 * time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	got := call(ctx, s.URL, http.MethodGet, "/?shard=1", "")
	assert.Equal(t, e.becomes != refused, got.code == 200, "the caller: %d %s", got.code, got.text)

	told := fmt.Sprintf("check: %s%splan: %s%sstatus: %s%s", check.out, check.err, plan.out, plan.err, status.out, status.err)
	if e.becomes == granted {
		assert.Zero(t, check.code, told)
		assert.Zero(t, served.code, served.out)
		assert.Zero(t, plan.code, told)
		assert.Contains(t, metrics, "\ngatewayqueue_store_refuses 0\n")
		return
	}
	assert.NotZero(t, check.code, told)
	assert.Regexp(t, e.says, check.out)
	assert.NotZero(t, served.code, served.out)
	for again := check; again.code != served.code; { // the server itself may have healed it between the two
		require.Equal(t, heals, e.becomes, "%s%s", check.out, served.out)
		again, served = run(t, "check", "--redis", url, "--app", app), run(t, "check", "--url", s.URL)
		require.NoError(t, ctx.Err(), "%s%s", again.out, served.out)
	}
	if e.becomes == heals { // a hold of seconds is no reason not to deploy
		return
	}
	assert.NotZero(t, plan.code, told)
	stored := strings.Contains(check.out, "Redis refuses grants")
	assert.Equal(t, stored, strings.Contains(metrics, "\ngatewayqueue_store_refuses 1\n"), metrics)
	if !stored {
		return
	}
	assert.Contains(t, status.out, "grants are refused: identify:{"+app+"}:")
	assert.Contains(t, status.out, "type redis-cli -u "+url+" ")
	assert.Contains(t, state, `"reason":"store"`)
	if !strings.ContainsAny(e.command, "019") || strings.Contains(e.command, "limits") { // else of one bucket or shard
		assert.Eventually(t, func() bool { return s.call("GET", "/readyz", "").code == 503 }, 30*time.Second, 100*time.Millisecond)
	}
}

// page is the first picture that a server's page is sent.
func page(t *testing.T, s *served) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/dashboard/events", http.NoBody)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	for lines := bufio.NewReader(resp.Body); ; {
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		if strings.HasPrefix(line, "data:") {
			return line
		}
	}
}

func TestTruth_ServersThatTakeNoWrites(t *testing.T) {
	t.Parallel()
	for command, says := range map[string]string{
		"CONFIG SET maxmemory 1":             "Redis refuses grants: Redis takes no writes: OOM ",
		"CONFIG SET min-replicas-to-write 1": "Redis refuses grants: Redis takes no writes: NOREPLICAS ",
		"REPLICAOF 127.0.0.1 1":              "Redis refuses grants: Redis takes no writes: READONLY ",
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			url := "redis://" + server.Addr
			s := serve(t, nil, "--redis", url, "--app", "a", "--fresh-start")
			code, text := s.get("/?shard=0")
			require.Equal(t, 200, code, text)
			var args []any
			for word := range strings.FieldsSeq(command) {
				args = append(args, word)
			}
			require.NoError(t, server.Client(t).Do(t.Context(), args...).Err())
			got := run(t, "check", "--url", s.URL)
			assert.Equal(t, 2, got.code, got.out)
			assert.Contains(t, got.out, says)
			got = run(t, "plan", "--shards", "1", "--url", s.URL)
			assert.Equal(t, 3, got.code, got.out)
			assert.Contains(t, got.out, "unknown: Redis takes no writes: ")
			_, metrics := s.get("/metrics")
			assert.Contains(t, metrics, "\ngatewayqueue_store_refuses 1\n")
			got = run(t, "check", "--redis", url)
			assert.NotZero(t, got.code, got.out)
			if args[0] == "REPLICAOF" { // a reader knows that the pods use another server
				assert.Equal(t, 1, got.code, got.out)
				assert.Contains(t, got.out, "this Redis is a replica")
			}
		})
	}
}

// What gatewayqueue check and plan answer about real queues, and how they exit.

package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
	"github.com/gatewayqueue/gatewayqueue/rollout"
)

// silent is a server that takes connections and never answers.
func silent(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, listener.Close()) })
	return listener.Addr().String()
}

// asked is a queue in a real Redis for check and plan, with a limit, and with what
// prepare does to it.
func asked(t *testing.T, server *redistest.Server, app string, remaining int, prepare func(*redisqueue.RedisQueue)) {
	t.Helper()
	limit := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: remaining, ResetAfter: 4 * time.Hour, MaxConcurrency: 16}
	q, err := redisqueue.New(server.Client(t), redisqueue.WithApp(app), redisqueue.WithPod("pod-1"), redisqueue.WithFreshStart())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, q.Close()) })
	require.NoError(t, q.Update(t.Context(), limit))
	if prepare != nil {
		prepare(q)
	}
}

func TestCheckAndPlan_OfAQueueInAnyState(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	url := "redis://" + server.Addr
	client := server.Client(t)
	tell := func(refused int) func(*redisqueue.RedisQueue) {
		return func(q *redisqueue.RedisQueue) {
			seen := map[int]gatewayqueue.Sight{1: {State: gatewayqueue.ShardRefused, Since: time.Now(), Told: time.Now()}}
			_, err := q.TellSight(t.Context(), gatewayqueue.SightNews{Shards: seen, Refused: refused, Many: 10})
			require.NoError(t, err)
		}
	}
	hold := func(d time.Duration) func(*redisqueue.RedisQueue) {
		return func(q *redisqueue.RedisQueue) {
			now := client.Time(t.Context()).Val().UnixMilli()
			require.NoError(t, client.HSet(t.Context(), "identify:{held}:limits", "closed_until", now+d.Milliseconds()).Err())
		}
	}
	const rest = ` \| budget=\d+;200:;100:;0;1000 waiting=\d+;;;0 oldest=\d+s;900;3600;0 hold=\d+s;0;60;0 backoffs=0;0;;0 refused=\d+;;;0\n$`
	for _, c := range []struct {
		app       string
		remaining int
		prepare   func(*redisqueue.RedisQueue)
		code      int    // of check
		check     string // its line
		plan      string // the first line of the plan of 160 shards; its code is by the first word
	}{
		{"calm", 874, nil, 0, "OK - 874 of 1000 units left; nobody waits", `yes: 160 shards up in 47\.2 s, 714 of 1000 units left`},
		{"low", 150, nil, 1, "WARNING - 150 of 1000 units are left, fewer than 200; nobody waits", `no: the budget is too small: 26 of 160 shards would wait until its reset`},
		{"lower", 60, nil, 2, "CRITICAL - 60 of 1000 units are left, fewer than 100; nobody waits", `no: the budget is too small: 116 of 160 shards would wait until its reset`},
		{"reserved", 300, nil, 0, "OK - 300 of 1000 units left; nobody waits", `no: only 124 would be left of the 160 that are kept for crashes`},
		{"spent", 10, nil, 2, `CRITICAL - the budget is used up until its reset, for (4 h 0|3 h 59) min more; nobody waits`, `no: the budget is too small: 160 of 160 shards would wait until its reset`},
		{"storm", 874, tell(12), 1, "WARNING - Discord refuses sessions in numbers: 12 in the last minute; 874 of 1000 units left; nobody waits", `no: Discord refuses sessions in numbers, 12 in the last minute: .*`},
		{"breeze", 874, tell(3), 0, "OK - 874 of 1000 units left; nobody waits", `yes: 160 shards .*`},
		{"paused", 874, func(q *redisqueue.RedisQueue) {
			require.NoError(t, q.Pause(t.Context(), gatewayqueue.Order{Who: "anna", Why: "a|b"}))
		}, 1, "WARNING - grants are paused by anna: a/b; 874 of 1000 units left; nobody waits", `no: grants are paused by anna: a\|b`},
		{"held", 874, hold(30 * time.Second), 1, `WARNING - every bucket is held closed for (30\.0|2\d\.\d) s; 874 of 1000 units left; nobody waits`, `yes: 160 shards up in 1 min 1\d s, 714 of 1000 units left`},
		{"held", 874, hold(time.Hour), 2, `CRITICAL - every bucket is held closed for (1 h 0 min|59 min \d+ s); 874 of 1000 units left; nobody waits`, `no: every bucket is held closed`},
	} {
		asked(t, server, c.app, c.remaining, c.prepare)
		got := run(t, "check", "--redis", url, "--app", c.app)
		assert.Equal(t, c.code, got.code, c.app)
		assert.Empty(t, got.err, c.app)
		assert.Regexp(t, `^GATEWAYQUEUE `+c.check+rest, got.out, c.app)
		got = run(t, "plan", "--redis", url, "--app", c.app, "--shards", "160")
		assert.Equal(t, map[byte]int{'y': 0, 'n': 1}[c.plan[0]], got.code, c.app)
		assert.Empty(t, got.err, c.app)
		assert.Regexp(t, `^`+c.plan+`\n`, got.out, c.app)
	}

	got := run(t, "check", "--redis", url, "--app", "paused", "--ignore", "paused,storm", "--json")
	assert.Zero(t, got.code)
	var answer struct {
		State   string
		Code    int
		Figures struct{ Budget int }
	}
	require.NoError(t, json.Unmarshal([]byte(got.out), &answer))
	assert.Equal(t, "OK", answer.State)
	assert.Equal(t, 874, answer.Figures.Budget)

	got = run(t, "plan", "--redis", url, "--app", "reserved", "--shards", "160", "--json")
	assert.Equal(t, 1, got.code)
	var plan rollout.Plan
	require.NoError(t, json.Unmarshal([]byte(got.out), &plan))
	assert.Equal(t, rollout.ReasonCrashReserve, plan.Reason)
	assert.Equal(t, 16, plan.Reserve, "that of 16 buckets")
	assert.WithinDuration(t, time.Now().Add(4*time.Hour), plan.Next, time.Minute)
	for line, code := range map[string]int{
		"--shards 160 --crash-reserve 0": 0, "--shards 160 --crash-reserve 12%": 0, "--shards 160 --crash-reserve 13%": 1, "--shards 160 --at +5h": 0,
		"--shards 100": 0, "--shards 100 --within 10s": 1, "--shards 2000 --at +5h": 1,
	} {
		got := run(t, append([]string{"plan", "--redis", url, "--app", "reserved"}, strings.Fields(line)...)...)
		assert.Equal(t, code, got.code, "%s: %s", line, got.out+got.err)
	}
}

func TestCheckAndPlan_WhereThereIsNoAnswer(t *testing.T) {
	t.Parallel()
	server, locked := redistest.Start(t), redistest.Start(t, "--requirepass", "s3cret")
	slow := silent(t)
	s := serve(t, []string{"GATEWAYQUEUE_AUTH_TOKEN=" + authToken}, "--fresh-start")
	source := func(context.Context) (gatewayqueue.SessionStartLimit, error) {
		return gatewayqueue.SessionStartLimit{}, &redisqueue.SourceError{Status: 429, RetryAfter: time.Hour, Err: redisqueue.ErrRateLimited}
	}
	unknown := redistest.Start(t)
	q, err := redisqueue.New(unknown.Client(t), redisqueue.WithApp("unknown"), redisqueue.WithLimitSource(source))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, q.Close()) })
	go q.Wait(t.Context(), 0) //nolint:errcheck // It ends with the test.
	require.Eventually(t, func() bool {
		return unknown.Client(t).HExists(t.Context(), "identify:{unknown}:limits", "source_error").Val()
	}, time.Minute, 20*time.Millisecond)
	for _, c := range []struct {
		flags string
		code  int // of check; that of plan is 3
		want  string
	}{
		{"--redis redis://127.0.0.1:1", 2, "nothing listens there: start redis-server"},
		{"--redis redis://x.invalid", 2, "there is no such host"},
		{"--redis redis://" + slow + " --timeout 300ms", 2, "no answer within 300ms"},
		{"--url http://" + slow + " --timeout 300ms", 2, "no answer within 300ms"},
		{"--url http://127.0.0.1:1", 2, "nothing listens there: start gatewayqueue serve"},
		{"--redis redis://" + unknown.Addr, 2, "the limits are not known, and the limit source fails: rate limited"},
		{"--redis redis://" + server.Addr, 3, "there is no queue in Redis at "},
		{"--redis redis://" + locked.Addr, 3, "put the password into the URL"},
		{"--redis redis://:wrong@" + locked.Addr, 3, "are not this server's"},
		{"--url " + s.URL, 3, "the server asks for a token (401)"},
		{"--url " + s.URL + "/x", 3, "there is no queue at this path"},
		{"--url queue:8080", 3, "--url is no address of a server"},
		{"--redis http://h", 3, "is not one: "},
		{"--url http://a --redis redis://b", 3, "--url and --redis do not go together"},
		{"--timeout 0s", 3, "--timeout is \"0s\": want a time with its unit from 100ms to 10m"},
		{"--app=", 3, "--app is empty"},
		{"--nothing", 3, "there is no flag --nothing"},
		{"now", 3, `argument "now" is not wanted`},
	} {
		begun := time.Now()
		got := run(t, append([]string{"check"}, strings.Fields(c.flags)...)...)
		if strings.Contains(c.flags, "300ms") {
			assert.Less(t, time.Since(begun), 5*time.Second, "%s: it has its own 300 ms, and not those of what it asks (5 s and more)", c.flags)
		}
		assert.Equal(t, c.code, got.code, c.flags)
		assert.Empty(t, got.err, c.flags)
		assert.Regexp(t, fmt.Sprintf(`^GATEWAYQUEUE %s - .*%s`, map[int]string{2: "CRITICAL", 3: "UNKNOWN"}[c.code], regexp.QuoteMeta(c.want)), got.out, c.flags)
		assert.Equal(t, 1, strings.Count(got.out, "\n"), got.out)
		assert.NotContains(t, got.out, "wrong@")

		got = run(t, append([]string{"plan", "--shards", "4"}, strings.Fields(c.flags)...)...)
		assert.Equal(t, 3, got.code, c.flags)
		assert.Contains(t, got.out+got.err, strings.Replace(c.want, "check", "plan", 1), c.flags)
		assert.Equal(t, 1, strings.Count(got.out+got.err, "\n"), got.out+got.err)
	}
	for line, want := range map[string]string{
		"check --warn-budget 101%": `--warn-budget is "101%": want a number of units such as 250, or a share of the total such as 25%`,
		"check --warn-oldest 2h":   "--warn-oldest is 2h: want at most --critical-oldest, which is 1h",
		"check --ignore budget":    `--ignore is "budget": want hold, paused, storm, backoff, source, replica`,
		"plan":                     "--shards is missing: want how many shards are to be deployed",
		"plan --shards 0":          `--shards is "0": want a whole number from 1 to 100000`,
		"plan --shards 1 --at 9999-01-01T00:00:00Z": `--at is "9999-01-01T00:00:00Z": want a moment within 366 days`,
		"plan --shards 1 --at 2020-01-01T00:00:00Z": `--at is "2020-01-01T00:00:00Z": want a moment that has not passed yet: it is `,
		"plan --shards 1 --at soon":                 `--at is "soon": want a time such as 2026-11-28T03:00:00Z or 03:00, or how long from now, such as +2h`,
		"plan --shards 1 --crash-reserve many":      `--crash-reserve is "many": want a number of units such as 250, or a share of the total such as 25%`,
	} {
		got := run(t, strings.Fields(line)...)
		assert.Equal(t, 3, got.code, line)
		assert.Contains(t, got.out+got.err, want, line)
	}
}

func TestCheckAndPlan_OfAServer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	args := []string{"--redis", "redis://" + server.Addr, "--fresh-start", "--total", "500", "--max-concurrency", "4"}
	s := serve(t, nil, args...)
	require.Equal(t, 201, s.call("POST", "/v1/permits", `{"shard":7}`).code)
	got := run(t, "check", "--url", s.URL)
	assert.Equal(t, 0, got.code, got.out)
	assert.Regexp(t, `^GATEWAYQUEUE OK - 499 of 500 units left; nobody waits \| budget=499;100:;50:;0;500 `, got.out)
	got = run(t, "plan", "--url", s.URL, "--shards", "40")
	assert.Equal(t, 0, got.code, got.out)
	assert.Regexp(t, `^yes: 40 shards up in \d+\.\d s, 459 of 500 units left\n`, got.out)

	over := s.call("GET", "/v1/plan?shards=40", "")
	require.Equal(t, 200, over.code, over.text)
	var plan rollout.Plan
	require.NoError(t, json.Unmarshal([]byte(over.text), &plan))
	assert.True(t, plan.OK)
	assert.Equal(t, 459, plan.Left)

	q, err := redisqueue.New(server.Client(t), redisqueue.WithPod("proxy"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, q.Close()) })
	_, err = q.TellSight(t.Context(), gatewayqueue.SightNews{Refused: 12, Many: 10})
	require.NoError(t, err)
	got = run(t, "check", "--url", s.URL)
	assert.Equal(t, 1, got.code)
	assert.Contains(t, got.out, "WARNING - Discord refuses sessions in numbers: 12 in the last minute", "a server says so, too")
	assert.Equal(t, 1, run(t, "plan", "--url", s.URL, "--shards", "40").code)
}

// What docs/deploying.md shows of the program is what it prints, but for the time.
func TestDeploying_ShowsWhatTheProgramPrints(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/deploying.md")
	require.NoError(t, err)
	server := redistest.Start(t)
	asked(t, server, "1234567890", 874, nil)
	timeless := func(text string) string {
		text = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+[A-Z]`).ReplaceAllString(text, "then")
		return strings.ReplaceAll(text, "3 h 56 min", "3 h 57 min")
	}
	shown := 0
	for _, block := range strings.Split(string(page), "```console\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		for _, example := range strings.Split(block, "$ gatewayqueue ")[1:] {
			line, want, _ := strings.Cut(example, "\n")
			got := run(t, strings.Fields(strings.Replace(line, "127.0.0.1:6379", server.Addr, 1))...)
			assert.Empty(t, got.err, line)
			assert.Equal(t, timeless(want), timeless(got.out), line)
			shown++
		}
	}
	assert.Equal(t, 3, shown)
}

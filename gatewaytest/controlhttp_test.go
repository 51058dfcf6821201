package gatewaytest_test

import (
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// ask sends "METHOD /control/path?query" and returns the status and the answer.
func ask(t *testing.T, s *gatewaytest.Server, line string) (int, map[string]any) {
	t.Helper()
	method, path, _ := strings.Cut(line, " ")
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, nil)
	require.NoError(t, err)
	var answer map[string]any
	return doJSON(t, req, &answer), answer
}

func TestControl_DoesWhatItsMethodsDo(t *testing.T) {
	s := newServer(t, gatewaytest.WithHosts(2), gatewaytest.WithWindow(0))
	told := func(sessions int, line string) {
		t.Helper()
		code, answer := ask(t, s, line)
		assert.Equal(t, 200, code, "%s: %v", line, answer)
		assert.EqualValues(t, sessions, answer["sessions"], line)
	}
	done := func(line string) {
		t.Helper()
		code, answer := ask(t, s, line)
		assert.Equal(t, 200, code, "%s: %v", line, answer)
		assert.Empty(t, answer, line)
	}
	up := func(shard int) *client {
		c, _ := bringUp(t, s, shard, 3)
		require.NoError(t, s.WaitReady(soon(t), 1))
		return c
	}

	c := up(0)
	told(1, "POST /control/heartbeat?shards=0")
	assert.Equal(t, 1, c.read().Op)
	told(0, "POST /control/heartbeat?shards=1,2")
	told(1, "POST /control/reconnect")
	assert.Equal(t, 7, c.read().Op)

	c = up(1)
	told(1, "POST /control/invalidate?shards=1&resumable=true")
	p := c.read()
	assert.Equal(t, 9, p.Op)
	assert.JSONEq(t, "true", string(p.D))

	c = up(2)
	told(1, "POST /control/close?code=4000&shards=2")
	assert.Equal(t, 4000, c.closeCode())
	told(len(s.Sessions()), "POST /control/restart")
	assert.Empty(t, s.Sessions())

	c = up(0)
	told(1, "POST /control/drop")
	assert.Len(t, s.Sessions(), 1, "it can be resumed")
	assert.Equal(t, -1, c.closeCode())
	told(1, "POST /control/drop?resumable=false")
	assert.Empty(t, s.Sessions())

	_, session := bringUp(t, s, 0, 3)
	done("POST /control/refuse-resumes?for=1m")
	c = dial(t, session.ResumeGatewayURL)
	c.resume(session.SessionID, 1)
	assert.Equal(t, 9, c.read().Op)
	done("POST /control/refuse-resumes?for=0s")

	done("POST /control/limit-gateway-bot?for=1m")
	status, _ := getBot(t, s.URL()+"/gateway/bot", "Bot "+s.Token())
	assert.Equal(t, 429, status)
	done("POST /control/limit-gateway-bot?for=0s")
	status, _ = getBot(t, s.URL()+"/gateway/bot", "Bot "+s.Token())
	assert.Equal(t, 200, status)

	done("POST /control/fail?kind=refuse-connection&first=1")
	_, _, err := websocket.Dial(soon(t), s.GatewayURL(), nil)
	require.ErrorContains(t, err, "503")
	done("POST /control/fail?kind=refuse-identify&chance=1")
	c = dial(t, s.GatewayURL())
	c.identify(1, 3)
	assert.Equal(t, 9, c.read().Op)
	done("POST /control/fail?kind=refuse-identify&chance=0")

	told(0, "POST /control/host?host=0")
	done("POST /control/host?host=0&up=true")

	code, limits := ask(t, s, "POST /control/limits?total=50&remaining=7&max_concurrency=4")
	assert.Equal(t, 200, code)
	assert.EqualValues(t, 7, limits["remaining"])
	now := s.Judge().Limit()
	assert.Equal(t, []int{50, 7, 4}, []int{now.Total, now.Remaining, now.MaxConcurrency})

	done("POST /control/delay?ready=never")
	c = dial(t, s.GatewayURL())
	c.identify(2, 3)
	code, answer := ask(t, s, "GET /control/wait?ready=99&within=50ms")
	assert.Equal(t, 504, code)
	assert.Regexp(t, `\d+ of 99 shards are ready: 50ms are over`, answer["error"])
}

func TestControl_WaitAnswersWhenSoManyAreReady(t *testing.T) {
	s := newServer(t, gatewaytest.WithReadyDelay(gatewaytest.Fixed(50*time.Millisecond)))
	c := dial(t, s.GatewayURL())
	c.identify(0, 1)
	code, answer := ask(t, s, "GET /control/wait?ready=1")
	assert.Equal(t, 200, code)
	assert.Equal(t, []any{0.0}, answer["ready"])
	assert.Equal(t, true, answer["ok"])
}

func TestControl_TheVerdictIsTheStatus(t *testing.T) {
	s := newServer(t, gatewaytest.WithWindow(time.Hour))
	code, _ := ask(t, s, "GET /control/verdict")
	assert.Equal(t, 200, code)
	s.Judge().Identify(0)
	s.Judge().Identify(0)
	code, answer := ask(t, s, "GET /control/verdict")
	assert.Equal(t, 409, code)
	assert.EqualValues(t, 1, answer["verdict"].(map[string]any)["violations"])
}

func TestControl_BadRequestsAreNamed(t *testing.T) {
	s := newServer(t)
	for line, want := range map[string]string{
		"POST /control/restart?now=1":                        `400 there is no parameter "now": want none`,
		"POST /control/reconnect?shard=1":                    `400 there is no parameter "shard": want [shards]`,
		"POST /control/reconnect?shards=1&shards=2":          `400 shards is given 2 times: want it once`,
		"POST /control/reconnect?shards=":                    `400 gatewayqueue: shards is "": want shard IDs of 0 or more, with commas between them`,
		"POST /control/reconnect?shards=1,x":                 `400 gatewayqueue: shards is "1,x": want shard IDs of 0 or more, with commas between them`,
		"POST /control/reconnect?shards=-1":                  `400 gatewayqueue: shards is "-1": want shard IDs of 0 or more, with commas between them`,
		"POST /control/invalidate?resumable=yes":             `400 gatewayqueue: resumable is "yes": want one of true, false`,
		"POST /control/close":                                `400 gatewayqueue: code is missing: want a whole number from 1000 to 4999`,
		"POST /control/close?code=4006":                      `400 gatewayqueue: close code is 4006: want 1000, 1001, 4000 to 4005, or 4007 to 4014`,
		"POST /control/refuse-resumes":                       `400 gatewayqueue: for is missing: want a time with its unit from 0s to 24h0m0s, such as 30s`,
		"POST /control/refuse-resumes?for=60":                `400 gatewayqueue: for is "60": want a time with its unit from 0s to 24h0m0s, such as 30s`,
		"POST /control/limit-gateway-bot?for=-1s":            `400 gatewayqueue: for is "-1s": want a time with its unit from 0s to 24h0m0s, such as 30s`,
		"POST /control/delay?ready=2s-1s":                    `400 gatewayqueue: ready is "2s-1s": want a time with its unit such as 300ms, a range such as 100ms-2s, or never`,
		"POST /control/delay?hello=soon":                     `400 gatewayqueue: hello is "soon": want a time with its unit such as 300ms, a range such as 100ms-2s, or never`,
		"POST /control/fail":                                 `400 gatewayqueue: kind is missing: want one of refuse-connection, drop-before-hello, drop-after-hello, drop-before-identify, drop-after-identify, refuse-identify, reconnect-after-ready`,
		"POST /control/fail?kind=refuse-identify":            `400 gatewayqueue: first is missing: want either first or chance; chance=0 ends the failure`,
		"POST /control/fail?kind=refuse-identify&chance=2":   `400 gatewayqueue: chance is "2": want a number from 0 to 1`,
		"POST /control/fail?kind=refuse-identify&chance=NaN": `400 gatewayqueue: chance is "NaN": want a number from 0 to 1`,
		"POST /control/host?host=0":                          `400 gatewayqueue: gateway host is 0: want 0 or more, and less than the number of hosts, 0`,
		"POST /control/limits?max_concurrency=0":             `400 gatewayqueue: max_concurrency is "0": want a whole number from 1 to 65536`,
		"POST /control/limits?total=0&remaining=x":           `400 gatewayqueue: total is "0": want a whole number from 1 to 10000000`,
		"POST /control/host?host=100":                        `400 gatewayqueue: host is "100": want a whole number from 0 to 99`,
		"POST /control/limits?remaining=2000":                `400 gatewayqueue: remaining is 2000: want at most total, 1000`,
		"POST /control/limits?max_concurrency=x":             `400 gatewayqueue: max_concurrency is "x": want a whole number from 1 to 65536`,
		"GET /control/wait":                                  `400 gatewayqueue: ready is missing: want a whole number from 0 to 1073741824`,
		"GET /control/wait?ready=1&within=2h":                `400 gatewayqueue: within is "2h": want a time with its unit from 1ms to 1h0m0s, such as 30s`,
		"GET /control/restart":                               `405 /control/restart takes POST, not GET`,
		"POST /control/state":                                `405 /control/state takes GET, not POST`,
		"POST /control/explode":                              `404 there is no /control/explode: GET /control lists what there is`,
		"GET /control/":                                      `404 there is no /control/: GET /control lists what there is`,
	} {
		code, answer := ask(t, s, line)
		wantCode, wantError, _ := strings.Cut(want, " ")
		assert.Equal(t, wantCode, strconv.Itoa(code), line)
		assert.Equal(t, wantError, answer["error"], line)
	}
	assert.Zero(t, s.Stats(), "nothing was done")
}

// A body that is no form would be passed over, and everything be told.
func TestControl_OtherBodiesAreRefused(t *testing.T) {
	s := newServer(t)
	for kind, body := range map[string]string{
		"application/json": `{"shards":[0]}`, "text/plain": "shards=0", "": "shards=0",
		"multipart/form-data; boundary=x": "--x\r\nContent-Disposition: form-data; name=\"shards\"\r\n\r\n0\r\n--x--\r\n",
	} {
		for _, path := range []string{"/control/invalidate", "/control/drop", "/control/limits", "/control/delay"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+path, strings.NewReader(body))
			require.NoError(t, err)
			req.Header.Set("Content-Type", kind)
			var answer map[string]any
			assert.Equal(t, 400, doJSON(t, req, &answer), "%s %s", kind, path)
			assert.Contains(t, answer["error"], "application/x-www-form-urlencoded")
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/control/reconnect", strings.NewReader("shards=0,1"))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var answer map[string]any
	assert.Equal(t, 200, doJSON(t, req, &answer))
}

// A client that waits over HTTP for what has just come is answered, though the server closes.
func TestControl_CloseAnswersThoseWhoWait(t *testing.T) {
	for range 20 {
		s := newServer(t)
		answered := make(chan int, 2)
		for _, ready := range []string{"1", "99"} {
			go func() {
				res, err := http.Get(s.URL() + "/control/wait?ready=" + ready)
				if err != nil {
					answered <- 0
					return
				}
				defer func() { _ = res.Body.Close() }()
				answered <- res.StatusCode
			}()
		}
		require.Eventually(t, func() bool { return s.Waiting() == 2 }, time.Minute, time.Millisecond)
		bringUp(t, s, 0, 1)
		require.NoError(t, s.WaitReady(soon(t), 1))
		s.Close()
		assert.Equal(t, 200+504, <-answered+<-answered)
	}
}

func TestControl_ThePageHasEveryRoute(t *testing.T) {
	s := newServer(t)
	var all []struct {
		Method, Path, What string
		Parameters         []string
	}
	getJSON(t, s.URL()+"/control", &all)
	require.Greater(t, len(all), 10)
	page, err := os.ReadFile("../docs/fake-discord.md")
	require.NoError(t, err)
	for _, c := range all {
		parameters := strings.Join(c.Parameters, ", ")
		row := "| " + c.Method + " | `" + c.Path + "` | " + parameters + " | " + c.What + " |\n"
		if !strings.Contains(string(page), row) { // not assert's, which would print the page
			t.Errorf("the page lacks %s", row)
		}
	}
}

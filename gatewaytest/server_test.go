// The server as an honest gateway: its HTTP side, IDENTIFY to READY, RESUME,
// and what it closes connections for.

package gatewaytest_test

import (
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// newServer is a server with many buckets, so that a test meets a window only
// if it means to.
func newServer(t *testing.T, opts ...gatewaytest.Option) *gatewaytest.Server {
	s := gatewaytest.NewServer(append([]gatewaytest.Option{gatewaytest.WithLimit(limit(100, 16))}, opts...)...)
	t.Cleanup(s.Close)
	return s
}

func getBot(t *testing.T, url, authorization string) (status int, limit gatewayqueue.SessionStartLimit) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", authorization)
	var answer struct {
		URL    string                         `json:"url"`
		Shards int                            `json:"shards"`
		Limit  gatewayqueue.SessionStartLimit `json:"session_start_limit"`
	}
	status = doJSON(t, req, &answer)
	return status, answer.Limit
}

func TestGatewayBotReportsALimitThatFallsWithEachIdentify(t *testing.T) {
	s := newServer(t)
	for _, prefix := range []string{"", "/api", "/api/v9", "/api/v10"} {
		status, got := getBot(t, s.URL()+prefix+"/gateway/bot", "Bot "+s.Token())
		assert.Equal(t, http.StatusOK, status, prefix)
		assert.Equal(t, 100, got.Remaining)
		assert.Equal(t, 16, got.MaxConcurrency)
		assert.InDelta(t, time.Hour, got.ResetAfter, float64(time.Minute))
	}
	bringUp(t, s, 0, 1)
	_, got := getBot(t, s.URL()+"/api/v10/gateway/bot", "Bot "+s.Token())
	assert.Equal(t, 99, got.Remaining)

	s.Judge().SetLimit(limit(5, 2))
	_, got = getBot(t, s.URL()+"/gateway/bot", "Bot "+s.Token())
	assert.Equal(t, 5, got.Remaining)
	assert.Equal(t, 2, got.MaxConcurrency)
}

func TestGatewayBotWantsTheBotsToken(t *testing.T) {
	s := newServer(t)
	for _, authorization := range []string{"", s.Token(), "Bot wrong", "Bearer " + s.Token()} {
		status, _ := getBot(t, s.URL()+"/gateway/bot", authorization)
		assert.Equal(t, http.StatusUnauthorized, status, authorization)
	}
}

func TestOtherRoutesAreNotFound(t *testing.T) {
	s := newServer(t)
	for _, path := range []string{"/", "/api/v10", "/gateways", "/api/gateway/bot/more"} {
		status, _ := getBot(t, s.URL()+path, "Bot "+s.Token())
		assert.Equal(t, http.StatusNotFound, status, path)
	}
	var answer struct{ URL string }
	getJSON(t, s.URL()+"/api/v9/gateway", &answer)
	assert.Equal(t, s.GatewayURL(), answer.URL)
	var verdict gatewaytest.Verdict
	getJSON(t, s.URL()+"/judge/verdict", &verdict)
	assert.Equal(t, 100, verdict.Remaining)
}

func TestIdentifyIsAnsweredWithReady(t *testing.T) {
	s := newServer(t)
	c := dial(t, s.GatewayURL()+"/?v=9&encoding=json")
	c.send(2, map[string]any{"token": "Bot " + s.Token(), "shard": []int{3, 8}})
	got := c.ready()
	assert.Equal(t, 9, got.V)
	assert.Equal(t, [2]int{3, 8}, got.Shard)
	assert.Equal(t, gatewaytest.ApplicationID, got.User.ID)
	assert.Equal(t, gatewaytest.ApplicationID, got.Application.ID)
	assert.NotNil(t, got.Guilds)
	assert.True(t, strings.HasPrefix(got.ResumeGatewayURL, "ws://localhost:"), "another host than %s", s.GatewayURL())

	require.NoError(t, s.WaitReady(soon(t), 1))
	assert.Equal(t, []gatewaytest.Session{{ID: got.SessionID, Shard: 3, Shards: 8, Connected: true, Ready: true}}, s.Sessions())
	assert.Equal(t, []int{3}, s.ReadyShards())
	c.send(1, 1)
	assert.Equal(t, 11, c.read().Op, "heartbeat ACK")
}

func TestIdentifyWithoutAShardIsShardZeroOfOne(t *testing.T) {
	s := newServer(t)
	c := dial(t, s.GatewayURL())
	c.send(2, map[string]any{"token": s.Token()})
	assert.Equal(t, [2]int{0, 1}, c.ready().Shard)
}

func TestOneShardMayHaveTwoSessions(t *testing.T) {
	s := newServer(t, gatewaytest.WithWindow(0))
	bringUp(t, s, 1, 2)
	bringUp(t, s, 1, 2)
	require.Eventually(t, func() bool { return len(s.Sessions()) == 2 && s.Sessions()[1].Ready && s.Sessions()[0].Ready },
		5*time.Second, time.Millisecond)
	assert.Equal(t, []int{1}, s.ReadyShards())
}

func TestSecondIdentifyOfABucketInsideTheWindowIsAnsweredWithInvalidSession(t *testing.T) {
	s := newServer(t)
	bringUp(t, s, 0, 32)
	c := dial(t, s.GatewayURL())
	c.identify(16, 32)
	assert.Equal(t, "false", c.invalidSession())
	c.identify(1, 32)
	c.ready() // The connection is still good.

	assert.Equal(t, 1, s.InvalidSessions())
	v := s.Judge().Verdict()
	assert.Equal(t, 1, v.Violations)
	assert.Equal(t, map[int]int{0: 1, 16: 1, 1: 1}, v.Shards)
}

func TestIdentifyPastTheDailyLimitEndsEverySessionAndVoidsTheToken(t *testing.T) {
	s := newServer(t, gatewaytest.WithLimit(limit(2, 16)))
	first, session := bringUp(t, s, 0, 3)
	second, _ := bringUp(t, s, 1, 3)
	third := dial(t, s.GatewayURL())
	third.identify(2, 3)
	for _, c := range []*client{third, first, second} {
		assert.Equal(t, 4004, c.closeCode())
	}
	assert.Empty(t, s.Sessions())
	assert.Equal(t, 1, s.Stats().Disasters)
	assert.Equal(t, 1, s.Judge().Verdict().OverBudget)

	late := dial(t, s.GatewayURL())
	late.identify(0, 3)
	assert.Equal(t, 4004, late.closeCode())
	late = dial(t, s.GatewayURL())
	late.resume(session.SessionID, 1)
	assert.Equal(t, 4004, late.closeCode())
	status, _ := getBot(t, s.URL()+"/gateway/bot", "Bot "+s.Token())
	assert.Equal(t, http.StatusUnauthorized, status)
	assert.Equal(t, 3, s.Judge().Verdict().Identifies, "a void token identifies nobody")
}

func TestMisuseIsAnsweredWithDiscordsCloseCodes(t *testing.T) {
	token := gatewaytest.DefaultToken
	identify := func(token string, shard ...int) func(*client) {
		return func(c *client) { c.send(2, map[string]any{"token": token, "shard": shard}) }
	}
	again := func(next func(*client)) func(*client) {
		return func(c *client) { identify(token, 0, 1)(c); c.ready(); next(c) }
	}
	text := func(s string) func(*client) {
		return func(c *client) { require.NoError(c.t, c.ws.Write(soon(c.t), websocket.MessageText, []byte(s))) }
	}
	for name, test := range map[string]struct {
		do   func(*client)
		code int
	}{
		"no JSON":               {text("hello"), 4002},
		"no object in d":        {text(`{"op":2,"d":7}`), 4002},
		"unknown opcode":        {func(c *client) { c.send(5, nil) }, 4001},
		"presence first":        {func(c *client) { c.send(3, nil) }, 4003},
		"wrong token":           {identify("wrong", 0, 1), 4004},
		"resume, wrong token":   {func(c *client) { c.send(6, map[string]any{"token": "wrong"}) }, 4004},
		"identified twice":      {again(identify(token, 0, 1)), 4005},
		"resumed as well":       {again(func(c *client) { c.resume("x", 1) }), 4005},
		"shard is the count":    {identify(token, 4, 4), 4010},
		"negative shard":        {identify(token, -1, 4), 4010},
		"one number for shard":  {identify(token, 4), 4010},
		"three numbers":         {identify(token, 0, 1, 2), 4010},
		"empty array for shard": {func(c *client) { c.send(2, map[string]any{"token": token, "shard": []int{}}) }, 4010},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			c := dial(t, s.GatewayURL())
			test.do(c)
			assert.Equal(t, test.code, c.closeCode())
			assert.LessOrEqual(t, s.Judge().Verdict().Identifies, 1, "nothing of this counts")
		})
	}
	for query, code := range map[string]int{"?v=5": 4012, "?v=x": 4012, "?v=10&encoding=xml": 4002} {
		s := newServer(t)
		assert.Equal(t, code, dialOnly(t, s.GatewayURL()+"/"+query).closeCode(), query)
	}
}

func TestPresenceAfterReadyIsIgnored(t *testing.T) {
	s := newServer(t)
	c, _ := bringUp(t, s, 0, 1)
	c.send(3, map[string]any{"status": "online"})
	c.send(1, nil)
	assert.Equal(t, 11, c.read().Op)
}

func TestSilentConnectionIsClosedAndItsSessionEnds(t *testing.T) {
	s := newServer(t, gatewaytest.WithHeartbeat(250*time.Millisecond))
	c, session := bringUp(t, s, 0, 1)
	assert.Equal(t, 4009, c.closeCode())
	assert.Equal(t, 1, s.Stats().Timeouts)
	c = dial(t, s.ResumeURL())
	c.resume(session.SessionID, 1)
	assert.Equal(t, "false", c.invalidSession())
}

func TestConnectionThatSendsHeartbeatsStays(t *testing.T) {
	const interval = 250 * time.Millisecond
	// A machine so busy that the test itself is late with a heartbeat shows
	// nothing; it gets another try.
	for range 10 {
		s := newServer(t, gatewaytest.WithHeartbeat(interval))
		c, _ := bringUp(t, s, 0, 1)
		start, last, late := time.Now(), time.Now(), false
		for !late && time.Since(start) < 4*interval {
			time.Sleep(interval / 4)
			err := c.ws.Write(soon(t), websocket.MessageText, []byte(`{"op":1,"d":1}`))
			var ack []byte
			if err == nil {
				_, ack, err = c.ws.Read(soon(t))
			}
			late = time.Since(last) > interval
			last = time.Now()
			if !late {
				require.NoError(t, err)
				assert.Contains(t, string(ack), `"op":11`)
			}
		}
		if !late {
			assert.Zero(t, s.Stats().Timeouts)
			return
		}
	}
	t.Skip("too busy a machine to send heartbeats in time")
}

func TestDelaysAreKept(t *testing.T) {
	const step = 60 * time.Millisecond
	s := newServer(t, gatewaytest.WithLatency(gatewaytest.Fixed(step)),
		gatewaytest.WithTransit(gatewaytest.Fixed(step)), gatewaytest.WithReadyDelay(gatewaytest.Fixed(step)))
	start := time.Now()
	c := dial(t, s.GatewayURL())
	hello := time.Now()
	assert.GreaterOrEqual(t, hello.Sub(start), step)
	c.identify(0, 1)
	c.ready()
	assert.GreaterOrEqual(t, time.Since(hello), 2*step)
	assert.GreaterOrEqual(t, s.Judge().Record()[0].At, 2*step, "the judge notes the arrival")
}

func TestCloseLeavesNoGoroutineBehind(t *testing.T) {
	http.DefaultClient.CloseIdleConnections()
	before := runtime.NumGoroutine()
	s := gatewaytest.NewServer(gatewaytest.WithLimit(limit(100, 16)))
	c, _ := bringUp(t, s, 0, 1)
	dial(t, s.GatewayURL())
	slow := gatewaytest.NewServer(gatewaytest.WithLatency(gatewaytest.Fixed(time.Hour)))
	failed := make(chan error)
	go func() {
		_, _, err := websocket.Dial(soon(t), slow.GatewayURL(), nil)
		failed <- err
	}()
	require.Eventually(t, func() bool { return slow.Stats().Connections == 1 }, 5*time.Second, time.Millisecond)
	slow.Close()
	assert.Error(t, <-failed)
	s.Close()
	s.Close()
	assert.Equal(t, -1, c.closeCode())
	assert.ErrorContains(t, s.WaitReady(soon(t), 1), "the server is closed")
	http.DefaultClient.CloseIdleConnections()
	// The last to end are the HTTP server's own, on connections it has closed.
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

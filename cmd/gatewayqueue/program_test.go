// The program as deployed: two servers on one Redis behind a balancer. Each
// sentence of docs/http.md, and of "Serving" in docs/operations.md, is tried
// across them.

package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/balancetest"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// deployment is two servers of one queue.
type deployment struct {
	t     *testing.T
	redis *redistest.Server
	args  []string
	env   []string
	all   [2]*served
}

func deploy(t *testing.T, args ...string) *deployment {
	t.Helper()
	d := &deployment{t: t, redis: redistest.Start(t)}
	d.args = append([]string{"--redis", "redis://" + d.redis.Addr, "--fresh-start"}, args...)
	for i := range d.all {
		d.start(i)
	}
	return d
}

// seed has the queue know its limits, which it does once somebody has waited.
func (d *deployment) seed() {
	d.t.Helper()
	r := d.all[0].call("POST", "/v1/permits", `{"shard":7}`)
	require.Equal(d.t, 201, r.code, r.text)
	require.Equal(d.t, 204, d.all[1].call("DELETE", "/v1/permits/"+r.ID, "").code)
}

// start starts server i, also in the place of one that has ended.
func (d *deployment) start(i int) {
	d.t.Helper()
	d.all[i] = serve(d.t, d.env, append([]string{"--pod", []string{"a", "b"}[i]}, d.args...)...)
}

func (d *deployment) client() *redis.Client { return d.redis.Client(d.t) }

// reply is an answer of /v1; code is 0 where the connection was dropped.
type reply struct {
	code   int
	header http.Header
	text   string

	ID         string `json:"id"`
	Shard      *int   `json:"shard"`
	GoodFor    int64  `json:"good_for_ms"`
	Held       bool   `json:"held"`
	Closed     int64  `json:"closed_ms"`
	Waiting    bool   `json:"waiting"`
	KeepsPlace bool   `json:"keeps_place"`
	Ticket     string `json:"ticket"`
	Type       string `json:"type"`
	Field      string `json:"field"`
	Budget     struct {
		Remaining int `json:"remaining"`
	} `json:"budget"`
}

// call sends a request to a server, or to a balancer.
func call(ctx context.Context, base, method, path, body string, header ...string) reply {
	req, err := http.NewRequestWithContext(ctx, method, base+path, strings.NewReader(body))
	if err != nil {
		panic(err) // a path of a test
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return reply{text: err.Error()}
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	r := reply{code: resp.StatusCode, header: resp.Header, text: string(text)}
	_ = json.Unmarshal(text, &r) // Not all are JSON.
	return r
}

func (s *served) call(method, path, body string, header ...string) reply {
	s.t.Helper()
	return call(s.t.Context(), s.URL, method, path, body, header...)
}

// remaining is what the budget has left, as server s sees it.
func (s *served) remaining() int {
	s.t.Helper()
	r := s.call("GET", "/v1/status", "")
	require.Equal(s.t, 200, r.code, r.text)
	return r.Budget.Remaining
}

func TestProgram_AnyServerRenewsAndSettlesAnyPermit(t *testing.T) {
	t.Parallel()
	d := deploy(t, "--max-concurrency", "4", "--window", "2s")
	d.seed()
	a, b := d.all[0], d.all[1]
	before := a.remaining()
	permit := a.call("POST", "/v1/permits", `{"shard":0,"max_wait_ms":60000}`)
	require.Equal(t, 201, permit.code, permit.text)
	assert.Equal(t, "/v1/permits/"+permit.ID, permit.header.Get("Location"))
	assert.Positive(t, permit.GoodFor)
	at := "/v1/permits/" + permit.ID
	for _, s := range []*served{b, a, b} {
		renewed := s.call("PUT", at, "")
		assert.Equal(t, 200, renewed.code, renewed.text)
		assert.Positive(t, renewed.GoodFor)
		looked := s.call("GET", at, "")
		assert.Equal(t, 200, looked.code, looked.text)
		assert.True(t, looked.Held)
		assert.Positive(t, looked.Closed)
	}
	for _, s := range []*served{b, a, b} { // a report may be repeated, anywhere
		assert.Equal(t, 204, s.call("POST", at+"/identified", "").code)
	}
	assert.Equal(t, before-1, a.remaining())
	assert.Equal(t, before-1, b.remaining())

	other := b.call("POST", "/v1/permits", `{"shard":1,"max_wait_ms":60000}`)
	require.Equal(t, 201, other.code, other.text)
	assert.Equal(t, before-2, a.remaining())
	assert.Equal(t, 204, a.call("DELETE", "/v1/permits/"+other.ID, "").code)
	assert.Equal(t, before-1, b.remaining(), "slot and unit go back")
	assert.Equal(t, 204, b.call("DELETE", "/v1/permits/"+other.ID, "").code, "a report may be repeated")
	assert.Equal(t, 410, b.call("PUT", "/v1/permits/"+other.ID, "").code)
	again := a.call("POST", "/v1/permits", `{"shard":1,"max_wait_ms":10000}`)
	assert.Equal(t, 201, again.code, again.text)
	assert.Equal(t, 404, b.call("PUT", "/v1/permits/nonsense", "").code)
	assert.Contains(t, a.Log(), "stateless=true")
}

func TestProgram_ATicketKeepsThePlaceAtTheOtherServer(t *testing.T) {
	t.Parallel()
	d := deploy(t, "--window", "4s")
	a, b := d.all[0], d.all[1]
	require.Equal(t, 201, a.call("POST", "/v1/permits", `{"shard":0}`).code) // the bucket is closed now
	first := a.call("POST", "/v1/permits", `{"shard":1,"max_wait_ms":0}`)
	require.Equal(t, 202, first.code, first.text)
	assert.Equal(t, "0", first.header.Get("Retry-After"))
	assert.True(t, first.Waiting)
	assert.True(t, first.KeepsPlace)
	require.NotEmpty(t, first.Ticket)
	early := a.call("POST", "/v1/permits", `{"shard":2,"max_wait_ms":60000,"early_ticket":true}`)
	require.Equal(t, 202, early.code, early.text)
	require.NotEmpty(t, early.Ticket)

	var mu sync.Mutex
	var order []int
	var all sync.WaitGroup
	wait := func(s *served, shard int, ticket string) {
		all.Go(func() {
			fields := map[string]any{"shard": shard, "max_wait_ms": 60000}
			if ticket != "" {
				fields["ticket"] = ticket
			}
			body, _ := json.Marshal(fields)
			r := call(t.Context(), s.URL, "POST", "/v1/permits", string(body))
			if !assert.Equal(t, 201, r.code, "shard %d: %s", shard, r.text) {
				return
			}
			mu.Lock()
			order = append(order, shard)
			mu.Unlock()
			assert.Equal(t, 204, call(t.Context(), b.URL, "DELETE", "/v1/permits/"+r.ID, "").code)
		})
	}
	wait(b, 3, "") // the last to come
	client := d.client()
	require.Eventually(t, func() bool { return client.ZCard(t.Context(), "identify:{default}:queue:0").Val() == 1 }, time.Minute, 10*time.Millisecond)
	require.NoError(t, a.cmd.Process.Kill()) // with it goes all that it knew
	wait(b, 2, early.Ticket)
	wait(b, 1, first.Ticket)
	all.Wait()
	assert.Equal(t, []int{1, 2, 3}, order)
}

func TestProgram_SIGTERMSendsWaitersElsewhereWithTheirTickets(t *testing.T) {
	t.Parallel()
	d := deploy(t, "--window", "4s", "--drain", "1s")
	a, b := d.all[0], d.all[1]
	require.Equal(t, 201, a.call("POST", "/v1/permits", `{"shard":0}`).code)
	waits := make(chan reply, 2)
	for _, path := range []string{"/v1/permits", "/v1/identifies"} {
		go func() { waits <- call(t.Context(), a.URL, "POST", path, `{"shard":1,"max_wait_ms":60000}`) }()
	}
	legacy := make(chan reply, 1)
	go func() { legacy <- call(t.Context(), a.URL, "GET", "/?shard=2", "") }()
	client := d.client()
	require.Eventually(t, func() bool { return client.ZCard(t.Context(), "identify:{default}:queue:0").Val() == 3 }, time.Minute, 10*time.Millisecond)
	require.NoError(t, a.cmd.Process.Signal(syscall.SIGTERM))
	require.Eventually(t, func() bool { code, _ := a.get("/readyz"); return code == 503 }, time.Minute, 5*time.Millisecond, "found no more, and serving on")
	var ticket string
	for range 2 {
		r := <-waits
		assert.Equal(t, 503, r.code, r.text)
		assert.Equal(t, "urn:gatewayqueue:problem:shutting-down", r.Type)
		assert.NotEmpty(t, r.header.Get("Retry-After"))
		require.NotEmpty(t, r.Ticket, r.text)
		ticket = r.Ticket
	}
	assert.Zero(t, (<-legacy).code, "anything else would be permission")
	<-a.read
	_ = a.cmd.Wait() // The code is what counts.
	assert.Zero(t, a.cmd.ProcessState.ExitCode(), a.Log())
	body, _ := json.Marshal(map[string]any{"shard": 1, "max_wait_ms": 60000, "ticket": ticket})
	r := b.call("POST", "/v1/permits", string(body))
	assert.Equal(t, 201, r.code, r.text)
}

func TestProgram_ASecondSignalEndsItAtOnce(t *testing.T) {
	t.Parallel()
	for _, signals := range [][2]syscall.Signal{{syscall.SIGTERM, syscall.SIGTERM}, {syscall.SIGTERM, syscall.SIGINT}, {syscall.SIGINT, syscall.SIGTERM}} {
		s := serve(t, nil, "--fresh-start", "--drain", "10m")
		require.NoError(t, s.cmd.Process.Signal(signals[0]))
		require.Eventually(t, func() bool { return strings.Contains(s.Log(), "msg=stopping") }, time.Minute, 5*time.Millisecond)
		require.NoError(t, s.cmd.Process.Signal(signals[1]))
		select {
		case <-s.read:
		case <-time.After(time.Minute):
			require.Fail(t, "it goes on")
		}
	}
}

func TestProgram_WhatIsChangedAtOneServerIsSeenAtTheOther(t *testing.T) {
	t.Parallel()
	d := deploy(t, "--max-concurrency", "2", "--window", "500ms")
	a, b := d.all[0], d.all[1]
	require.Equal(t, 200, a.call("POST", "/v1/identifies", `{"shard":0}`).code)
	require.Equal(t, 200, b.call("POST", "/v1/identifies", `{"shard":1}`).code)
	assert.Equal(t, 998, a.remaining())
	require.Equal(t, 204, a.call("PUT", "/v1/limits", `{"total":2000,"remaining":500,"reset_after":3600000,"max_concurrency":4}`).code)
	var limits struct {
		Total          int   `json:"total"`
		Remaining      int   `json:"remaining"`
		ResetAfter     int64 `json:"reset_after"`
		MaxConcurrency int   `json:"max_concurrency"`
	}
	for _, s := range d.all {
		r := s.call("GET", "/v1/limits", "")
		require.Equal(t, 200, r.code)
		require.NoError(t, json.Unmarshal([]byte(r.text), &limits))
		assert.Equal(t, 2000, limits.Total)
		assert.Equal(t, 500, limits.Remaining)
		assert.Equal(t, 4, limits.MaxConcurrency)
		assert.InDelta(t, 3600000, limits.ResetAfter, 60000)
	}
	assert.Equal(t, 200, b.call("POST", "/v1/identifies", `{"shard":3}`).code)
}

func TestProgram_FiguresThatLackAFieldAreRefused(t *testing.T) {
	t.Parallel()
	d := deploy(t, "--max-concurrency", "2")
	memory := serve(t, nil, "--max-concurrency", "2", "--fresh-start")
	for _, s := range d.all {
		r := s.call("GET", "/v1/limits", "")
		assert.Equal(t, 503, r.code, "absent is not zero: %s", r.text)
	}
	d.seed()
	const all = `{"total":2000,"remaining":500,"reset_after":3600000,"max_concurrency":4}`
	for _, s := range []*served{d.all[0], d.all[1], memory} {
		for field, body := range map[string]string{
			"total":           `{"remaining":500,"reset_after":3600000,"max_concurrency":4}`,
			"remaining":       `{"total":2000,"reset_after":3600000,"max_concurrency":4}`,
			"reset_after":     `{"total":2000,"remaining":500,"max_concurrency":4}`,
			"max_concurrency": `{"total":2000,"remaining":500,"reset_after":3600000}`,
		} {
			r := s.call("PUT", "/v1/limits", body)
			assert.Equal(t, 400, r.code, r.text)
			assert.Equal(t, field, r.Field, r.text)
		}
		for _, body := range []string{`{}`, ``, `null`, `[]`, `{"session_start_limit":` + all + `}`, strings.Replace(all, "4}", "null}", 1), strings.Replace(all, "4}", "0}", 1), strings.Replace(all, "4}", "-1}", 1)} {
			r := s.call("PUT", "/v1/limits", body)
			assert.GreaterOrEqual(t, r.code, 400, body)
			assert.Less(t, r.code, 500, body)
		}
		r := s.call("GET", "/v1/limits", "")
		assert.Contains(t, r.text, `"max_concurrency":2`, "what was in force stays")
	}
}

func TestProgram_ErrorsAreAsDocumented(t *testing.T) {
	t.Parallel()
	d := &deployment{t: t, redis: redistest.Start(t), env: []string{"GATEWAYQUEUE_AUTH_TOKEN=" + authToken}}
	d.args = []string{"--redis", "redis://" + d.redis.Addr, "--fresh-start", "--window", "10s"}
	d.start(0)
	d.start(1)
	a, b := d.all[0], d.all[1]
	bearer := []string{"Authorization", "Bearer " + authToken}
	permit := a.call("POST", "/v1/permits", `{"shard":0}`, bearer...)
	require.Equal(t, 201, permit.code, permit.text)
	assert.Equal(t, 204, b.call("POST", "/v1/permits/"+permit.ID+"/identified", "", bearer...).code)
	for _, c := range []struct {
		method, path, body string
		code               int
		kind               string
		header             []string
	}{
		{"POST", "/v1/permits", `{"shard":-4}`, 400, "invalid", bearer},
		{"POST", "/v1/permits", `{"shard":0,"more":1}`, 400, "invalid", bearer},
		{"POST", "/v1/permits", `{"shard":0}`, 401, "unauthorized", nil},
		{"POST", "/v1/permits", `{"shard":0}`, 401, "unauthorized", []string{"Authorization", "Bearer wrong"}},
		{"GET", "/v1/nothing", "", 404, "not-found", bearer},
		{"DELETE", "/v1/waits/nobody", "", 404, "not-found", bearer},
		{"PUT", "/v1/permits", `{}`, 405, "method", bearer},
		{"POST", "/v1/permits", `{"shard":1,"deadline_ms":1000}`, 429, "too-late", bearer},
		{"POST", "/v1/permits", `{"shard":1,"key":"` + strings.Repeat("k", 17<<10) + `"}`, 413, "too-large", bearer},
		{"POST", "/v1/permits", `{"shard":1}`, 415, "media-type", append([]string{"Content-Type", "text/plain"}, bearer...)},
		{"POST", "/v1/permits", `{"shard":1}`, 403, "forbidden", append([]string{"Origin", "https://evil.example"}, bearer...)},
	} {
		for _, s := range d.all {
			r := s.call(c.method, c.path, c.body, c.header...)
			assert.Equal(t, c.code, r.code, "%s %s %.80s: %s", c.method, c.path, c.body, r.text)
			assert.Equal(t, "urn:gatewayqueue:problem:"+c.kind, r.Type, "%s %s", c.method, c.path)
			assert.Equal(t, "application/problem+json", r.header.Get("Content-Type"))
		}
	}
	for _, s := range d.all {
		code, _ := s.get("/v1/openapi.json")
		assert.Equal(t, 200, code, "open to all")
	}
}

func TestProgram_AKeyEndsAWait(t *testing.T) {
	t.Parallel()
	d := deploy(t, "--window", "30s")
	a, b := d.all[0], d.all[1]
	require.Equal(t, 200, b.call("POST", "/v1/identifies", `{"shard":0}`).code)
	waits := make(chan reply, 1)
	go func() {
		waits <- call(t.Context(), a.URL, "POST", "/v1/permits", `{"shard":1,"max_wait_ms":60000,"key":"mine"}`)
	}()
	require.Eventually(t, func() bool { return a.call("DELETE", "/v1/waits/mine", "").code == 204 }, time.Minute, 20*time.Millisecond)
	r := <-waits
	assert.Equal(t, 409, r.code, r.text)
	assert.Equal(t, "urn:gatewayqueue:problem:left", r.Type)
	client := d.client()
	assert.Eventually(t, func() bool { return client.ZCard(t.Context(), "identify:{default}:queue:0").Val() == 0 }, time.Minute, 20*time.Millisecond)
}

func TestProgram_TheLegacyRouteSpendsOnlyOnGrants(t *testing.T) {
	t.Parallel()
	d := deploy(t, "--max-concurrency", "16", "--window", "500ms")
	d.seed()
	a, b := d.all[0], d.all[1]
	before := a.remaining()
	var all sync.WaitGroup // those that are dropped are so after a second
	for _, s := range d.all {
		for _, path := range []string{"/healthz", "/readyz", "/metrics", "/dashboard", "/healthz/", "/livez", "/favicon.ico", "/", "/?shard=x", "/?shard=1&shard=2", "/robots.txt"} {
			all.Go(func() { s.get(path) })
		}
		for _, method := range []string{"HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"} {
			all.Go(func() { call(t.Context(), s.URL, method, "/?shard=1", "") })
		}
		for _, request := range []string{"BAD METHOD /?shard=1 HTTP/1.1\r\nHost: localhost\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"} {
			all.Go(func() { assert.Empty(t, raw(t, s, request), "not a byte to %q", request) })
		}
	}
	all.Wait()
	assert.Equal(t, before, b.remaining())
	r := a.call("GET", "/?shard=0", "")
	assert.Equal(t, 200, r.code)
	assert.JSONEq(t, `{"message": "You're free to connect now! :)"}`, r.text)
	sandwich := b.call("POST", "/v1/sandwich", `{"shard_id":1,"max_concurrency":1,"token":"x","shard_count":2}`)
	assert.Equal(t, 204, sandwich.code, sandwich.text)
	assert.Eventually(t, func() bool { return b.remaining() == before-2 }, time.Minute, 50*time.Millisecond)
}

// raw sends bytes and returns all that comes back.
func raw(t *testing.T, s *served, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
	_, err = io.WriteString(conn, request)
	require.NoError(t, err)
	text, _ := io.ReadAll(bufio.NewReader(conn)) // It may be reset.
	return string(text)
}

// --- behind balancers ------------------------------------------------------------

// balance is a balancer of connections to both servers.
func (d *deployment) balance() *balancetest.Balancer {
	return balancetest.Start(d.t, d.all[0].addr(), d.all[1].addr())
}

func (s *served) addr() string { return strings.TrimPrefix(s.URL, "http://") }

// balanceRequests is a balancer of requests, as an ingress is: two of one client on one
// connection go to different servers, and who asks a dead one gets 502.
func balanceRequests(t *testing.T, b *balancetest.Balancer) string {
	t.Helper()
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: b.Next()}) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			b.Lost.Add(1)
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: proxy, ReadHeaderTimeout: time.Minute}
	go server.Serve(l) //nolint:errcheck // It ends with Close.
	t.Cleanup(func() { server.Close() })
	return "http://" + l.Addr().String()
}

// TestProgram_RolledAndKilledUnderWaiters has clients of each kind wait behind
// both balancers while the servers are rolled and killed in turn.
func TestProgram_RolledAndKilledUnderWaiters(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds of real time")
	}
	t.Parallel()
	const shards, buckets, window = 32, 4, time.Second
	limit := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 1000, ResetAfter: 24 * time.Hour, MaxConcurrency: buckets}
	d := deploy(t, "--max-concurrency", strconv.Itoa(buckets), "--window", window.String(), "--margin", "1500ms")
	lb := d.balance()
	byConnection, byRequest := "http://"+lb.Addr, balanceRequests(t, lb)
	judge := gatewaytest.NewJudge(limit, window)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	clients := make(map[string]*httpqueue.Client)
	for _, at := range []string{byConnection, byRequest} {
		c, err := httpqueue.NewClient(at)
		require.NoError(t, err)
		defer c.Close()
		clients[at] = c
	}
	legacy, err := httpqueue.NewLegacyClient(byConnection)
	require.NoError(t, err)
	defer legacy.Close()

	var all sync.WaitGroup
	var mu sync.Mutex
	var order []int // of those that keep their place
	for shard := range shards {
		round, bucket := shard/buckets, shard%buckets
		client := clients[[]string{byConnection, byRequest}[round%2]]
		all.Go(func() {
			var err error
			switch bucket {
			case 3: // whose clients know no ticket: they come again at the end
				err = legacy.Wait(ctx, shard)
				judge.Identify(shard)
			case 2:
				err = client.Wait(ctx, shard)
				judge.Identify(shard)
			default:
				err = gatewayqueue.Identify(ctx, client, shard,
					func(context.Context) error { time.Sleep(100 * time.Millisecond); return nil },
					func(context.Context) error {
						judge.Identify(shard)
						mu.Lock()
						defer mu.Unlock()
						order = append(order, shard)
						return nil
					})
			}
			assert.NoError(t, err, "shard %d", shard)
		})
		if round < shards/buckets-1 && bucket == buckets-1 { // one after the other, so that there is an order
			time.Sleep(150 * time.Millisecond)
		}
	}
	for _, end := range []struct {
		server int
		signal syscall.Signal
	}{{0, syscall.SIGTERM}, {1, syscall.SIGKILL}, {0, syscall.SIGKILL}, {1, syscall.SIGTERM}} {
		time.Sleep(window)
		s := d.all[end.server]
		require.NoError(t, s.cmd.Process.Signal(end.signal))
		<-s.read
		time.Sleep(window / 2)
		d.start(end.server)
		lb.Replace(end.server, d.all[end.server].addr())
	}
	all.Wait()
	verdict := judge.Verdict()
	t.Logf("%v; %d requests or connections came to a dead server; order %v", verdict, lb.Lost.Load(), order)
	assert.True(t, verdict.OK(), "%v", verdict)
	assert.Len(t, verdict.Shards, shards, "everybody is granted")
	inOrder(t, order, buckets)
	left := d.all[0].remaining()
	assert.LessOrEqual(t, left, limit.Remaining-shards, "each identify is paid")
	assert.GreaterOrEqual(t, left, limit.Remaining-shards-8, "and little besides: what a killed server had granted")
}

// inOrder wants each bucket's shards to have come in the order in which they
// stood. One whose turn comes just while its server is gone may be passed by few,
// as docs/http.md says; it does not go to the end.
func inOrder(t *testing.T, order []int, buckets int) {
	t.Helper()
	came := make(map[int]int)
	for _, shard := range order {
		place, bucket := shard/buckets, shard%buckets
		assert.InDelta(t, place, came[bucket], 3, "shard %d of bucket %d has lost its place: %v", shard, bucket, order)
		came[bucket]++
	}
}

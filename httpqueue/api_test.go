package httpqueue_test

// /v1 as a client sees it that writes its own requests.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
)

// reply is an answer, read.
type reply struct {
	status int
	header http.Header
	text   string
	body   map[string]any
}

// do sends a request; headers are "Name: value".
func (s *site) do(t testing.TB, method, path, body string, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	require.NoError(t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := s.client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	r := reply{status: resp.StatusCode, header: resp.Header, text: string(text)}
	if len(text) > 0 {
		require.NoError(t, json.Unmarshal(text, &r.body), r.text)
	}
	if r.status >= 400 {
		assert.Equal(t, "application/problem+json", resp.Header.Get("Content-Type"))
		assert.InDelta(t, r.status, r.body["status"], 0)
		assert.True(t, strings.HasPrefix(r.body["type"].(string), "urn:gatewayqueue:problem:"), r.text)
		assert.NotEmpty(t, r.body["detail"])
	}
	return r
}

func TestAPermitFromItsGrantToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := inMemory(t, full(2))
		s := serve(t, queue)
		r := s.do(t, "POST", "/v1/permits", `{"shard":3}`)
		require.Equal(t, http.StatusCreated, r.status, r.text)
		require.InDelta(t, 4950, r.body["good_for_ms"], 0)
		require.InDelta(t, 3, r.body["shard"], 0)
		at := r.header.Get("Location")
		require.Equal(t, "/v1/permits/"+r.body["id"].(string), at)
		for range 5 { // renewed, it outlasts its lease
			time.Sleep(3 * time.Second)
			r = s.do(t, "PUT", at, "")
			require.Equal(t, http.StatusOK, r.status, r.text)
			require.InDelta(t, 4950, r.body["good_for_ms"], 0)
		}
		r = s.do(t, "GET", at, "")
		require.Equal(t, http.StatusOK, r.status)
		require.Equal(t, true, r.body["held"])
		require.Equal(t, http.StatusNoContent, s.do(t, "POST", at+"/identified", "").status)
		start := time.Now()
		r = s.do(t, "POST", "/v1/identifies?shard=1", "")
		require.Equal(t, http.StatusOK, r.status)
		require.Equal(t, gatewayqueue.IdentifyDelay+gatewayqueue.IdentifiedMargin, time.Since(start))
		for _, method := range []string{"PUT", "GET", "DELETE"} {
			require.Equal(t, http.StatusGone, s.do(t, method, at, "").status, "it was settled")
		}

		r = s.do(t, "POST", "/v1/permits?shard=0", "")
		require.Equal(t, http.StatusCreated, r.status)
		require.Equal(t, http.StatusNoContent, s.do(t, "DELETE", r.header.Get("Location"), "").status)
		require.Equal(t, 99998, remaining(t, queue))
	})
}

func TestAPermitWhoseClientHasVanishedLapses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := inMemory(t, full(1))
		s := serve(t, queue)
		require.Equal(t, http.StatusCreated, s.do(t, "POST", "/v1/permits", `{"shard":0}`).status)
		start := time.Now()
		require.Equal(t, http.StatusOK, s.do(t, "POST", "/v1/identifies?shard=0", "").status)
		require.Equal(t, 2*gatewayqueue.IdentifyDelay, time.Since(start), "a lease, and the window of an IDENTIFY at its last moment")
		require.Equal(t, 99998, remaining(t, queue))
	})
}

func TestAPollEndsWhenItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := inMemory(t, full(1))
		require.NoError(t, queue.Wait(t.Context(), 0))
		s := serve(t, queue)
		for _, path := range []string{"/v1/permits", "/v1/identifies"} {
			start := time.Now()
			r := s.do(t, "POST", path, `{"shard":0,"max_wait_ms":1500}`)
			require.Equal(t, http.StatusAccepted, r.status)
			require.Equal(t, "0", r.header.Get("Retry-After"))
			require.Equal(t, true, r.body["waiting"])
			require.Equal(t, false, r.body["keeps_place"], "a queue in memory does not")
			require.Equal(t, 1500*time.Millisecond, time.Since(start))
			require.Zero(t, waiting(t, queue))
		}
	})
}

func TestAWaitIsLeftByItsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := inMemory(t, full(1))
		require.NoError(t, queue.Wait(t.Context(), 0))
		s := serve(t, queue)
		answer := make(chan reply, 1)
		poll := func() { answer <- s.do(t, "POST", "/v1/permits", `{"shard":0,"key":"mine"}`) }
		go poll()
		synctest.Wait()
		require.Equal(t, 1, waiting(t, queue))
		go poll() // the same client on another connection: the first is lost
		synctest.Wait()
		require.Equal(t, http.StatusConflict, (<-answer).status)
		require.Equal(t, 1, waiting(t, queue))
		require.Equal(t, http.StatusNotFound, s.do(t, "DELETE", "/v1/waits/other", "").status)
		require.Equal(t, http.StatusNoContent, s.do(t, "DELETE", "/v1/waits/mine", "").status)
		require.Equal(t, http.StatusConflict, (<-answer).status)
		require.Zero(t, waiting(t, queue))
	})
}

// Clients choose their keys, so two shards may have the same one.
func TestAKeyIsOneOfAShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := inMemory(t, full(1))
		require.NoError(t, queue.Wait(t.Context(), 0))
		s := serve(t, queue)
		var answers []<-chan reply
		for shard := range 3 {
			answers = append(answers, later(t, s, "/v1/identifies", fmt.Sprintf(`{"shard":%d,"key":"pod"}`, shard)))
			synctest.Wait()
		}
		require.Equal(t, http.StatusOK, (<-answers[0]).status)
		require.Equal(t, http.StatusNoContent, s.do(t, "DELETE", "/v1/waits/pod", "").status)
		for _, answer := range answers[1:] {
			require.Equal(t, http.StatusConflict, (<-answer).status, "it ends all waits by that key")
		}
		require.Zero(t, waiting(t, queue))
	})
}

func TestAWaitThatIsKnownToBeTooLongIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := inMemory(t, full(1))
		require.NoError(t, queue.Wait(t.Context(), 0))
		s := serve(t, queue)
		r := s.do(t, "POST", "/v1/permits", `{"shard":0,"deadline_ms":1000}`)
		require.Equal(t, http.StatusTooManyRequests, r.status)
		require.Equal(t, "urn:gatewayqueue:problem:too-late", r.body["type"])
		require.InDelta(t, 5250, r.body["wait_ms"], 0)
		require.Equal(t, "6", r.header.Get("Retry-After"))
	})
}

func TestBadRequestsAreNamed(t *testing.T) {
	queue := inMemory(t, full(1))
	s := serveTCP(t, queue)
	for _, c := range []struct {
		method, path, body string
		status             int
		field              string
	}{
		{"POST", "/v1/permits", ``, 400, "shard"},
		{"POST", "/v1/permits", `{}`, 400, "shard"},
		{"POST", "/v1/permits", `{"shard":-1}`, 400, "shard"},
		{"POST", "/v1/permits", `{"shard":2147483648}`, 400, "shard"},
		{"POST", "/v1/permits", `{"shard":"0"}`, 400, "shard"},
		{"POST", "/v1/permits", `{"shard":1.5}`, 400, "shard"},
		{"POST", "/v1/permits", `{"shard":0,"max_wait":5}`, 400, "body"},
		{"POST", "/v1/permits", `{"shard":0,"max_wait_ms":-1}`, 400, "max_wait_ms"},
		{"POST", "/v1/permits", `{"shard":0,"max_wait_ms":600001}`, 400, "max_wait_ms"},
		{"POST", "/v1/permits", `{"shard":0,"deadline_ms":0}`, 400, "deadline_ms"},
		{"POST", "/v1/permits", `{"shard":0,"key":"a b"}`, 400, "key"},
		{"POST", "/v1/permits", `{"shard":0,"ticket":"forged"}`, 400, "ticket"},
		{"POST", "/v1/permits", `{"shard":0}{}`, 400, "body"},
		{"POST", "/v1/permits", `[`, 400, "body"},
		{"POST", "/v1/permits", `null`, 400, "body"},
		{"POST", "/v1/permits", `{"shard":0,"key":"` + strings.Repeat("x", 20000) + `"}`, 413, ""},
		{"POST", "/v1/permits", `{"shard":0,"key":""}`, 400, "key"},
		{"POST", "/v1/identifies", `{"shard":0,"key":""}`, 400, "key"},
		{"POST", "/v1/permits", `{"shard":0,"key":null}`, 400, "key"},
		{"POST", "/v1/permits", `{"shard":0,"key":7}`, 400, "key"},
		{"POST", "/v1/permits", `{"shard":0,"ticket":""}`, 400, "ticket"},
		{"POST", "/v1/permits", `{"shard":0,"ticket":null}`, 400, "ticket"},
		{"POST", "/v1/permits", `{"shard":0,"early_ticket":"yes"}`, 400, "early_ticket"},
		{"POST", "/v1/permits", `{"shard":0,"early_ticket":null}`, 400, "early_ticket"},
		{"POST", "/v1/permits", `{"shard":null}`, 400, "shard"},
		{"POST", "/v1/permits", `{"shard":99999999999999999999}`, 400, "shard"},
		{"POST", "/v1/permits", `{"shard":0,"max_wait_ms":null}`, 400, "max_wait_ms"},
		{"POST", "/v1/permits", `{"shard":0,"deadline_ms":[1]}`, 400, "deadline_ms"},
		{"POST", "/v1/permits", `{"Shard":0}`, 400, "body"},
		{"POST", "/v1/permits", `{"shard":0,"SHARD":1}`, 400, "body"},
		{"POST", "/v1/permits", `{"shard":0,"shard":1}`, 400, "shard"},
		{"POST", "/v1/permits", `{"shard":0,"shar\u0064":1}`, 400, "shard"},
		{"POST", "/v1/permits", `{"shard":0} x`, 400, "body"},
		{"POST", "/v1/permits", `{"shard":0`, 400, "body"},
		{"POST", "/v1/permits", `{"shard":0,}`, 400, "body"},
		{"POST", "/v1/permits", `{"shard":0]`, 400, "body"},
		{"POST", "/v1/permits", `{"shard":}`, 400, "body"},
		{"POST", "/v1/permits", `7`, 400, "body"},
		{"POST", "/v1/permits", `[{"shard":0}]`, 400, "body"},
		{"POST", "/v1/permits/forged/identified", `{"Within_ms":1}`, 400, "body"},
		{"POST", "/v1/permits/forged/identified", `{"within_ms":null}`, 400, "within_ms"},
		{"POST", "/v1/permits/forged/identified", `{"within_ms":1,"within_ms":2}`, 400, "within_ms"},
		{"POST", "/v1/permits/forged/identified", `{"within_ms":1.5}`, 400, "within_ms"},
		{"POST", "/v1/permits?shard=x", ``, 400, "shard"},
		{"POST", "/v1/permits?shard=", ``, 400, "shard"},
		{"POST", "/v1/permits?shard=1&max_wait_ms=", ``, 400, "max_wait_ms"},
		{"POST", "/v1/permits?shard=1&shard=2", ``, 400, "shard"},
		{"POST", "/v1/identifies?shard=0&max_wait_ms=x", ``, 400, "max_wait_ms"},
		{"GET", "/v1/permits", ``, 405, ""},
		{"POST", "/v1/status", ``, 405, ""},
		{"GET", "/v1/permits/forged", ``, 404, ""},
		{"PUT", "/v1/permits/forged", ``, 404, ""},
		{"DELETE", "/v1/permits/forged", ``, 404, ""},
		{"POST", "/v1/permits/forged/identified", ``, 404, ""},
		{"POST", "/v1/permits/forged/other", ``, 404, ""},
		{"GET", "/v1", ``, 404, ""},
		{"GET", "/v1/", ``, 404, ""},
		{"GET", "/v1/nothing", ``, 404, ""},
		{"PUT", "/v1/limits", ``, 400, "total"},
		{"PUT", "/v1/limits", `{}`, 400, "total"},
		{"PUT", "/v1/limits", `{"remaining":5,"reset_after":0,"max_concurrency":1}`, 400, "total"},
		{"PUT", "/v1/limits", `{"total":10,"reset_after":0,"max_concurrency":1}`, 400, "remaining"},
		{"PUT", "/v1/limits", `{"total":10,"remaining":5,"max_concurrency":1}`, 400, "reset_after"},
		{"PUT", "/v1/limits", `{"total":10,"remaining":5,"reset_after":0}`, 400, "max_concurrency"},
		{"PUT", "/v1/limits", `{"total":10,"remaining":5,"reset_after":0,"max_concurrency":null}`, 400, "max_concurrency"},
		{"PUT", "/v1/limits", `{"total":10,"remaining":11,"reset_after":0,"max_concurrency":1}`, 400, "remaining"},
		{"PUT", "/v1/limits", `{"total":10,"remaining":5,"reset_after":-1,"max_concurrency":1}`, 400, "reset_after"},
		{"PUT", "/v1/limits", `{"total":10,"remaining":5,"reset_after":9223372036854775807,"max_concurrency":1}`, 400, "reset_after"},
		{"PUT", "/v1/limits", `{"total":10,"remaining":5,"reset_after":0,"max_concurrency":65537}`, 400, "max_concurrency"},
		{"PUT", "/v1/limits", `{"total":10,"remaining":5,"reset_after":0,"Max_Concurrency":1}`, 400, "body"},
		{"PUT", "/v1/limits", `{"total":10,"remaining":5,"remaining":6,"reset_after":0,"max_concurrency":1}`, 400, "remaining"},
		{"PUT", "/v1/limits", `{"total":10,"remaining":"5","reset_after":0,"max_concurrency":1}`, 400, "remaining"},
		{"PUT", "/v1/limits", `{"total":10,"remaining":5,"reset_after":0,"max_concurrency":1}]`, 400, "body"},
		{"POST", "/v1/sandwich", `{"shard_count":1}`, 400, "shard_id"},
		{"POST", "/v1/sandwich", `{"SHARD_ID":1}`, 400, "shard_id"},
		{"POST", "/v1/sandwich", `{"shard_id":1,"shard_id":2}`, 400, "shard_id"},
		{"POST", "/v1/sandwich", `{"shard_id":null}`, 400, "shard_id"},
		{"POST", "/v1/sandwich", `{"shard_id":-1}`, 400, "shard_id"},
	} {
		r := s.do(t, c.method, c.path, c.body)
		assert.Equal(t, c.status, r.status, "%s %s %.80s: %s", c.method, c.path, c.body, r.text)
		if c.field != "" {
			assert.Equal(t, c.field, r.body["field"], "%s %s %.80s: %s", c.method, c.path, c.body, r.text)
			assert.NotEmpty(t, r.body["want"], r.text)
		}
		if c.status == 405 {
			assert.NotEmpty(t, r.header.Get("Allow"))
		}
	}
	for _, header := range [][]string{
		{"Content-Type: text/plain"}, // a page in a browser must not get this far
		{"Content-Type: application/json; charset=utf-16"},
		{"Content-Type: application/json", "Content-Encoding: gzip"},
	} {
		r := s.do(t, "POST", "/v1/permits", `{"shard":0}`, header...)
		assert.Equal(t, http.StatusUnsupportedMediaType, r.status, "%v", header)
	}
	assert.Equal(t, 100000, remaining(t, queue), "nothing was granted")
}

func TestBearerToken(t *testing.T) {
	const secret = "not-for-every-one"
	queue := inMemory(t, full(0))
	s := serveTCP(t, queue, httpqueue.WithBearerToken(secret))
	for _, header := range []string{"X: y", "Authorization: Bearer", "Authorization: Bearer wrong", "Authorization: Basic " + secret, "Authorization: " + secret} {
		r := s.do(t, "GET", "/v1/status", "", header)
		require.Equal(t, http.StatusUnauthorized, r.status, header)
		require.Equal(t, `Bearer realm="gatewayqueue"`, r.header.Get("WWW-Authenticate"))
		require.NotContains(t, r.text, secret)
	}
	require.Equal(t, http.StatusOK, s.do(t, "GET", "/v1/status", "", "Authorization: bearer "+secret).status)
	require.Equal(t, http.StatusOK, s.do(t, "GET", "/v1/openapi.json", "").status)
	require.Contains(t, s.say(t, "GET /?shard=1 HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n", time.Minute), granted, "the legacy route cannot ask")

	require.NoError(t, s.dial(t, httpqueue.WithToken(secret)).Wait(t.Context(), 0))
	err := s.dial(t, httpqueue.WithToken("some-wrong-secret")).Wait(t.Context(), 0)
	require.ErrorContains(t, err, "401")
	require.NotContains(t, err.Error(), "secret")
}

// Permits and tickets of a server with one token mean nothing to another.
func TestIDsAreSigned(t *testing.T) {
	queue := inMemory(t, full(0))
	a, b := serveTCP(t, queue, httpqueue.WithBearerToken("a")), serveTCP(t, queue, httpqueue.WithBearerToken("b"))
	r := a.do(t, "POST", "/v1/permits", `{"shard":0}`, "Authorization: Bearer a")
	require.Equal(t, http.StatusCreated, r.status)
	at := r.header.Get("Location")
	require.Equal(t, http.StatusNotFound, b.do(t, "PUT", at, "", "Authorization: Bearer b").status)
	require.Equal(t, http.StatusOK, a.do(t, "PUT", at, "", "Authorization: Bearer a").status)
	require.Equal(t, http.StatusNotFound, a.do(t, "PUT", at[:len(at)-1], "", "Authorization: Bearer a").status)
}

func TestShutdownSendsWaitersElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := inMemory(t, full(1))
		require.NoError(t, queue.Wait(t.Context(), 0))
		s := serve(t, queue)
		answer := make(chan reply, 1)
		go func() {
			answer <- s.do(t, "POST", "/v1/permits", `{"shard":0}`) //nolint:testifylint // on failure nobody waits for it
		}()
		synctest.Wait()
		require.NoError(t, s.handler.Shutdown(t.Context()))
		r := <-answer
		require.Equal(t, http.StatusServiceUnavailable, r.status)
		require.Equal(t, "urn:gatewayqueue:problem:shutting-down", r.body["type"])
		require.Equal(t, "0", r.header.Get("Retry-After"))
		require.Equal(t, http.StatusServiceUnavailable, s.do(t, "POST", "/v1/permits", `{"shard":0}`).status)
	})
}

func TestTooManyWaitersAreToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := inMemory(t, full(1))
		require.NoError(t, queue.Wait(t.Context(), 0))
		s := serve(t, queue, httpqueue.WithMaxWaiters(1))
		answer := make(chan reply, 1)
		go func() {
			answer <- s.do(t, "POST", "/v1/permits", `{"shard":0}`) //nolint:testifylint // on failure nobody waits for it
		}()
		synctest.Wait()
		r := s.do(t, "POST", "/v1/permits", `{"shard":0}`)
		require.Equal(t, http.StatusServiceUnavailable, r.status)
		require.Equal(t, "urn:gatewayqueue:problem:overloaded", r.body["type"])
		require.Equal(t, "1", r.header.Get("Retry-After"))
		require.Equal(t, http.StatusCreated, (<-answer).status)
	})
}

// away is a queue whose store does not answer.
type away struct{ gatewayqueue.PermitQueue }

func (away) Status(context.Context) (gatewayqueue.Status, error) {
	return gatewayqueue.Status{}, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
}

func TestAStoreThatIsAwayIsSaidToBe(t *testing.T) {
	var log bytes.Buffer
	s := serveTCP(t, away{inMemory(t, full(1))}, httpqueue.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	for _, path := range []string{"/v1/status", "/v1/limits"} {
		r := s.do(t, "GET", path, "")
		require.Equal(t, http.StatusServiceUnavailable, r.status, r.text)
		require.Equal(t, "1", r.header.Get("Retry-After"))
	}
	require.NotContains(t, log.String(), "ERROR", "the queue says so itself, once")
}

func TestLimitsAreReadAndWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, inMemory(t, full(1)))
		limits := `{"total":10,"remaining":5,"reset_after":60000,"max_concurrency":4}`
		require.Equal(t, http.StatusNoContent, s.do(t, "PUT", "/v1/limits", limits).status)
		require.JSONEq(t, limits, s.do(t, "GET", "/v1/limits", "").text)
		r := s.do(t, "GET", "/v1/status", "")
		require.Len(t, r.body["buckets"], 4)
	})
}

func TestSandwichIdentifiesViaURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := inMemory(t, full(1))
		s := serve(t, queue)
		body := `{"shard_id":0,"shard_count":1,"max_concurrency":1,"token":"secret","token_hash":"abc"}`
		require.Equal(t, http.StatusNoContent, s.do(t, "POST", "/v1/sandwich", body, "Content-Type: text/plain").status)
		start := time.Now()
		require.Equal(t, http.StatusNoContent, s.do(t, "POST", "/v1/sandwich", body).status)
		require.Equal(t, gatewayqueue.IdentifyDelay+gatewayqueue.GrantMargin, time.Since(start))
		require.NoError(t, s.handler.Shutdown(t.Context()))
		r := s.do(t, "POST", "/v1/sandwich", body)
		require.Equal(t, http.StatusServiceUnavailable, r.status, "neither 200 nor 204")
		require.Equal(t, "1000", r.header.Get("X-Retry-After-Ms"))
		require.NotContains(t, r.text, "secret")
	})
}

func TestRoutesOfTheCaller(t *testing.T) {
	queue := &counted{PermitQueue: inMemory(t, full(0))}
	say := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `"`+text+`"`) })
	}
	s := serveTCP(t, queue, httpqueue.WithLenientLegacy(), httpqueue.WithRoute("/metrics", say("metrics")), httpqueue.WithRoute("/dashboard/", say("page")))
	for path, want := range map[string]string{"/metrics": "metrics", "/dashboard/": "page", "/dashboard/x/y": "page"} {
		assert.Contains(t, s.say(t, "GET "+path+"?shard=1 HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n", time.Minute), want)
	}
	assert.Empty(t, queue.grants())
	for _, path := range []string{"/metrics/", "//metrics", "/dashboard", "/", "/v2", "/v1x", "//v1/status", "/a/../metrics"} {
		assert.Contains(t, s.say(t, "GET "+path+"?shard=1 HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n", time.Minute), granted, path)
	}
}

func TestOptionsOutOfRangeAreRefused(t *testing.T) {
	queue := inMemory(t, full(1))
	for name, opt := range map[string]httpqueue.Option{
		"no waiters": httpqueue.WithMaxWaiters(0), "a negative margin": httpqueue.WithGrantMargin(-1),
		"a long margin": httpqueue.WithGrantMargin(time.Hour), "no logger": httpqueue.WithLogger(nil),
		"a token with blanks": httpqueue.WithBearerToken("a b"), "a route into the API": httpqueue.WithRoute("/v1/x", http.NotFoundHandler()),
		"all routes": httpqueue.WithRoute("/", http.NotFoundHandler()), "a relative route": httpqueue.WithRoute("x", http.NotFoundHandler()),
		"no handler": httpqueue.WithRoute("/x", nil),
	} {
		_, err := httpqueue.NewHandler(queue, opt)
		require.ErrorIs(t, err, gatewayqueue.ErrInvalid, name)
	}
	_, err := httpqueue.NewHandler(nil)
	require.ErrorIs(t, err, gatewayqueue.ErrInvalid)
	for _, address := range []string{"", "queue:8080", "ftp://queue", "http://", "http://user:secret@"} {
		_, err := httpqueue.NewClient(address)
		require.ErrorIs(t, err, gatewayqueue.ErrInvalid, address)
		require.NotContains(t, err.Error(), "secret")
		_, err = httpqueue.NewLegacyClient(address)
		require.ErrorIs(t, err, gatewayqueue.ErrInvalid, address)
	}
	for name, opt := range map[string]httpqueue.ClientOption{
		"a short wait": httpqueue.WithMaxWait(time.Millisecond), "a long wait": httpqueue.WithMaxWait(time.Hour),
		"a token with blanks": httpqueue.WithToken("a\nb"),
	} {
		_, err := httpqueue.NewClient("http://queue", opt)
		require.ErrorIs(t, err, gatewayqueue.ErrInvalid, name)
	}
}

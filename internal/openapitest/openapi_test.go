package openapitest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// checker compares every exchange with the description.
type checker struct {
	t      *testing.T
	router routers.Router
	server *httptest.Server
	seen   *seen
}

// seen are the answers that have come, such as "POST /v1/permits 201".
type seen struct {
	mu      sync.Mutex
	answers map[string]bool
}

func (s *seen) add(answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[answer] = true
}

func describe(t *testing.T) (*openapi3.T, routers.Router) {
	t.Helper()
	handler, err := httpqueue.NewHandler(memory(t, 1, 1))
	check(t, err)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/openapi.json", nil))
	doc, err := openapi3.NewLoader().LoadFromData(w.Body.Bytes())
	check(t, err)
	check(t, doc.Validate(t.Context()))
	router, err := gorillamux.NewRouter(doc)
	check(t, err)
	return doc, router
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func memory(t *testing.T, maxConcurrency, remaining int) *memqueue.Queue {
	t.Helper()
	q, err := memqueue.New(gatewayqueue.SessionStartLimit{
		Total: 1000, Remaining: remaining, ResetAfter: time.Hour, MaxConcurrency: maxConcurrency,
	})
	check(t, err)
	return q
}

func (c checker) on(queue gatewayqueue.PermitQueue, opts ...httpqueue.Option) checker {
	handler, err := httpqueue.NewHandler(queue, opts...)
	check(c.t, err)
	c.server = httptest.NewServer(handler)
	c.t.Cleanup(func() { c.server.Close(); _ = handler.Close() })
	return c
}

// do sends a request and checks that it is answered as described. good says
// that the request is as described, too.
func (c checker) do(good bool, status int, method, path, body string, headers ...string) http.Header {
	c.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, c.server.URL+path, strings.NewReader(body))
	check(c.t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	described := req.Clone(context.Background())
	described.URL.Scheme, described.URL.Host, described.Host = "", "", ""
	described.Body = io.NopCloser(strings.NewReader(body))
	route, params, err := c.router.FindRoute(described)
	check(c.t, err)
	input := &openapi3filter.RequestValidationInput{
		Request: described, PathParams: params, Route: route,
		Options: &openapi3filter.Options{
			IncludeResponseStatus: true, MultiError: true,
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
		},
	}
	if err := openapi3filter.ValidateRequest(context.Background(), input); good && err != nil {
		c.t.Errorf("%s %s %s is described otherwise: %v", method, path, body, err)
	} else if !good && err == nil {
		c.t.Errorf("%s %s %s is refused, but is as described", method, path, body)
	}
	resp, err := http.DefaultClient.Do(req)
	check(c.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	check(c.t, err)
	if resp.StatusCode != status {
		c.t.Errorf("%s %s %s: %d, want %d: %s", method, path, body, resp.StatusCode, status, text)
	}
	output := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: resp.StatusCode, Header: resp.Header,
		Body: io.NopCloser(bytes.NewReader(text)), Options: input.Options,
	}
	if err := openapi3filter.ValidateResponse(context.Background(), output); err != nil {
		c.t.Errorf("%s %s: %d is answered otherwise than described: %v\n%s", method, path, resp.StatusCode, err, text)
	}
	c.seen.add(method + " " + route.Path + " " + resp.Status[:3])
	return resp.Header
}

// plain is a queue that can do nothing more.
type plain struct{ err error }

func (p plain) Wait(context.Context, int) error { return p.err }

func (p plain) Acquire(context.Context, int) (gatewayqueue.Permit, error) {
	return nil, p.err
}

func TestTheServerIsAsDescribed(t *testing.T) {
	doc, router := describe(t)
	c := checker{t: t, router: router, seen: &seen{answers: make(map[string]bool)}}

	free := c.on(memory(t, 4, 1000))
	at := free.do(true, 201, "POST", "/v1/permits", `{"shard":0,"max_wait_ms":1000,"deadline_ms":5000,"key":"a-b_c","early_ticket":true}`).Get("Location")
	free.do(true, 200, "GET", at, "")
	free.do(true, 200, "PUT", at, "")
	free.do(true, 204, "POST", at+"/identified", "")
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		free.do(true, 410, method, at, "")
	}
	free.do(true, 204, "POST", at+"/identified", `{"within_ms":200}`) // reports may be repeated
	free.do(true, 410, "POST", "/v1/permits", `{"shard":0,"key":"a-b_c"}`)
	free.do(true, 410, "POST", "/v1/identifies", `{"shard":0,"key":"a-b_c"}`)
	at = free.do(true, 201, "POST", "/v1/permits?shard=1&max_wait_ms=5", "").Get("Location")
	free.do(true, 204, "DELETE", at, "")
	free.do(true, 204, "POST", at+"/identified", "") // it was sent after all
	free.do(false, 400, "POST", at+"/identified", `{"within_ms":-1}`)
	free.do(false, 415, "POST", at+"/identified", `{"within_ms":1}`, "Content-Type: text/plain")
	free.do(false, 413, "POST", at+"/identified", `{"x":"`+strings.Repeat("x", 20000)+`"}`)
	for _, r := range []struct{ method, path, body string }{
		{"POST", "/v1/permits", `{"shard":0}`}, {"POST", "/v1/identifies", `{"shard":0}`}, {"POST", "/v1/sandwich", `{"shard_id":0}`},
		{"PUT", at, ""}, {"DELETE", at, ""}, {"POST", at + "/identified", ""}, {"DELETE", "/v1/waits/x", ""},
		{"PUT", "/v1/limits", `{"total":10,"remaining":5,"reset_after":0,"max_concurrency":1}`},
	} {
		free.do(true, 403, r.method, r.path, r.body, "Origin: https://elsewhere.example")
	}
	free.do(true, 200, "POST", "/v1/identifies", `{"shard":2}`)
	free.do(true, 204, "POST", "/v1/sandwich", `{"shard_id":3,"shard_count":4,"max_concurrency":1,"token":"x","token_hash":"y"}`)
	free.do(true, 202, "POST", "/v1/permits", `{"shard":0,"max_wait_ms":0}`)
	free.do(true, 202, "POST", "/v1/identifies?shard=0&max_wait_ms=0", "")
	free.do(true, 429, "POST", "/v1/permits", `{"shard":0,"deadline_ms":10}`)
	free.do(true, 429, "POST", "/v1/identifies", `{"shard":0,"deadline_ms":10}`)
	free.do(true, 200, "GET", "/v1/status", "")
	for _, query := range []string{"shards=16", "shards=990&at=%2B2h&crash_reserve=25%25&within=30m", "shards=2000", "shards=1&at=2026-11-28T03:00:00Z&crash_reserve=0"} {
		free.do(true, 200, "GET", "/v1/plan?"+query, "")
	}
	for _, query := range []string{"", "?shards=0", "?shards=x", "?shards=1&crash_reserve=-1"} {
		free.do(false, 400, "GET", "/v1/plan"+query, "")
	}
	for _, query := range []string{"at=soon", "within=5", "within=-5s", "crash-reserve=7"} { // more than a schema says
		free.do(true, 400, "GET", "/v1/plan?shards=1&"+query, "")
	}
	free.do(true, 200, "GET", "/v1/limits", "")
	free.do(true, 200, "GET", "/v1/history", "")
	free.do(true, 204, "PUT", "/v1/limits", `{"total":10,"remaining":5,"reset_after":1000,"max_concurrency":4}`)
	free.do(true, 200, "GET", "/v1/openapi.json", "")
	free.do(true, 200, "GET", "/v1/pause", "")
	for _, path := range []string{"/v1/pause", "/v1/resume"} {
		free.do(true, 403, "POST", path, `{"why":"there is no token"}`)
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		free.do(true, 404, method, "/v1/permits/none", "")
	}
	free.do(true, 404, "POST", "/v1/permits/none/identified", "")
	free.do(true, 404, "DELETE", "/v1/waits/nobody", "")

	for _, path := range []string{"/v1/permits", "/v1/identifies"} {
		for _, body := range []string{`{}`, `{"shard":-1}`, `{"shard":0.5}`, `{"shard":2147483648}`, `{"shard":0,"max_wait_ms":600001}`,
			`{"shard":0,"deadline_ms":0}`, `{"shard":0,"key":"a b"}`, `{"shard":0,"unknown":1}`, `[]`, `{"shard":0,"early_ticket":1}`} {
			free.do(false, 400, "POST", path, body)
		}
		free.do(false, 400, "POST", path+"?shard=x", "")
		free.do(false, 415, "POST", path, `{"shard":0}`, "Content-Type: text/plain")
		free.do(false, 413, "POST", path, `{"shard":0,"key":"`+strings.Repeat("x", 20000)+`"}`)
		done := make(chan struct{})
		go func() {
			defer close(done)
			free.do(true, 409, "POST", path, `{"shard":0,"key":"me"}`)
		}()
		for range 100 { // until it waits
			resp, err := http.DefaultClient.Do(request(t, "DELETE", free.server.URL+"/v1/waits/me"))
			check(t, err)
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusNoContent {
				c.seen.add("DELETE /v1/waits/{key} 204")
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		<-done
	}
	for _, body := range []string{`{}`, `{"total":10,"remaining":5,"reset_after":-1,"max_concurrency":1}`, `{"total":10,"remaining":5,"reset_after":0}`,
		`{"total":10,"remaining":5,"reset_after":0,"max_concurrency":65537}`, `{"total":10,"remaining":5,"reset_after":0,"max_concurrency":1,"x":1}`} {
		free.do(false, 400, "PUT", "/v1/limits", body)
	}
	free.do(false, 415, "PUT", "/v1/limits", `{}`, "Content-Type: text/plain")
	free.do(false, 413, "PUT", "/v1/limits", `{"x":"`+strings.Repeat("x", 20000)+`"}`)
	free.do(false, 400, "POST", "/v1/sandwich", `{}`)
	free.do(false, 413, "POST", "/v1/sandwich", `{"shard_id":"`+strings.Repeat("x", 20000)+`"}`)

	strict := c.on(bare{memory(t, 1, 1)})
	at = strict.do(true, 201, "POST", "/v1/permits", `{"shard":0}`).Get("Location")
	strict.do(true, 204, "DELETE", at, "")
	strict.do(true, 410, "POST", at+"/identified", "")

	secret := c.on(memory(t, 1, 1), httpqueue.WithBearerToken("secret"))
	const bearer = "Authorization: Bearer secret"
	secret.do(true, 204, "POST", "/v1/pause", `{"who":"alice","why":"Discord is down","for_ms":1800000}`, bearer)
	secret.do(true, 200, "GET", "/v1/pause", "", bearer)
	secret.do(true, 200, "GET", "/v1/status", "", bearer)
	secret.do(true, 204, "POST", "/v1/resume", `{"why":"it is up"}`, bearer)
	secret.do(true, 401, "GET", "/v1/pause", "")
	for _, path := range []string{"/v1/pause", "/v1/resume"} {
		secret.do(true, 401, "POST", path, `{"why":"a guess"}`)
		for _, body := range []string{`{}`, `{"why":"a","for_ms":1}`, `{"why":"a","for_ms":-1}`, `{"why":1}`, `{"who":"a","why":"` + strings.Repeat("x", 301) + `"}`, `{"why":"a","until":1}`} {
			secret.do(false, 400, "POST", path, body, bearer)
		}
		secret.do(false, 415, "POST", path, `{"why":"a"}`, bearer, "Content-Type: text/plain")
		secret.do(false, 413, "POST", path, `{"why":"`+strings.Repeat("x", 20000)+`"}`, bearer)
	}
	broken := c.on(plain{errors.New("broken")})
	closed := c.on(plain{gatewayqueue.ErrClosed})
	spent := c.on(plain{&gatewayqueue.ExhaustedError{ResetAfter: time.Hour}})
	for _, r := range []struct{ method, path, body string }{
		{"POST", "/v1/permits", `{"shard":0}`}, {"POST", "/v1/identifies", `{"shard":0}`}, {"POST", "/v1/sandwich", `{"shard_id":0}`},
	} {
		secret.do(true, 401, r.method, r.path, r.body)
		broken.do(true, 500, r.method, r.path, r.body)
		closed.do(true, 503, r.method, r.path, r.body)
		spent.do(true, 429, r.method, r.path, r.body)
	}
	for _, r := range []struct{ method, path, body string }{
		{"GET", "/v1/permits/x", ""}, {"PUT", "/v1/permits/x", ""}, {"DELETE", "/v1/permits/x", ""}, {"POST", "/v1/permits/x/identified", ""},
		{"GET", "/v1/status", ""}, {"GET", "/v1/limits", ""}, {"GET", "/v1/history", ""}, {"DELETE", "/v1/waits/x", ""},
		{"GET", "/v1/plan?shards=1", ""},
		{"PUT", "/v1/limits", `{"total":10,"remaining":5,"reset_after":0,"max_concurrency":1}`},
	} {
		secret.do(true, 401, r.method, r.path, r.body)
	}
	broken.do(true, 501, "GET", "/v1/status", "")
	broken.do(true, 501, "GET", "/v1/plan?shards=1", "")
	broken.do(true, 501, "GET", "/v1/limits", "")
	broken.do(true, 501, "GET", "/v1/history", "")
	broken.do(true, 501, "PUT", "/v1/limits", `{"total":10,"remaining":5,"reset_after":0,"max_concurrency":1}`)

	// What is described and never seen, because no queue here is so unwell.
	unseen := []string{}
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			for status := range operation.Responses.Map() {
				if answer := method + " " + path + " " + status; !c.seen.answers[answer] {
					unseen = append(unseen, answer)
				}
			}
		}
	}
	slices.Sort(unseen)
	for _, answer := range unseen {
		switch status := answer[len(answer)-3:]; status {
		case "500", "501", "503":
		default:
			t.Errorf("described, but never answered: %s", answer)
		}
	}
	t.Logf("%d kinds of answer are as described; not seen: %d", len(c.seen.answers), len(unseen))
}

// bare is a queue whose permits know the contract and no more.
type bare struct{ gatewayqueue.PermitQueue }

func (b bare) Acquire(ctx context.Context, shardID int) (gatewayqueue.Permit, error) {
	permit, err := b.PermitQueue.Acquire(ctx, shardID)
	return struct{ gatewayqueue.Permit }{permit}, err
}

func request(t *testing.T, method, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	check(t, err)
	return req
}

package httpqueue_test

// A side effect needs intent: what is no client's request takes no unit.

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/httpqueue"
)

const chrome = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/142.0 Safari/537.36\r\n"

func TestLegacy_RequestsOfClients(t *testing.T) {
	for name, request := range map[string]string{
		"twilight":           "GET /?shard=3 HTTP/1.1\r\nHost: q\r\n\r\n",
		"curl":               "GET /?shard=3 HTTP/1.1\r\nHost: q\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n",
		"Node's fetch":       "GET /?shard=3 HTTP/1.1\r\nhost: q\r\naccept: */*\r\nsec-fetch-mode: cors\r\nuser-agent: node\r\n\r\n",
		"Java's client":      "GET /?shard=3 HTTP/1.1\r\nHost: q\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\nUser-Agent: Java-http-client/21\r\n\r\n",
		"Java's connection":  "GET /?shard=3 HTTP/1.1\r\nUser-Agent: Java/17.0.9\r\nHost: q\r\nAccept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2\r\n\r\n",
		"the same by a name": "GET /?shard=3 HTTP/1.1\r\nUser-Agent: my-bot/1\r\nHost: q\r\nAccept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2\r\nConnection: keep-alive\r\n\r\n",
		"a POST":             "POST /?shard=3 HTTP/1.1\r\nHost: q\r\nContent-Length: 0\r\n\r\n",
		"a POST with a body": "POST /?shard=3 HTTP/1.1\r\nHost: q\r\nContent-Length: 2\r\n\r\n{}",
		"HTTP/1.0":           "GET /?shard=3 HTTP/1.0\r\n\r\n",
		"more in the query":  "GET /?x=y&shard=3 HTTP/1.1\r\nHost: q\r\n\r\n",
		"an absolute target": "GET http://q/?shard=3 HTTP/1.1\r\nHost: q\r\n\r\n",
		"a port":             "GET http://q:80/?shard=3 HTTP/1.1\r\nHost: q\r\n\r\n",
		"no path":            "GET http://q?shard=3 HTTP/1.1\r\nHost: q\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				queue := &counted{PermitQueue: inMemory(t, full(0))}
				answer := serve(t, queue).say(t, request, time.Minute)
				require.Contains(t, answer, granted)
				require.Equal(t, []int{3}, queue.grants())
			})
		})
	}
}

func TestLegacy_RequestsOfOthersTakeNothing(t *testing.T) {
	for request, status := range map[string]string{ // status is empty where the connection is closed without an answer
		// A client that names a shard may be a client that takes any answer for a grant.
		"GET /healthz/?shard=1":     "",
		"GET /livez?shard=1":        "",
		"GET /metrics/?shard=1":     "",
		"GET /favicon.ico?shard=1":  "",
		"GET /v2/status?shard=1":    "",
		"GET //?shard=1":            "",
		"HEAD /?shard=1":            "",
		"OPTIONS /?shard=1":         "",
		"TRACE /?shard=1":           "",
		"PUT /?shard=1":             "",
		"DELETE /?shard=1":          "",
		"PATCH /?shard=1":           "",
		"QUERY /?shard=1":           "",
		"get /?shard=1":             "",
		"OPTIONS *":                 "",
		"CONNECT q:80":              "",
		"GET /":                     "",
		"GET /?shard=":              "",
		"GET /?shard=-1":            "",
		"GET /?shard=1.5":           "",
		"GET /?shard=1&shard=2":     "",
		"GET /?shard=2147483648":    "",
		"GET /?Shard=1":             "",
		"GET /?id=1":                "",
		"GET /healthz/":             "404",
		"GET /livez":                "404",
		"POST /graphql":             "404",
		"GET /v2/status":            "404",
		"HEAD /":                    "405",
		"OPTIONS /":                 "405",
		"DELETE /x":                 "405",
		"GET /?shard=1 | " + chrome: "404",
		"GET / | " + chrome:         "404",
		"GET /?shard=1 | User-Agent: kube-probe/1.32\r\n":                                            "404",
		"GET /?shard=1 | User-Agent: Blackbox Exporter/0.27.0\r\n":                                   "404",
		"GET /?shard=1 | User-Agent: Envoy/HC\r\n":                                                   "404",
		"GET /?shard=1 | User-Agent: check_http/v2.4 (nagios-plugins 2.4)\r\n":                       "404",
		"GET /?shard=1 | User-Agent: Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)\r\n": "404",
		"GET /?shard=1 | Accept: text/html,application/xhtml+xml\r\n":                                "404",
		"GET /?shard=1 | Accept: image/avif,image/webp,*/*\r\n":                                      "404",
		"GET /?shard=1 | Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\n":                       "404",
		"GET /?shard=1 | Sec-Fetch-Site: cross-site\r\nSec-Fetch-Dest: image\r\n":                    "403",
		"GET /?shard=1 | Sec-Fetch-Site: same-site\r\n":                                              "403",
		"POST /?shard=1 | Origin: http://evil.example\r\n":                                           "403",
		"POST /?shard=1 | Origin: null\r\n":                                                          "403",
		"POST /?shard=1 | Origin: http://q:81\r\n":                                                   "403",
		"GET /?shard=1 | Sec-Purpose: prefetch\r\n":                                                  "403",
		"GET /?shard=1 | Purpose: prefetch\r\n":                                                      "403",
		"POST / | Content-Type: application/json\r\n{\"shard_id\":1,\"shard_count\":2}":              "404", // Sandwich
		"POST /identify | Content-Type: application/json\r\n{\"shard_id\":1,\"max_concurrency\":1}":  "404",
	} {
		t.Run(request, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				queue := &counted{PermitQueue: inMemory(t, full(0))}
				var log bytes.Buffer
				s := serve(t, queue, httpqueue.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
				line, header, _ := strings.Cut(request, " | ")
				header, body, has := strings.Cut(header, "\r\n{")
				if header != "" {
					header = strings.TrimSuffix(header, "\r\n") + "\r\n"
				}
				if has {
					body = "{" + body
					header += "Content-Length: " + strconv.Itoa(len(body)) + "\r\n"
				}
				answer := s.say(t, line+" HTTP/1.1\r\nHost: q\r\n"+header+"\r\n"+body, time.Minute)
				if status == "" {
					assert.Empty(t, answer)
				} else {
					assert.True(t, strings.HasPrefix(answer, "HTTP/1.1 "+status+" "), answer)
					assert.NotContains(t, answer, granted)
				}
				synctest.Wait()
				assert.Empty(t, queue.grants())
				assert.Contains(t, log.String(), "nothing is granted")
				assert.Contains(t, log.String(), "method="+strings.Fields(line)[0])
			})
		})
	}
}

// HTTP/2 with prior knowledge begins with what looks like a request.
func TestLegacy_HTTP2TakesNothing(t *testing.T) {
	for _, opts := range [][]httpqueue.Option{nil, {httpqueue.WithLenientLegacy()}} {
		synctest.Test(t, func(t *testing.T) {
			queue := &counted{PermitQueue: inMemory(t, full(0))}
			s := serve(t, queue, opts...)
			assert.Empty(t, s.say(t, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", time.Minute))
			assert.Empty(t, queue.grants())
		})
	}
}

func TestLegacy_RefusalsDoNotFloodTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := serve(t, inMemory(t, full(0)), httpqueue.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		for range 1000 {
			s.say(t, "GET /livez HTTP/1.1\r\nHost: q\r\n\r\n", time.Minute)
		}
		assert.Less(t, strings.Count(log.String(), "\n"), 40)
		time.Sleep(time.Minute)
		s.say(t, "GET /last HTTP/1.1\r\nHost: q\r\nUser-Agent: u\r\n\r\n", time.Minute)
		assert.Contains(t, log.String(), "path=/last user_agent=u")
		assert.Contains(t, log.String(), "untold_before=970")
	})
}

// Every route that changes something, as a page of another site can ask for it.
func TestAPI_PagesOfOtherSitesChangeNothing(t *testing.T) {
	queue := &counted{PermitQueue: inMemory(t, full(0))}
	s := serveTCP(t, queue)
	first := s.do(t, "POST", "/v1/permits", `{"shard":0}`)
	require.Equal(t, http.StatusCreated, first.status)
	permit := "/v1/permits/" + first.body["id"].(string)
	self := strings.TrimPrefix(s.url, "http://")
	for _, route := range []struct{ method, path, body string }{
		{"POST", "/v1/permits?shard=1", ""},
		{"POST", "/v1/permits", `{"shard":1}`},
		{"POST", "/v1/identifies?shard=1", ""},
		{"POST", "/v1/identifies", `{"shard":1}`},
		{"POST", "/v1/sandwich", `{"shard_id":1}`},
		{"PUT", "/v1/limits", `{"total":1,"remaining":0,"reset_after":1,"max_concurrency":1}`},
		{"PUT", permit, ""},
		{"POST", permit + "/identified", ""},
		{"DELETE", permit, ""},
		{"DELETE", "/v1/waits/k", ""},
	} {
		for header, field := range map[string]string{
			"Sec-Fetch-Site: cross-site":            "Sec-Fetch-Site",
			"Sec-Fetch-Site: same-site":             "Sec-Fetch-Site",
			"Origin: http://evil.example":           "Origin",
			"Origin: null":                          "Origin",
			"Origin: http://" + self + ".evil.test": "Origin",
			"Host: evil.example":                    "Host",
			"Host: localhost.evil.example":          "Host",
			"Host: 127.0.0.1.evil.example:8080":     "Host",
			"Host: 203.0.113.7":                     "Host",
			"Sec-Purpose: prefetch":                 "Sec-Purpose",
		} {
			req, err := http.NewRequestWithContext(t.Context(), route.method, s.url+route.path, strings.NewReader(route.body))
			require.NoError(t, err)
			if route.body != "" {
				req.Header.Set("Content-Type", "application/json")
			}
			name, value, _ := strings.Cut(header, ": ")
			req.Header.Set(name, value)
			if name == "Host" {
				req.Host = value
			}
			resp, err := s.client.Do(req)
			require.NoError(t, err)
			text, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			_ = resp.Body.Close()
			assert.Equal(t, http.StatusForbidden, resp.StatusCode, "%s %s with %s: %s", route.method, route.path, header, text)
			assert.Contains(t, string(text), `"field":"`+field+`"`)
		}
	}
	require.Equal(t, []int{0}, queue.grants())
	require.Equal(t, http.StatusOK, s.do(t, "PUT", permit, "").status, "it is as it was")
}

func TestAPI_OwnPagesAndOtherNames(t *testing.T) {
	for name, test := range map[string]struct {
		opts    []httpqueue.Option
		headers []string
		host    string
		status  int
	}{
		"no browser":                     {nil, nil, "", 201},
		"a page of the server's own":     {nil, []string{"Sec-Fetch-Site: same-origin", "Origin: http://localhost:99"}, "localhost:99", 201},
		"typed by its user":              {nil, []string{"Sec-Fetch-Site: none"}, "", 201},
		"localhost":                      {nil, nil, "localhost", 201},
		"a name of a container":          {nil, nil, "gateway-queue:80", 201},
		"IPv6":                           {nil, nil, "[::1]:8080", 201},
		"a name of the proxy before it":  {[]httpqueue.Option{httpqueue.WithHosts("queue.example")}, nil, "queue.example:443", 201},
		"its address":                    {[]httpqueue.Option{httpqueue.WithHosts("192.0.2.7")}, nil, "192.0.2.7:8080", 201},
		"its address of IPv6":            {[]httpqueue.Option{httpqueue.WithHosts("2001:db8::7")}, nil, "[2001:DB8:0::7]:8080", 201},
		"the same in brackets":           {[]httpqueue.Option{httpqueue.WithHosts("[2001:db8::7]")}, nil, "[2001:db8::7]", 201},
		"another address":                {[]httpqueue.Option{httpqueue.WithHosts("192.0.2.7")}, nil, "192.0.2.8:8080", 403},
		"a name with a dot at its end":   {[]httpqueue.Option{httpqueue.WithHosts("queue.example")}, nil, "Queue.Example.:8080", 201},
		"another name":                   {[]httpqueue.Option{httpqueue.WithHosts("queue.example")}, nil, "a.queue.example", 403},
		"any name, with the token":       {[]httpqueue.Option{httpqueue.WithBearerToken("t")}, []string{"Authorization: Bearer t"}, "queue.example", 201},
		"a page of others, with a token": {[]httpqueue.Option{httpqueue.WithBearerToken("t")}, []string{"Authorization: Bearer t", "Origin: http://x.example"}, "queue.example", 403},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveTCP(t, inMemory(t, full(0)), test.opts...)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/v1/permits?shard=0", http.NoBody)
			require.NoError(t, err)
			req.Host = test.host
			for _, h := range test.headers {
				name, value, _ := strings.Cut(h, ": ")
				req.Header.Set(name, value)
			}
			resp, err := s.client.Do(req)
			require.NoError(t, err)
			_ = resp.Body.Close()
			require.Equal(t, test.status, resp.StatusCode)
		})
	}
	_, err := httpqueue.NewHandler(inMemory(t, full(0)), httpqueue.WithHosts("queue.example:80"))
	require.ErrorContains(t, err, `host is "queue.example:80"`)
}

// The legacy route asks for no token, so a token proves nothing there.
func TestLegacy_NamesOfPagesTakeNothingWhateverGuardsTheRest(t *testing.T) {
	for _, opts := range [][]httpqueue.Option{nil, {httpqueue.WithBearerToken("t")}, {httpqueue.WithLenientLegacy(), httpqueue.WithBearerToken("t")}} {
		queue := &counted{PermitQueue: inMemory(t, full(0))}
		s := serveTCP(t, queue, opts...)
		assert.Empty(t, s.say(t, "GET /?shard=3 HTTP/1.1\r\nHost: evil.example:8080\r\nUser-Agent: set by the page\r\n\r\n", 2*time.Second))
		assert.Empty(t, queue.grants())
		assert.Contains(t, s.say(t, "GET /?shard=3 HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\n\r\n", 10*time.Second), granted)
	}
}

// Whatever a client has sent before it hangs up, it is out of line then.
func TestAClientThatHangsUpHoldsNobodyUp(t *testing.T) {
	for name, first := range map[string][]string{
		"legacy":                         {"GET /?shard=1 HTTP/1.1\r\nHost: q\r\n\r\n"},
		"legacy, and the next at once":   {"GET /?shard=1 HTTP/1.1\r\nHost: q\r\n\r\nGET /?shard=2 HTTP/1.1\r\nHost: q\r\n\r\n"},
		"legacy, and the next later":     {"GET /?shard=1 HTTP/1.1\r\nHost: q\r\n\r\n", "GET /?shard=2 HTTP/1.1\r\nHost: q\r\n\r\n"},
		"legacy, and one byte":           {"GET /?shard=1 HTTP/1.1\r\nHost: q\r\n\r\n", "x"},
		"legacy, a body and more":        {"POST /?shard=1 HTTP/1.1\r\nHost: q\r\nContent-Length: 2\r\n\r\nab", "cdefg"},
		"/v1":                            {"POST /v1/permits?shard=1 HTTP/1.1\r\nHost: q\r\n\r\n"},
		"/v1, and the next later":        {"POST /v1/permits?shard=1 HTTP/1.1\r\nHost: q\r\n\r\n", "POST /v1/permits?shard=2 HTTP/1.1\r\nHost: q\r\n\r\n"},
		"/v1/sandwich, and a blank line": {"POST /v1/sandwich HTTP/1.1\r\nHost: q\r\nContent-Length: 14\r\n\r\n{\"shard_id\":1}", "\r\n"},
		"a body that is not sent":        {"POST /?shard=1 HTTP/1.1\r\nHost: q\r\nContent-Length: 200\r\n\r\nab"},
		"a header that is not sent":      {"GET /?shard=1 HTTP/1.1\r\nHo"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				memory := inMemory(t, full(1))
				queue := &counted{PermitQueue: memory}
				s := serve(t, queue)
				require.NoError(t, queue.Wait(t.Context(), 0)) // closes the bucket
				conn, err := s.pipes.Dial(t.Context(), "", "")
				require.NoError(t, err)
				go func() { _, _ = io.Copy(io.Discard, conn) }()
				for _, text := range first {
					go func() { _, _ = io.WriteString(conn, text) }()
					time.Sleep(time.Second)
				}
				_ = conn.Close()
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				require.NoError(t, queue.Wait(ctx, 3))
				assert.LessOrEqual(t, time.Since(start), 5250*time.Millisecond)
				assert.Equal(t, []int{0, 3}, queue.grants(), "nobody else")
			})
		})
	}
}

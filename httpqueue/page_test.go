package httpqueue_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/httpqueue"
)

const opens = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"

// A person who types the server's address into a browser is led to the page, and nothing is granted.
func TestPage_ABrowserIsLedThere(t *testing.T) {
	for request, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: localhost\r\n" + chrome + opens:                                               "303 See Other",
		"HEAD / HTTP/1.1\r\nHost: localhost\r\n" + chrome + opens:                                              "303 See Other",
		"GET / HTTP/1.1\r\nHost: queue.example\r\nSec-Fetch-Site: cross-site\r\n" + chrome + opens:             "303 See Other", // a link in a chat
		"GET /?shard=0 HTTP/1.1\r\nHost: localhost\r\n" + chrome + opens:                                       "404 Not Found",
		"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n" + chrome + opens:                         "404 Not Found",
		"GET /favicon.ico HTTP/1.1\r\nHost: localhost\r\nAccept: image/avif,image/webp,*/*;q=0.8\r\n" + chrome: "404 Not Found",
	} {
		for name, more := range map[string][]httpqueue.Option{
			"": nil, "lenient": {httpqueue.WithLenientLegacy()}, "no legacy route": {httpqueue.WithoutLegacy()},
		} {
			t.Run(strings.Join([]string{strings.SplitN(request, " HTTP", 2)[0], name}, " "), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					queue := &counted{PermitQueue: inMemory(t, full(0))}
					answer := serve(t, queue, append(more, httpqueue.WithPage("/dashboard"))...).say(t, request+"\r\n", time.Minute)
					assert.True(t, strings.HasPrefix(answer, "HTTP/1.1 "+want), answer)
					if strings.HasPrefix(want, "303") {
						assert.Contains(t, answer, "\r\nLocation: /dashboard\r\n")
					}
					assert.Empty(t, queue.grants())
				})
			})
		}
	}
	synctest.Test(t, func(t *testing.T) {
		queue := &counted{PermitQueue: inMemory(t, full(0))}
		answer := serve(t, queue, httpqueue.WithPage("/dashboard")).say(t, "GET /?shard=3 HTTP/1.1\r\nHost: q\r\n\r\n", time.Minute)
		require.Contains(t, answer, granted, "a client is no browser")
	})
}

func TestPage_IsAPathOfThisServer(t *testing.T) {
	for _, path := range []string{"/", "//evil.example", "https://evil.example", "dashboard"} {
		_, err := httpqueue.NewHandler(inMemory(t, full(0)), httpqueue.WithPage(path))
		assert.ErrorContains(t, err, "page", path)
	}
}

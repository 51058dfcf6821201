// What is served beside the work itself, and who may see it.

package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// Snapshot is the queue as it was within the last second: a status blocks Redis
// for the longer the more shards there are, and any number may scrape.
type Snapshot struct {
	Queue gatewayqueue.StatusReader

	mu     sync.Mutex
	taken  time.Time
	status gatewayqueue.Status
	err    error
}

const freshFor = time.Second

// Status implements [gatewayqueue.StatusReader]. A caller that
// comes while it is taken waits for it.
func (s *Snapshot) Status(ctx context.Context) (gatewayqueue.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.taken) >= freshFor {
		s.status, s.err = s.Queue.Status(ctx)
		s.taken = time.Now()
	}
	return s.status, s.err
}

// Buffered has an answer made before it is sent, so that a client that does not
// read it keeps nobody else from having one made. A request that
// comes while n are made waits: a flood of requests would have others refused.
func Buffered(n int, h http.Handler) http.Handler {
	places := make(chan struct{}, n)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case places <- struct{}{}:
		case <-r.Context().Done():
			return // nobody is there to read it
		}
		made := &answer{header: w.Header(), status: http.StatusOK}
		func() {
			defer func() { <-places }()
			h.ServeHTTP(made, r)
		}()
		w.WriteHeader(made.status)
		_, _ = made.body.WriteTo(w) // A client that does not read it does not need it.
	})
}

type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

// Guarded asks for the token: as a bearer's, or as the password of any user,
// which is what a browser can send.
func Guarded(token string, h http.Handler) http.Handler {
	if token == "" {
		return h
	}
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !found {
			_, given, _ = r.BasicAuth()
		}
		got := sha256.Sum256([]byte(given))
		if subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="gatewayqueue: the token is the password", charset="UTF-8"`)
		http.Error(w, "the token is missing or wrong", http.StatusUnauthorized)
	})
}

// Healthy says that the process answers. It ignores that Redis is away: a restart
// would not help.
func Healthy(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "ok\n") // A client that does not read it does not need it.
}

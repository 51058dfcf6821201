// Whether requests should come to this server.

package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// Readiness says whether requests should come here: grants are possible, and the
// server is not about to end. Anybody may ask, so it looks at most once in a
// readyFor, and tells nothing that a stranger should not know.
type Readiness struct {
	Ask func(context.Context) error // nil where a grant is possible, now or later

	mu      sync.Mutex
	ending  bool
	looked  time.Time
	trouble string
}

const (
	readyFor     = time.Second
	readyTimeout = 2 * time.Second
)

// Stop says that the server is about to end.
func (r *Readiness) Stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ending = true
}

func (r *Readiness) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if why := r.why(req.Context()); why != "" {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "not ready: "+why+"\n") // A client that does not read it does not need it.
		return
	}
	_, _ = io.WriteString(w, "ready\n") // As above.
}

// why is why it is not ready; empty if it is.
func (r *Readiness) why(ctx context.Context) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ending {
		return "stopping"
	}
	if time.Since(r.looked) < readyFor {
		return r.trouble
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout)
	defer cancel()
	r.trouble = inWords(r.Ask(ctx))
	r.looked = time.Now()
	return r.trouble
}

// words are for errors that a probe's reader can do something about. Others may
// hold addresses.
var words = []struct {
	of   error
	text string
}{
	{ErrUnheard, ErrUnheard.Error()},
	{redisqueue.ErrNeverGrants, "under these limits nothing is ever granted"},
	{redisqueue.ErrLimitMismatch, "max_concurrency differs from the queue's"},
	{redisqueue.ErrBadValue, "a value in Redis cannot be used"},
	{redisqueue.ErrUnauthorized, "Discord refuses the bot token"},
	{gatewayqueue.ErrClosed, "stopping"},
}

// codes are for what Redis says, wherever it stands in the text.
var codes = []struct{ code, text string }{
	{"READONLY", "Redis is a replica"},
	{"MASTERDOWN", "Redis is a replica"},
	{"MOVED ", "Redis is a node of a Cluster"},
	{"NOPERM", "the Redis user may not run the queue's scripts"},
	{"can't run this command", "the Redis user may not run the queue's scripts"},
	{"can't access at least one", "the Redis user may not run the queue's scripts"},
	{"ACL failure", "the Redis user may not run the queue's scripts"},
	{"NOAUTH", "Redis refuses user or password"},
	{"WRONGPASS", "Redis refuses user or password"},
	{"LOADING", "Redis reads its data"},
	{"OOM ", "Redis takes no writes"},
	{"MISCONF", "Redis takes no writes"},
	{"NOREPLICAS", "Redis takes no writes"},
}

func inWords(err error) string {
	if err == nil {
		return ""
	}
	for _, w := range words {
		if errors.Is(err, w.of) {
			return w.text
		}
	}
	for _, c := range codes {
		if strings.Contains(err.Error(), c.code) {
			return c.text
		}
	}
	return "the queue cannot be read"
}

// InMemoryReady is Redis's Ready for a queue in memory.
func InMemoryReady(ctx context.Context, q gatewayqueue.StatusReader) error {
	s, err := q.Status(ctx)
	if err == nil && s.Budget.Total == 0 && s.Budget.MaxConcurrency > 0 {
		err = redisqueue.ErrNeverGrants
	}
	return err
}

// The handler: whose a request is, who waits, and the end.

package httpqueue

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
)

// Handler serves a queue. It implements [http.Handler], and may be used from
// any number of goroutines. It starts no goroutine for a request that waits.
type Handler struct {
	queue   gatewayqueue.PermitQueue
	shared  SharedQueue // the queue, or nil if it is this process's own
	options options
	visited visited // the queue, or nil if it does not know who comes back
	notes   notes
	seals   seals
	held    held

	refusals refusals

	work sync.WaitGroup // requests that wait or are being answered, windows to be started, and notes

	ending context.Context // ends when the handler takes nobody any more
	end    context.CancelFunc

	mu      sync.Mutex
	stopped bool
	waiters map[*waiter]struct{}
	keys    map[string][]*waiter // those whose client has named them: one a shard
}

// NewHandler serves queue on the legacy route and under /v1. The queue stays
// the caller's, who closes it after the handler. An option out of its range is
// a [gatewayqueue.InvalidError].
//
// A queue that is a [SharedQueue], such as *redisqueue.RedisQueue, is served as
// [NewSharedHandler] does, and one that has only some of its methods is refused.
// For any other queue the handler itself keeps the permits that are out, so one
// server has to serve all of its callers; /v1/status and /v1/limits need a
// [gatewayqueue.StatusReader] and an Update, and answer 501 without. The log of
// [WithLogger] says at the start which of these it is.
func NewHandler(queue gatewayqueue.PermitQueue, opts ...Option) (*Handler, error) {
	if queue == nil {
		return nil, &gatewayqueue.InvalidError{Field: "queue", Value: "nil", Want: "a queue"}
	}
	shared, err := sharedOf(queue)
	if err != nil {
		return nil, err
	}
	return newHandler(queue, shared, opts)
}

// NewSharedHandler is NewHandler for a queue that many servers share. The
// handler keeps nothing that another one needs: any of them renews and settles a
// permit, and a caller keeps its place in line between two requests.
func NewSharedHandler(queue SharedQueue, opts ...Option) (*Handler, error) {
	if queue == nil {
		return nil, &gatewayqueue.InvalidError{Field: "queue", Value: "nil", Want: "a queue"}
	}
	return newHandler(queue, queue, opts)
}

func newHandler(queue gatewayqueue.PermitQueue, shared SharedQueue, opts []Option) (*Handler, error) {
	h := &Handler{
		queue: queue, shared: shared, options: defaultOptions(),
		waiters: make(map[*waiter]struct{}), keys: make(map[string][]*waiter),
	}
	h.ending, h.end = context.WithCancel(context.Background())
	for _, opt := range opts {
		opt(&h.options)
	}
	if err := h.options.validate(); err != nil {
		return nil, err
	}
	h.visited, _ = queue.(visited)
	if h.notes = new(ownNotes); shared != nil {
		h.notes = shared
	}
	h.seals.notes, h.seals.token = h.notes, h.options.token
	h.held.log = h.options.log
	h.announce(h.options.log)
	return h, nil
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	awaitBody(w, r)
	path := r.URL.Path
	for _, route := range h.options.routes {
		if route.matches(path) {
			speak(r)
			route.handler.ServeHTTP(w, r)
			return
		}
	}
	switch {
	case h.options.page != "" && opensPage(r):
		speak(r)
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, h.options.page, http.StatusSeeOther)
	case path == "/v1" || strings.HasPrefix(path, "/v1/"):
		speak(r)
		h.api(w, r)
	case h.options.noLegacy:
		speak(r)
		newProblem(http.StatusNotFound, "not-found", "there is nothing at this path: the API is under /v1").write(w)
	default:
		h.legacy(w, r)
	}
}

// Why a wait ends that has brought no grant.
var (
	errPollOver   = errors.New("httpqueue: the time to wait is over")
	errLeft       = errors.New("httpqueue: the client has left the line")
	errShutdown   = errors.New("httpqueue: the server shuts down")
	errOverloaded = errors.New("httpqueue: too many wait")
)

// waiter is one request that waits.
type waiter struct {
	handler *Handler
	shard   int
	key     string // by which its client can end it, or empty
	cancel  context.CancelCauseFunc
	timer   context.CancelFunc // nil without a deadline
	conn    context.Context    // of its request
}

// over ends the wait because its time is over.
func (w *waiter) over() { w.cancel(errPollOver) }

// enter counts a request that is about to wait. The context ends when the
// client hangs up, and with one of the errors above as its cause. deadline is 0
// for none.
func (h *Handler) enter(ctx context.Context, deadline time.Duration, shard int, key string) (context.Context, *waiter, error) {
	w := &waiter{handler: h, shard: shard, key: key, conn: ctx}
	if !listen(ctx, true) {
		return nil, nil, errAhead
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.stopped:
		return nil, nil, errShutdown
	case len(h.waiters) >= h.options.maxWaiters:
		return nil, nil, errOverloaded
	}
	if deadline > 0 {
		ctx, w.timer = context.WithTimeout(ctx, deadline)
	}
	ctx, w.cancel = context.WithCancelCause(ctx)
	h.work.Add(1)
	h.waiters[w] = struct{}{}
	if key != "" {
		for _, before := range h.keys[key] {
			if before.shard == shard {
				before.cancel(errLeft) // its client has come again: the connection is lost
			}
		}
		h.keys[key] = append(h.keys[key], w)
	}
	return ctx, w, nil
}

// begins counts a request as work that Shutdown waits for, unless it is too late.
func (h *Handler) begins() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.stopped {
		h.work.Add(1)
	}
	return !h.stopped
}

// done is the end of enter.
func (w *waiter) done() {
	w.cancel(nil)
	listen(w.conn, false)
	if w.timer != nil {
		w.timer()
	}
	h := w.handler
	h.mu.Lock()
	delete(h.waiters, w)
	if w.key != "" {
		h.keys[w.key] = slices.DeleteFunc(h.keys[w.key], func(other *waiter) bool { return other == w })
		if len(h.keys[w.key]) == 0 {
			delete(h.keys, w.key)
		}
	}
	h.mu.Unlock()
	h.work.Done()
}

// leave ends the waits that their client has named so.
func (h *Handler) leave(key string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.keys[key] {
		w.cancel(errLeft)
	}
	return len(h.keys[key]) > 0
}

// Waiting is how many requests wait.
func (h *Handler) Waiting() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.waiters)
}

// Shutdown makes everyone who waits go elsewhere: legacy connections are
// dropped, /v1 answers 503 with the ticket that keeps the place in line, and
// slots that were granted but not answered go back. It blocks until that is
// done and the windows of the last answers have started, or until ctx ends. The
// handler refuses all later requests; Shutdown may be called again.
//
// Permits that are out stay: another server of the same Redis settles them.
func (h *Handler) Shutdown(ctx context.Context) error {
	h.stop()
	done := make(chan struct{})
	go func() { h.work.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctxerr.Ended(ctx)
	}
}

// Close is Shutdown without waiting for it to be done. It never fails.
func (h *Handler) Close() error {
	h.stop()
	return nil
}

func (h *Handler) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	h.end()
	for w := range h.waiters {
		w.cancel(errShutdown)
	}
}

// The legacy route: the protocol of twilight's gateway-queue. GET or POST of
// /?shard=N; the answer comes with the grant. Its clients take any answer for
// permission, so there is no other: what cannot be granted is dropped.

package httpqueue

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
)

// legacyAnswer is what the original says, to the letter.
const legacyAnswer = `{"message": "You're free to connect now! :)"}`

// Limits of the legacy route.
const (
	maxLegacyBody = 64 << 10         // bodies are read to hear the client hang up, and ignored
	settleTimeout = 10 * time.Second // for the queue to hear of an answer; it tries on after it

	// Before a connection is dropped that cannot be served: the original's
	// client comes again at once.
	refusalPause  = time.Second
	overloadPause = 100 * time.Millisecond
)

func (h *Handler) legacy(w http.ResponseWriter, r *http.Request) {
	if h.refuseLegacy(w, r) {
		return
	}
	shard := h.readLegacy(w, r)
	if err := h.answerOnce(w, r, shard, answerLegacy); err != nil {
		h.dropLegacy(r, shard, err)
	}
}

// readLegacy reads all there is to a request.
func (h *Handler) readLegacy(w http.ResponseWriter, r *http.Request) int {
	shard, ok := legacyShard(r.URL.RawQuery)
	if !ok {
		h.options.log.Warn("a legacy request has no single, valid shard: it counts as 0", "remote", r.RemoteAddr)
	}
	if !drain(w, r) {
		h.options.log.Warn("a legacy request's body is too long or too slow: dropped", "remote", r.RemoteAddr)
		drop()
	}
	return shard
}

func answerLegacy(w http.ResponseWriter) {
	w.Header()["Content-Type"] = nil // the original has none
	w.Header().Set("Content-Length", strconv.Itoa(len(legacyAnswer)))
	_, _ = io.WriteString(w, legacyAnswer)
}

// dropLegacy drops a request that cannot be granted.
func (h *Handler) dropLegacy(r *http.Request, shard int, err error) {
	switch {
	case errors.Is(err, errOverloaded):
		_ = ctxerr.Sleep(r.Context(), overloadPause)
	case r.Context().Err() == nil && !errors.Is(err, errShutdown) && !errors.Is(err, errAhead):
		h.options.log.Error("the queue refuses a legacy request: dropped", "shard", shard, "error", err)
		_ = ctxerr.Sleep(r.Context(), refusalPause)
	}
	drop()
}

// drop ends a request without an answer: the connection is closed, or the
// stream reset.
func drop() { panic(http.ErrAbortHandler) }

// answerOnce waits for the shard's turn and says so with answer. The slot is
// held as a permit until the answer is out, so that neither a client that has
// gone nor a server that was paused costs a slot or breaks the window; then the
// window begins, a margin later. An error means that nothing was answered.
//
// As with stand, its frame is small.
func (h *Handler) answerOnce(w http.ResponseWriter, r *http.Request, shard int, answer func(http.ResponseWriter)) error {
	ctx, waiter, err := h.enter(r.Context(), 0, shard, "")
	if err != nil {
		return err
	}
	defer waiter.done()
	for {
		permit, err := h.queue.Acquire(ctx, shard)
		if err != nil {
			return endOf(ctx, err)
		}
		if done, err := h.use(ctx, w, r, permit, answer); done {
			return err
		}
	}
}

// endOf adds why the server has ended a wait.
func endOf(ctx context.Context, err error) error { return errors.Join(context.Cause(ctx), err) }

// use answers with a permit, unless that has ended meanwhile, or the client is
// gone.
func (h *Handler) use(ctx context.Context, w http.ResponseWriter, r *http.Request, permit gatewayqueue.Permit, answer func(http.ResponseWriter)) (done bool, _ error) {
	listen(ctx, false) // with the answer its client may send the next request
	if ctx.Err() == nil && time.Now().Before(permit.Deadline()) {
		speak(r)
		answer(w)
		_ = http.NewResponseController(w).Flush() // whether the client has it, nobody knows
		h.startWindow(permit)
		return true, nil
	}
	h.giveBack(permit)
	listen(ctx, true)
	return ctx.Err() != nil, context.Cause(ctx)
}

// startWindow starts the window of an answered permit a margin from now.
func (h *Handler) startWindow(permit gatewayqueue.Permit) {
	h.work.Add(1)
	time.AfterFunc(h.options.margin, func() {
		defer h.work.Done()
		h.settle(permit.Identified)
	})
}

// giveBack gives a grant back that was not answered.
func (h *Handler) giveBack(permit gatewayqueue.Permit) { h.settle(permit.Abandon) }

func (h *Handler) settle(report func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
	defer cancel()
	if err := report(ctx); err != nil {
		h.options.log.Warn("could not report a permit: its bucket opens when its lease ends", "error", err)
	}
}

// legacyShard reads the shard as the original does: what is missing, repeated
// or no number counts as 0.
func legacyShard(query string) (shard int, ok bool) {
	values, err := url.ParseQuery(query)
	all := values["shard"]
	if err != nil && len(all) == 0 || len(all) != 1 {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(all[0], "+"), 10, 64)
	if err != nil || n > gatewayqueue.MaxShard {
		return 0, false
	}
	return int(n), true
}

// drain reads a body that nobody needs: only then does net/http notice that the
// client hangs up.
func drain(w http.ResponseWriter, r *http.Request) bool {
	if r.Body == nil || r.Body == http.NoBody {
		return true
	}
	if r.Header.Get("Expect") != "" { // the interim 100 is not an answer, but the client waits for it
		speak(r)
		defer hush(r)
	}
	n, err := io.Copy(io.Discard, io.LimitReader(r.Body, maxLegacyBody+1))
	if err != nil || n > maxLegacyBody {
		return false
	}
	bodyArrived(w)
	return true
}

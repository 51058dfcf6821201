// Package dashboard is a page that shows a queue live: its buckets and lines,
// the progress of a fleet that starts, the budget and who has spent it, pods, and
// the grants of the last minutes. It shows what its last look at the queue says, and
// says so when that is old: what is shown at a moment is a pure function of the two
// (page/picture.js).
//
// It needs no build step and loads nothing from elsewhere. All viewers share one
// poll of the queue's status; they hear of changes by server-sent events.
//
//	board := dashboard.New(queue)
//	defer board.Close()
//	http.Handle("/dashboard/", board)
//
// It only reads ([WithOrders] lets people give orders to a server, with its token), and asks nobody for a password: put it where only operators
// come, or behind a handler that asks.
package dashboard

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// Defaults of the options below.
const (
	DefaultInterval = 500 * time.Millisecond
	DefaultViewers  = 100
)

// Dashboard is an [http.Handler]: a request whose path ends in /events is a
// stream of events, every other one gets the page. It works below any path.
type Dashboard struct {
	queue    gatewayqueue.StatusReader
	interval time.Duration
	step     time.Duration
	viewers  int
	explain  func(error) string
	about    string
	up       func() int // nil if nobody knows
	sights   Sights     // nil without proxies
	history  History    // nil without

	sightsAt    time.Time                                    // when they were asked last; the poller's alone
	seenSights  *sights                                      // as last heard; nil for none
	apps        func(context.Context) ([]Application, error) // nil for only this one
	appsAt      time.Time                                    // when they were asked for last; this and the next are the poller's alone
	seenApps    []Application                                // as last heard
	pauser      gatewayqueue.Pauser                          // nil for no orders
	api         string                                       // where the page gives orders; empty for nowhere
	ordersAt    time.Time                                    // when those of the past were asked for last; this and the next two are the poller's alone
	ordersOf    *gatewayqueue.PauseStatus                    // that was in force then
	seenOrders  []order                                      // as last heard
	olderOrders int                                          // that are not among them
	historyAt   time.Time                                    // when it was asked for last; the poller's alone
	storm       *gatewayqueue.Storm

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	polling bool
	watch   map[*viewer]struct{}
	keep    int // calls of Run
	tracker tracker
	last    state               // of the last good look
	status  gatewayqueue.Status // the same as the queue has told it, for plans
	board   []byte              // the same as JSON; nil before the first
	trouble string              // why the last look failed
	rev     int                 // counts changes of board and trouble
	seen    time.Time           // of the last good look
	past    []byte              // the history as JSON; nil before the first
	pastRev int                 // counts changes of past
}

// Option changes a default of [New].
type Option func(*Dashboard)

// WithInterval sets how often the queue is looked at while somebody views,
// [DefaultInterval] by default.
func WithInterval(d time.Duration) Option { return func(b *Dashboard) { b.interval = d } }

// WithStep sets the time between two grants of a bucket, for estimates: a window
// and its margin, 5.25 s, by default.
func WithStep(d time.Duration) Option { return func(b *Dashboard) { b.step = d } }

// WithViewers sets how many may view at a time, [DefaultViewers] by default;
// more are told to come back later.
func WithViewers(n int) Option { return func(b *Dashboard) { b.viewers = n } }

// WithExplain sets how an error of the queue is told to viewers. By default they
// see its text.
func WithExplain(f func(error) string) Option { return func(b *Dashboard) { b.explain = f } }

// WithAbout sets a line for the foot of the page, such as the version of the program
// and the address of Redis. By default there is no such line.
func WithAbout(text string) Option { return func(b *Dashboard) { b.about = text } }

// WithUp sets who knows how many shards are up, such as a bot that counts its READYs:
// the queue itself knows only who has identified. count is called at each look, must
// not block, and returns a negative number while it does not know. By default the page
// does not say.
func WithUp(count func() int) Option { return func(b *Dashboard) { b.up = count } }

// New makes the page of a queue. It does nothing until somebody views, or until
// Run.
func New(queue gatewayqueue.StatusReader, opts ...Option) *Dashboard {
	b := &Dashboard{
		queue: queue, interval: DefaultInterval, viewers: DefaultViewers,
		step:    gatewayqueue.IdentifyDelay + gatewayqueue.GrantMargin,
		explain: func(err error) string { return err.Error() },
		watch:   make(map[*viewer]struct{}),
	}
	for _, opt := range opts {
		opt(b)
	}
	b.tracker.step = b.step
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// Run looks at the queue also while nobody views, though more seldom, so that
// the page has a past to show when somebody comes. It blocks until ctx ends or
// the dashboard is closed.
func (b *Dashboard) Run(ctx context.Context) {
	b.mu.Lock()
	b.keep++
	b.poll()
	b.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-b.ctx.Done():
	}
	b.mu.Lock()
	b.keep--
	b.mu.Unlock()
}

// Close ends all streams and waits until nothing of the dashboard runs. Those
// who come later get 503. Call it before [http.Server.Shutdown], which would
// wait for the streams. It never fails.
func (b *Dashboard) Close() error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.cancel()
	b.work.Wait()
	return nil
}

var _ io.Closer = (*Dashboard)(nil)

// ServeHTTP implements [http.Handler].
func (b *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "only to be looked at", http.StatusMethodNotAllowed)
		return
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/events"):
		b.stream(w, r)
		return
	case strings.HasSuffix(r.URL.Path, "/plan"):
		b.plan(w, r)
		return
	}
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", page.policy)
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	if r.Method == http.MethodGet {
		_, _ = w.Write(page.html) // A browser that does not read it does not see it.
	}
}

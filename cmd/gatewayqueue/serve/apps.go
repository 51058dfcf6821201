// The other queues of the Redis, for the page.

package serve

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/look"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
	"github.com/gatewayqueue/gatewayqueue/dashboard"
)

// appPath is where the pages of all applications are, each by its name.
const appPath = "/dashboard/app/"

// apps has a page for each queue of the Redis, made when somebody asks for it. These
// pages only read.
type apps struct {
	all     *look.All
	options []dashboard.Option

	mu     sync.Mutex
	boards map[string]*dashboard.Dashboard // by application
	closed bool
}

func newApps(url string, options ...dashboard.Option) (*apps, error) {
	redis, err := store.Lazy(url)
	if err != nil {
		return nil, err
	}
	a := &apps{all: look.NewAll(redis), boards: make(map[string]*dashboard.Dashboard)}
	a.options = slices.Concat(options, []dashboard.Option{
		dashboard.WithApplications(a.list), dashboard.WithExplain(func(err error) string { return cli.OneLine(redis.Explain(err)) }),
	})
	return a, nil
}

// list is what the pages list.
func (a *apps) list(ctx context.Context) ([]dashboard.Application, error) {
	queues, err := a.all.Look(ctx)
	if err != nil {
		return nil, err
	}
	var list []dashboard.Application
	for _, q := range queues {
		one := dashboard.Application{App: q.App, Link: appPath + q.App, Waiting: q.Waiting(), Oldest: q.Oldest().Milliseconds(), State: q.State()}
		if !q.Budget.Unknown && q.Err == nil {
			one.Left, one.Total = q.Budget.Remaining, q.Budget.Total
		}
		list = append(list, one)
	}
	return list, nil
}

// foundWithin is how long Redis may take to say whether it has a queue.
const foundWithin = 3 * time.Second

func (a *apps) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, appPath), "/")
	board, err := a.board(r.Context(), name)
	switch {
	case err != nil:
		http.Error(w, "it is not known whether there is such a queue: "+cli.OneLine(err), http.StatusServiceUnavailable)
	case board == nil:
		http.Error(w, "Redis has no queue of this application: /dashboard lists those that it has", http.StatusNotFound)
	default:
		board.ServeHTTP(w, r)
	}
}

// board is the page of an application; nil for none.
func (a *apps) board(ctx context.Context, name string) (*dashboard.Dashboard, error) {
	a.mu.Lock()
	board := a.boards[name]
	a.mu.Unlock()
	if board != nil {
		return board, nil
	}
	ctx, cancel := context.WithTimeout(ctx, foundWithin)
	defer cancel()
	queue, err := a.all.Queue(ctx, name)
	if err != nil || queue == nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.boards[name] == nil {
		a.boards[name] = dashboard.New(queue, slices.Concat(a.options, []dashboard.Option{
			dashboard.WithSights(queue.Sights), dashboard.WithHistory(queue.History), dashboard.WithOrders(queue, ""),
		})...)
		if a.closed {
			_ = a.boards[name].Close() // It never fails.
		}
	}
	return a.boards[name], nil
}

// Close ends the pages, and the connections.
func (a *apps) Close() error {
	a.closeBoards()
	return a.all.Close()
}

// closeBoards ends the streams of events, for which a server would wait.
func (a *apps) closeBoards() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	for _, board := range a.boards {
		_ = board.Close() // It never fails.
	}
}

// The other queues of the Redis, for the page.

package serve

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"

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
		list = append(list, dashboard.Application{
			App: q.App, Link: appPath + q.App, Left: q.Budget.Remaining, Total: q.Budget.Total, Waiting: q.Waiting(),
			Oldest: q.Oldest().Milliseconds(), State: q.State(),
		})
	}
	return list, nil
}

func (a *apps) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, appPath), "/")
	a.mu.Lock()
	board := a.boards[name]
	if board == nil {
		if queue := a.all.Queue(name); queue != nil { // one that a page has listed
			board = dashboard.New(queue, slices.Concat(a.options, []dashboard.Option{
				dashboard.WithSights(queue.Sights), dashboard.WithHistory(queue.History), dashboard.WithOrders(queue, ""),
			})...)
			a.boards[name] = board
		}
	}
	a.mu.Unlock()
	if board == nil {
		http.Error(w, "no queue of this application is known here: /dashboard lists them", http.StatusNotFound)
		return
	}
	board.ServeHTTP(w, r)
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
	for _, board := range a.boards {
		_ = board.Close() // It never fails.
	}
}

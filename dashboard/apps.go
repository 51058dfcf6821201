// Several applications of one Redis, as the page lists them.

package dashboard

import (
	"context"
	"time"
)

// appsEvery is how often the applications are asked for.
const appsEvery = 5 * time.Second

// Application is a queue beside the one of the page.
type Application struct {
	App     string `json:"app"`
	Link    string `json:"link,omitempty"` // to a page of its own, on this server; empty for none
	Left    int    `json:"left"`           // of the budget
	Total   int    `json:"total"`          // 0 where the budget is not known
	Waiting int    `json:"waiting"`
	Oldest  int64  `json:"oldest,omitempty"` // ms that the first in line has waited; 0 where nobody waits
	State   string `json:"state,omitempty"`  // what keeps it from granting, for people
}

// WithApplications has the page list the queues of a Redis. It is asked every 5 s
// while somebody views. By default the page shows its own queue only: who may see
// one bot may not be meant to see all.
func WithApplications(ask func(ctx context.Context) ([]Application, error)) Option {
	return func(b *Dashboard) { b.apps = ask }
}

// lookAtApps asks for the applications, if it is time to. Only the poller calls it.
func (b *Dashboard) lookAtApps(ctx context.Context) {
	if b.apps == nil || time.Since(b.appsAt) < appsEvery {
		return
	}
	b.appsAt = time.Now()
	if seen, err := b.apps(ctx); err == nil { // else the queue's own trouble is told, and what was heard before stays
		b.seenApps = seen
	}
}

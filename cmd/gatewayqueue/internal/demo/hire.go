// Where pods come from: goroutines, or processes that reach the judge by HTTP.

package demo

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
)

// template is what all pods have in common.
func (c *config) template(redis *store.Store) spec {
	return spec{
		Redis: redis.URL(), App: c.App, Limit: c.limit(), Window: c.Window, Margin: c.Margin,
		PodLease: c.podLease(), Mode: c.Mode, Dial: c.Dial,
	}
}

// hire decides how the fleet recruits its pods. The function that it returns
// ends what was set up for it.
func (f *fleet) hire(redis *store.Store) (func(), error) {
	if !f.Processes {
		f.recruit = func(ctx context.Context, s spec) (member, error) {
			return newThread(ctx, s, f.judge, redis.Explain, f.ledger.hear)
		}
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("--processes: the judge cannot listen on 127.0.0.1: %w", err)
	}
	court := &http.Server{Handler: f.judge, ReadHeaderTimeout: time.Minute}
	go func() { _ = court.Serve(listener) }() // ends with Close
	f.template.Judge = "http://" + listener.Addr().String()
	f.recruit = func(ctx context.Context, s spec) (member, error) {
		crashed := func(err error) {
			for _, shard := range f.ledger.missing(s.Shards) {
				f.ledger.hear(event{Kind: failed, Pod: s.Pod, Shard: shard, At: time.Now(), Error: err.Error()})
			}
		}
		return newChild(ctx, s, f.ledger.hear, crashed)
	}
	return func() { _ = court.Close() }, nil // Nobody needs it any more.
}

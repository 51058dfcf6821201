// A queue that takes orders, rather than looks.

package look

import (
	"context"
	"errors"
	"log/slog"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/remote"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// Orders is a queue that can be paused.
type Orders struct {
	gatewayqueue.Pauser
	gatewayqueue.StatusReader

	Name    string            // for people: the application, and where it is
	Explain func(error) error // words an error for the person at the terminal
	Close   func() error

	server bool   // it is behind one
	from   string // its address, without secrets
}

// OpenOrders finds the queue. isNew says that the application, which is named, need not
// have one yet.
func (f *Flags) OpenOrders(ctx context.Context, isNew bool) (Orders, error) {
	if f.URL != "" {
		return f.ordersOfServer()
	}
	redis, err := store.Open(ctx, f.Redis.Redis)
	if err != nil {
		return Orders{}, err
	}
	if !isNew || !f.appGiven {
		if f.App, err = choose(ctx, f, redis); err != nil {
			return Orders{}, errors.Join(err, redis.Close())
		}
	}
	client := redis.Impatient()
	queue, err := redisqueue.New(client, redisqueue.WithApp(f.App), redisqueue.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return Orders{}, errors.Join(err, client.Close(), redis.Close())
	}
	return Orders{
		Pauser: queue, StatusReader: queue, Name: "queue " + f.App + " in Redis at " + redis.String(),
		Explain: func(err error) error { return redis.ExplainValue(ctx, err, f.App) },
		Close:   func() error { return errors.Join(queue.Close(), client.Close(), redis.Close()) },
	}, nil
}

func (f *Flags) ordersOfServer() (Orders, error) {
	explain := func(err error) error { return remote.Explain(err, f.URL, f.auth != "") }
	options := []httpqueue.ClientOption{}
	if f.auth != "" {
		options = append(options, httpqueue.WithToken(f.auth))
	}
	client, err := httpqueue.NewClient(f.URL, options...)
	if err != nil {
		return Orders{}, cli.Usage("%v", explain(err))
	}
	return Orders{
		Pauser: client, StatusReader: client, Name: "the queue of the server at " + remote.Shown(f.URL),
		Explain: explain, Close: client.Close, server: true, from: remote.Shown(f.URL),
	}, nil
}

// Missing is an error if the application of a server has no queue yet.
func (o Orders) Missing(ctx context.Context) error {
	if !o.server {
		return nil // it was looked for in Redis at first
	}
	status, err := o.Status(ctx)
	if err == nil && isNone(status) {
		return noneBehind(status, o.from)
	}
	return err
}

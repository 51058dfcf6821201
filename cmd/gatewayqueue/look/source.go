// Where the snapshots are from: Redis, or a server.

package look

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/remote"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// Snapshot is a status, and where it is from.
type Snapshot struct {
	gatewayqueue.Status
	// Replica says that it was read from a replica, which may lag and grants
	// nothing. It is left out for a primary, and where the user may not ask (INFO).
	Replica bool `json:"replica,omitempty"`
	// Sights is what proxies see of shards. It and Storm are left out where no proxy
	// has told of any.
	Sights map[int]gatewayqueue.Sight `json:"sights,omitempty"`

	From   string `json:"-"` // what was asked, without secrets
	Server bool   `json:"-"` // it is a server of ours, and knows its reserve
}

// Looker takes a snapshot. Its errors are worded for the person at the terminal.
type Looker func(context.Context) (Snapshot, error)

// Source is what can be looked at, and closed.
type Source struct {
	Look  Looker
	Close func() error

	// History is what was granted in the last day, and From what is asked, without
	// secrets.
	History func(context.Context) ([]gatewayqueue.Minute, error)
	From    string
}

// Open finds the queue. Of a server it asks nothing yet; a Redis has to answer, and to
// have a queue of the application.
func (f *Flags) Open(ctx context.Context) (Source, error) {
	if f.URL != "" {
		return f.openServer()
	}
	return f.openRedis(ctx)
}

// answerWithin is how long a server may take.
const answerWithin = 10 * time.Second

func (f *Flags) openServer() (Source, error) {
	options := []httpqueue.ClientOption{}
	if f.auth != "" {
		options = append(options, httpqueue.WithToken(f.auth))
	}
	client, err := httpqueue.NewClient(f.URL, options...)
	if err != nil {
		return Source{}, cli.Usage("%v", remote.Explain(err, f.URL, f.auth != ""))
	}
	from := remote.Shown(f.URL)
	look := func(ctx context.Context) (Snapshot, error) {
		ctx, cancel := context.WithTimeout(ctx, answerWithin)
		defer cancel()
		s, err := client.Status(ctx)
		switch {
		case err != nil:
			return Snapshot{}, remote.Explain(err, f.URL, f.auth != "")
		case isNone(s):
			return Snapshot{}, noneBehind(s, from)
		}
		return Snapshot{Status: s, From: from, Server: true}, nil
	}
	return Source{
		Look: look, Close: client.Close, From: from,
		History: func(ctx context.Context) ([]gatewayqueue.Minute, error) {
			ctx, cancel := context.WithTimeout(ctx, answerWithin)
			defer cancel()
			minutes, err := client.History(ctx)
			if none := new(NoQueueError); err == nil && len(minutes) == 0 {
				if _, err := look(ctx); errors.As(err, &none) {
					return nil, none
				}
			}
			return minutes, remote.Explain(err, f.URL, f.auth != "")
		},
	}, nil
}

// isNone says that there is no queue in Redis yet: nothing of limits, of a limit source
// or of a pause. One that has lost a part of its state is one.
func isNone(s gatewayqueue.Status) bool {
	return s.App != "" && s.Epoch == "" && s.Seq == 0 && s.Budget.MaxConcurrency == 0 && s.Budget.Total == 0 &&
		s.Source.Error == "" && s.Pause == nil && s.Store.Error == ""
}

func noneBehind(s gatewayqueue.Status, from string) error {
	return noQueue("application %s of the server at %s has no queue yet: it is there from the first Wait of a shard", s.App, from)
}

func (f *Flags) openRedis(ctx context.Context) (Source, error) {
	redis, err := store.Open(ctx, f.Redis.Redis)
	if err != nil {
		return Source{}, err
	}
	if f.App, err = choose(ctx, f, redis); err != nil {
		return Source{}, errors.Join(err, redis.Close())
	}
	client := redis.Impatient()
	queue, err := redisqueue.New(client, redisqueue.WithApp(f.App), redisqueue.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return Source{}, errors.Join(err, client.Close(), redis.Close())
	}
	return Source{
		Look: func(ctx context.Context) (Snapshot, error) {
			s, err := queue.Status(ctx)
			switch {
			case err != nil:
				return Snapshot{}, redis.Explain(err)
			case isNone(s):
				return Snapshot{}, noQueue("application %s has no queue in Redis at %s: it is there from the first Wait of a pod", f.App, redis)
			}
			shot := Snapshot{Status: s, Replica: redis.IsReplica(ctx, client), From: redis.String()}
			if shot.Store = redis.Located(s.Store); shot.Replica { // it takes no writes, of course
				shot.Store = gatewayqueue.StoreStatus{}
			}
			// It is kept for people: a user who may not read it sees the rest.
			if sights, storm, err := queue.Sights(ctx); err == nil && !shot.Replica && (len(sights) > 0 || storm != gatewayqueue.Storm{}) {
				shot.Sights, shot.Storm = sights, &storm
			}
			return shot, nil
		},
		Close: func() error { return errors.Join(queue.Close(), client.Close(), redis.Close()) },
		History: func(ctx context.Context) ([]gatewayqueue.Minute, error) {
			minutes, err := queue.History(ctx)
			return minutes, redis.Explain(err)
		},
		From: redis.String(),
	}, nil
}

// choose settles on an application that has a queue.
func choose(ctx context.Context, f *Flags, redis *store.Store) (string, error) {
	if exists, err := redis.HasQueue(ctx, f.App); exists || err != nil {
		return f.App, err
	}
	apps, err := redis.Apps(ctx)
	switch {
	case err != nil && strings.Contains(err.Error(), "NOPERM"):
		return "", noQueue("application %s has no queue in Redis at %s; this user may not list which there are (+scan): name one with --app", f.App, redis)
	case err != nil:
		return "", err
	case len(apps) == 0:
		return "", noQueue("there is no queue in Redis at %s: is it the right server and database? "+
			"A queue is there from the first Wait of a pod", redis)
	case len(apps) == 1 && !f.appGiven:
		return apps[0], nil
	}
	const most = 10
	if !f.appGiven {
		return "", noQueue("Redis at %s has %d queues: choose one with --app: %s", redis, len(apps), picture.Names(apps, most))
	}
	return "", noQueue("application %s has no queue in Redis at %s: --app may be %s", f.App, redis, picture.Names(apps, most))
}

// NoQueueError says that a Redis answers, and that it is not known which of its queues
// is meant, or that it has none.
type NoQueueError struct{ text string }

func noQueue(format string, args ...any) error { return &NoQueueError{fmt.Sprintf(format, args...)} }

func (e *NoQueueError) Error() string { return e.text }

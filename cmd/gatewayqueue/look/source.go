// Where the snapshots are from: Redis, or a server.

package status

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/remote"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// snapshot is a status, and where it is from.
type snapshot struct {
	gatewayqueue.Status
	// Replica says that it was read from a replica, which may lag and grants
	// nothing. It is left out for a primary, and where the user may not ask (INFO).
	Replica bool `json:"replica,omitempty"`
	// Sights is what proxies see of shards, and Storm whether Discord refuses their
	// sessions in numbers; both are left out where no proxy has told of any.
	Sights map[int]gatewayqueue.Sight `json:"sights,omitempty"`
	Storm  *gatewayqueue.Storm        `json:"storm,omitempty"`

	from   string // what was asked, without secrets
	server bool   // it is a server of ours, and knows its reserve
}

type looker func(context.Context) (snapshot, error)

// source is what can be looked at, and closed.
type source struct {
	look  looker
	close func() error
}

func (c *config) open(ctx context.Context) (source, error) {
	if c.URL != "" {
		return c.openServer()
	}
	return c.openRedis(ctx)
}

// answerWithin is how long a server may take.
const answerWithin = 10 * time.Second

func (c *config) openServer() (source, error) {
	options := []httpqueue.ClientOption{}
	if c.auth != "" {
		options = append(options, httpqueue.WithToken(c.auth))
	}
	client, err := httpqueue.NewClient(c.URL, options...)
	if err != nil {
		return source{}, cli.Usage("%v", remote.Explain(err, c.URL, c.auth != ""))
	}
	from := remote.Shown(c.URL)
	return source{
		look: func(ctx context.Context) (snapshot, error) {
			ctx, cancel := context.WithTimeout(ctx, answerWithin)
			defer cancel()
			s, err := client.Status(ctx)
			if err != nil {
				return snapshot{}, remote.Explain(err, c.URL, c.auth != "")
			}
			return snapshot{Status: s, from: from, server: true}, nil
		},
		close: client.Close,
	}, nil
}

func (c *config) openRedis(ctx context.Context) (source, error) {
	redis, err := store.Open(ctx, c.Redis)
	if err != nil {
		return source{}, err
	}
	if c.App, err = choose(ctx, c, redis); err != nil {
		return source{}, errors.Join(err, redis.Close())
	}
	client := redis.Impatient()
	queue, err := redisqueue.New(client, redisqueue.WithApp(c.App), redisqueue.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return source{}, errors.Join(err, client.Close(), redis.Close())
	}
	return source{
		look: func(ctx context.Context) (snapshot, error) {
			s, err := queue.Status(ctx)
			if err != nil {
				return snapshot{}, redis.ExplainValue(ctx, err)
			}
			shot := snapshot{Status: s, Replica: redis.IsReplica(ctx, client), from: redis.String()}
			// It is kept for people: a user who may not read it sees the rest.
			if sights, storm, err := queue.Sights(ctx); err == nil && !shot.Replica && len(sights) > 0 {
				shot.Sights, shot.Storm = sights, &storm
			}
			return shot, nil
		},
		close: func() error { return errors.Join(queue.Close(), client.Close(), redis.Close()) },
	}, nil
}

// choose settles on an application that has a queue.
func choose(ctx context.Context, c *config, redis *store.Store) (string, error) {
	if exists, err := redis.HasQueue(ctx, c.App); exists || err != nil {
		return c.App, err
	}
	apps, err := redis.Apps(ctx)
	switch {
	case err != nil:
		return "", err
	case len(apps) == 0:
		return "", fmt.Errorf("there is no queue in Redis at %s: is it the right server and database? "+
			"A queue is there from the first Wait of a pod", redis)
	case len(apps) == 1 && !c.appGiven:
		return apps[0], nil
	}
	const most = 10
	if !c.appGiven {
		return "", fmt.Errorf("Redis at %s has %d queues: choose one with --app: %s", redis, len(apps), picture.Names(apps, most)) //nolint:staticcheck // A name.
	}
	return "", fmt.Errorf("application %s has no queue in Redis at %s: --app may be %s", c.App, redis, picture.Names(apps, most))
}

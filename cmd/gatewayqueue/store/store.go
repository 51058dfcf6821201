// Package store gets the program a Redis: a server, a replicated one or a
// Cluster at a URL, or one embedded in the process; and it words Redis's errors
// for the person at the terminal.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
)

// answerWithin is how long a server may take to answer at first.
const answerWithin = 5 * time.Second

func init() {
	// go-redis reports lost connections on standard error by itself, which
	// would tear the live view; the queue reports what matters.
	redis.SetLogger(discard{})
}

type discard struct{}

func (discard) Printf(context.Context, string, ...any) {}

// Store is a Redis that answers.
type Store struct {
	Client redis.UniversalClient
	at     *address
	url    string    // with its password: never printed
	server io.Closer // the embedded one
}

// Open connects to the Redis at rawURL and checks that it answers, and that it
// is what the URL says.
func Open(ctx context.Context, rawURL string) (*Store, error) {
	s, err := Lazy(rawURL)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	err = Answers(ctx, s.Client)
	if err == nil {
		err = s.mistaken(ctx)
	}
	if err != nil {
		return nil, errors.Join(s.Explain(err), s.Client.Close())
	}
	return s, nil
}

// Lazy is Open for those who can wait: it connects when first used.
func Lazy(rawURL string) (*Store, error) {
	at, err := parse(rawURL)
	if err != nil {
		return nil, refused(rawURL, err)
	}
	client, err := at.client(false)
	if err != nil {
		return nil, refused(rawURL, err)
	}
	return &Store{Client: client, at: at, url: rawURL}, nil
}

// Client makes a client for the Redis at rawURL, without any I/O.
func Client(rawURL string) (redis.UniversalClient, error) {
	s, err := Lazy(rawURL)
	if err != nil {
		return nil, err
	}
	return s.Client, nil
}

func refused(rawURL string, why error) error {
	return cli.Usage("the Redis URL %q is not one: %v; want %s", Redact(rawURL), why, Forms)
}

// Connections is how many the client may have, to all servers.
func (s *Store) Connections() int {
	of := func(o *redis.Options) int { return max(o.PoolSize, o.MaxActiveConns) + max(0, o.PipelinePoolSize) + 2 }
	switch client := s.Client.(type) {
	case *redis.Client:
		return of(client.Options()) + 2*len(s.at.hosts) // Sentinels are asked and listened to
	case *redis.ClusterClient:
		o := client.Options()
		const nodes = 3 // the queue's own, the one before it, and one that is asked for the map
		return nodes * of(&redis.Options{PoolSize: o.PoolSize, MaxActiveConns: o.MaxActiveConns, PipelinePoolSize: o.PipelinePoolSize})
	}
	return 0
}

// Impatient makes a client that reports at once that the server is away, where
// others try again for some seconds. It is for those who only look.
func (s *Store) Impatient() redis.UniversalClient {
	client, err := s.at.client(true)
	if err != nil {
		panic(err) // the same address has made a client before
	}
	return client
}

// Embed starts a Redis inside this process, on a free port of the loopback
// interface, so that redis-cli and other processes can use it too.
func Embed() (*Store, error) {
	server := miniredis.NewMiniRedis()
	server.ClockTTL(true) // keys expire by themselves
	if err := server.Start(); err != nil {
		return nil, fmt.Errorf("the embedded Redis cannot listen on 127.0.0.1: %w", err)
	}
	s, err := Lazy("redis://" + server.Addr())
	if err != nil {
		server.Close()
		return nil, err
	}
	s.server = closer(server.Close)
	return s, nil
}

type closer func()

func (c closer) Close() error { c(); return nil }

// URL is where another process finds this Redis. It may hold a password.
func (s *Store) URL() string { return s.url }

// String is the URL without user, password and options.
func (s *Store) String() string { return s.at.String() }

// Embedded reports whether the server ends with this process.
func (s *Store) Embedded() bool { return s.server != nil }

// Close ends the connections, and the server if it is the embedded one.
func (s *Store) Close() error {
	err := s.Client.Close()
	if s.server != nil {
		err = errors.Join(err, s.server.Close())
	}
	return err
}

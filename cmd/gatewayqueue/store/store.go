// Package store gets the program a Redis: a server at a URL, or one embedded
// in the process; and it words Redis's errors for the person at the terminal.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// answerWithin is how long a server may take to answer the first PING.
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
	Client *redis.Client
	url    string // with its password: never printed
	shown  string
	server io.Closer // the embedded one
}

// Open connects to the server at rawURL and checks that it answers.
func Open(ctx context.Context, rawURL string) (*Store, error) {
	s, err := Lazy(rawURL)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if err := s.Client.Ping(ctx).Err(); err != nil {
		return nil, errors.Join(s.Explain(err), s.Client.Close())
	}
	return s, nil
}

// Lazy is Open for those who can wait: it connects when first used.
func Lazy(rawURL string) (*Store, error) {
	client, err := Client(rawURL)
	if err != nil {
		return nil, err
	}
	return &Store{Client: client, url: rawURL, shown: Redact(rawURL)}, nil
}

// Client makes a client for the server at rawURL, without any I/O.
func Client(rawURL string) (*redis.Client, error) {
	options, err := redis.ParseURL(rawURL)
	if err != nil {
		// Its own text may repeat the whole URL, with the password.
		return nil, fmt.Errorf("the Redis URL %q is not one: %s; want redis://[[user]:password@]host:port[/db], "+
			"or rediss:// for TLS", Redact(rawURL), parseReason(err))
	}
	// Two greetings that many servers do not know, and the queue does not need.
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return redis.NewClient(options), nil
}

// Impatient makes a client that reports at once that the server is away, where
// others try again for some seconds. It is for those who only look.
func (s *Store) Impatient() *redis.Client {
	options := *s.Client.Options()
	options.MaxRetries, options.DialerRetries = -1, 1
	return redis.NewClient(&options)
}

// Embed starts a Redis inside this process, on a free port of the loopback
// interface, so that redis-cli and other processes can use it too.
func Embed() (*Store, error) {
	server := miniredis.NewMiniRedis()
	server.ClockTTL(true) // keys expire by themselves
	if err := server.Start(); err != nil {
		return nil, fmt.Errorf("the embedded Redis cannot listen on 127.0.0.1: %w", err)
	}
	at := "redis://" + server.Addr()
	client, err := Client(at)
	if err != nil {
		server.Close()
		return nil, err
	}
	return &Store{Client: client, url: at, shown: at, server: closer(server.Close)}, nil
}

type closer func()

func (c closer) Close() error { c(); return nil }

// URL is where another process finds this Redis. It may hold a password.
func (s *Store) URL() string { return s.url }

// String is the URL without its password.
func (s *Store) String() string { return s.shown }

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

// Redact hides the password of a URL. What cannot be parsed is hidden up to its
// last @.
func Redact(rawURL string) string {
	if u, err := url.Parse(rawURL); err == nil {
		return u.Redacted()
	}
	for i := len(rawURL) - 1; i >= 0; i-- {
		if rawURL[i] == '@' {
			return "..." + rawURL[i:]
		}
	}
	return rawURL
}

// parseReason is why a URL was refused, without the URL.
func parseReason(err error) string {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err.Error()
	}
	return err.Error()
}

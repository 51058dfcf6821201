package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrLimitMismatch is returned when WithLimit gave another max_concurrency
	// than the queue runs with: one of the two must be wrong, and with the
	// wrong one shards would be counted in the wrong buckets.
	ErrLimitMismatch = errors.New("redisqueue: max_concurrency differs from the queue's")

	// ErrBadValue is returned when a value in Redis was edited to something
	// that cannot be used.
	ErrBadValue = errors.New("redisqueue: a value in Redis cannot be used")

	// ErrUnexpectedReply is returned when a script answers what it cannot: the
	// server is not Redis, or something between rewrites replies.
	ErrUnexpectedReply = errors.New("redisqueue: unexpected reply")
)

// class says what becomes of callers when a call to Redis has failed.
type class int

const (
	// waits: Redis is away or busy and will be back; callers wait on.
	waits class = iota
	// waitsLong is waits for what an operator must mend first.
	waitsLong
	// returned: a bug, a wrong setting or foreign data; callers get the error.
	returned
)

// classes sorts Redis's errors. Inside a script Redis before 7 wraps them in
// text of its own, so they are looked for anywhere in the message. What
// matches nothing is a failure of the connection and waits. The first match
// counts. docs/operations.md has the same table for operators.
var classes = []struct {
	text  string
	class class
}{
	{"BADVALUE", returned},
	{"WRONGTYPE", returned},
	{"NOPERM", returned},
	{"can't run this command or subcommand", returned}, // NOPERM inside a script of Redis 7
	{"can't access at least one of the keys", returned},
	{"ACL failure in script", returned}, // the same in Redis 8 and Valkey
	{"NOAUTH", returned},
	{unauthenticated, returned},
	{"WRONGPASS", returned},
	{"invalid password", returned},
	{"invalid username-password", returned},
	{"CROSSSLOT", returned},
	{"MOVED ", returned}, // a plain client on a cluster
	{"ASK ", returned},
	{"unknown command", returned},
	{"not allowed from script", returned},
	{"undeclared key", returned},
	{"bad lua script", returned},
	{"Error compiling script", returned},
	{"DB index is out of range", returned},
	{"OOM ", waitsLong},
	{"MISCONF", waitsLong},
	{"NOREPLICAS", waitsLong},
	{"BUSY ", waits},
	{"READONLY", waits},
	{"LOADING", waits},
	{"MASTERDOWN", waits},
	{"CLUSTERDOWN", waits},
	{"TRYAGAIN", waits},
	{"max number of clients", waits},
	{"Error running script", returned}, // whatever else a script did wrong
	{"ERR ", returned},
}

// unauthenticated is what a server that wants a password says to a call as long
// as claim, instead of NOAUTH.
const unauthenticated = "unauthenticated multibulk length"

func classify(err error) class {
	switch {
	case errors.Is(err, ErrUnexpectedReply), errors.Is(err, redis.ErrClosed):
		return returned
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return waits
	}
	text := err.Error()
	for _, c := range classes {
		if strings.Contains(text, c.text) {
			return c.class
		}
	}
	return waits
}

// explain adds to an error that goes to a caller what can be done about it.
func explain(err error, k keys) error {
	text := err.Error()
	switch {
	case errors.Is(err, ErrUnexpectedReply):
		return err // it says what it is of
	case errors.Is(err, redis.ErrClosed):
		return fmt.Errorf("redisqueue: the Redis client was closed before the queue: close the queue first: %w", err)
	case strings.Contains(text, "BADVALUE"):
		key := strings.TrimSpace(text[strings.Index(text, "BADVALUE")+len("BADVALUE"):])
		return fmt.Errorf("%w: %s: correct it with redis-cli (README, \"redis-cli\"), or call Update to write new limits", ErrBadValue, key)
	case strings.Contains(text, "WRONGTYPE"):
		return fmt.Errorf("redisqueue: a key under %s holds another type; is the application ID used by something else? %w", k.prefix, err)
	case strings.Contains(text, "NOPERM"), strings.Contains(text, "can't run this command"), strings.Contains(text, "can't access at least"),
		strings.Contains(text, "ACL failure"):
		return fmt.Errorf("redisqueue: the Redis user may not run the queue's scripts; docs/operations.md has the ACL it needs: %w", err)
	case strings.Contains(text, "NOAUTH"), strings.Contains(text, "WRONGPASS"), strings.Contains(text, "invalid password"),
		strings.Contains(text, "invalid username-password"), strings.Contains(text, unauthenticated):
		return fmt.Errorf("redisqueue: the server wants another password or user: set them in the options of the Redis client: %w", err)
	case strings.Contains(text, "MOVED "), strings.Contains(text, "ASK "):
		return fmt.Errorf("redisqueue: the server is a Redis Cluster; use redis.NewClusterClient: %w", err)
	case strings.Contains(text, "unknown command"):
		return fmt.Errorf("redisqueue: the server runs no scripts: of a Sentinel use redis.NewFailoverClient, of a proxy the address of Redis itself: %w", err)
	case strings.Contains(text, "READONLY"):
		return fmt.Errorf("redisqueue: the server is a read-only replica: use the address of its master, or a client that finds it (redis.NewFailoverClient): %w", err)
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		return fmt.Errorf("redisqueue: the Redis client had no free connection; give the queue a client of its own, or a larger PoolSize: %w", err)
	}
	return fmt.Errorf("redisqueue: %w", err)
}

// backoff is how long to wait before the nth try (from 1) after an error that
// waits; jitter in [0, 1) keeps pods apart.
func backoff(c class, n int, jitter float64) time.Duration {
	base, most := 25*time.Millisecond, time.Second
	if c == waitsLong {
		base, most = 500*time.Millisecond, 5*time.Second
	}
	d := min(base<<min(n-1, 10), most)
	return d/2 + time.Duration(jitter*float64(d/2))
}

// briefTimeout is a ReadTimeout that a busy server, or a long script, may exceed.
const briefTimeout = 100 * time.Millisecond

// advise names what of the client's own stands in the way of a call, if anything
// does: its pool, its Limiter or a hook, or a brief ReadTimeout. Redis may be as
// well as ever then. Other errors are returned as they are.
func (s *store) advise(err error) error {
	if errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrPoolExhausted) {
		return explain(err, s.keys)
	}
	client, ok := s.client.(interface{ Options() *redis.Options })
	if !ok {
		return err
	}
	opts := client.Options()
	var network net.Error
	var answer redis.Error
	switch isNetwork := errors.As(err, &network); {
	case isNetwork && network.Timeout() && opts.ReadTimeout > 0 && opts.ReadTimeout < briefTimeout:
		return fmt.Errorf("redisqueue: the Redis client gives up after its ReadTimeout of %v: give the queue a client with a longer one: %w", opts.ReadTimeout, err)
	case opts.Limiter == nil, isNetwork, errors.As(err, &answer), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return fmt.Errorf("redisqueue: the Redis client refuses the call by itself, by its Limiter or a hook: give the queue a client without: %w", err)
}

package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrBadValue is redisqueue's error of that name.
	ErrBadValue = errors.New("redisqueue: a value in Redis cannot be used")

	// ErrUnexpectedReply is redisqueue's error of that name.
	ErrUnexpectedReply = errors.New("redisqueue: unexpected reply")

	// ErrMoving is TRYAGAIN, which a node says itself when it has but some of the keys.
	ErrMoving = errors.New("TRYAGAIN the cluster moves the keys to another node")
)

// Class says what becomes of callers when a call to Redis has failed.
type Class int

const (
	// Retried: Redis is away or busy and will be back; callers wait on.
	Retried Class = iota
	// RetriedSlowly is Retried for what an operator must put right first.
	RetriedSlowly
	// Returned: a bug, a wrong setting or foreign data; callers get the error.
	Returned
)

// Trouble is a way in which Redis refuses a call.
type Trouble struct {
	Text  string // found anywhere in the message: inside a script Redis before 7 wraps errors in text of its own
	Class Class
	Gone  bool   // the server is, or soon may be, another one
	About About  // what it is about
	Cure  string // what a caller is told to do; empty where the message says enough
}

// About is what an error is about, for those who treat it in a way of its own.
type About int

// What errors are about.
const (
	AboutElse   About = iota
	AboutValue        // a value in Redis was edited to something that cannot be used
	AboutType         // a key holds another type
	AboutRights       // the Redis user may not do it
	AboutMoving       // a cluster has some of the keys on one node and some on another
)

const (
	cureRights   = "the Redis user may not run the queue's scripts; docs/operations.md has the ACL it needs"
	curePassword = "the server wants another password or user: set them in the options of the Redis client"
	cureCluster  = "the server is a Redis Cluster; use redis.NewClusterClient"
	cureScripts  = "the server runs no scripts: of a Sentinel use redis.NewFailoverClient, of a proxy the address of Redis itself"
	cureReplica  = "the server is a read-only replica: use the address of its master, or a client that finds it (redis.NewFailoverClient)"
	curePool     = "the Redis client had no free connection; give the queue a client of its own, or a larger PoolSize"
)

// Troubles is the table of Redis's errors; the first that is found counts. What is
// not in it is a failure of the connection, and is Retried. docs/operations.md has
// the same table for operators, and a test that the two agree.
var Troubles = []Trouble{
	{Text: "BADVALUE", Class: Returned, About: AboutValue},
	{Text: "WRONGTYPE", Class: Returned, About: AboutType},
	{Text: "NOPERM", Class: Returned, About: AboutRights, Cure: cureRights},
	{Text: "can't run this command or subcommand", Class: Returned, About: AboutRights, Cure: cureRights}, // NOPERM inside a script of Redis 7
	{Text: "can't access at least one of the keys", Class: Returned, About: AboutRights, Cure: cureRights},
	{Text: "ACL failure in script", Class: Returned, About: AboutRights, Cure: cureRights}, // the same in Redis 8 and Valkey
	{Text: "NOAUTH", Class: Returned, Cure: curePassword},
	{Text: "unauthenticated multibulk length", Class: Returned, Cure: curePassword}, // NOAUTH for a call as long as claim
	{Text: "WRONGPASS", Class: Returned, Cure: curePassword},
	{Text: "invalid password", Class: Returned, Cure: curePassword},
	{Text: "invalid username-password", Class: Returned, Cure: curePassword},
	{Text: "CROSSSLOT", Class: Returned},
	{Text: "MOVED ", Class: Returned, Cure: cureCluster}, // a plain client on a cluster
	{Text: "ASK ", Class: Returned, Cure: cureCluster},
	{Text: "unknown command", Class: Returned, Cure: cureScripts},
	{Text: "not allowed from script", Class: Returned},
	{Text: "undeclared key", Class: Returned},
	{Text: "bad lua script", Class: Returned},
	{Text: "Error compiling script", Class: Returned},
	{Text: "DB index is out of range", Class: Returned},
	{Text: "OOM ", Class: RetriedSlowly},
	{Text: "MISCONF", Class: RetriedSlowly},
	{Text: "NOREPLICAS", Class: RetriedSlowly},
	{Text: "BUSY ", Class: Retried},
	{Text: "READONLY", Class: Retried, Gone: true, Cure: cureReplica},
	{Text: "LOADING", Class: Retried, Gone: true},
	{Text: "MASTERDOWN", Class: Retried, Gone: true},
	{Text: "CLUSTERDOWN", Class: Retried, Gone: true},
	{Text: "TRYAGAIN", Class: Retried, About: AboutMoving},
	{Text: "max number of clients", Class: Retried},
	{Text: "Error running script", Class: Returned}, // whatever else a script did wrong
	{Text: "ERR ", Class: Returned},
	{Text: "refused", Class: Retried, Gone: true}, // a connection
	{Text: "all sentinels", Class: Retried, Gone: true},
}

// TroubleOf is the row of the table that an error is of.
func TroubleOf(err error) Trouble {
	text := err.Error()
	switch i := slices.IndexFunc(Troubles, func(t Trouble) bool { return strings.Contains(text, t.Text) }); {
	case errors.Is(err, ErrUnexpectedReply):
		return Trouble{Class: Returned}
	case errors.Is(err, redis.ErrClosed):
		return Trouble{Class: Returned, Cure: "the Redis client was closed before the queue: close the queue first"}
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		return Trouble{Cure: curePool}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return Trouble{}
	case i >= 0:
		return Troubles[i]
	}
	return Trouble{}
}

// ClassOf says what becomes of callers after an error.
func ClassOf(err error) Class { return TroubleOf(err).Class }

// NoScript says that the server did not know the script by its hash.
func NoScript(err error) bool { return redis.HasErrorPrefix(err, "NOSCRIPT") }

// Explain adds to an error that goes to a caller what can be done about it.
func Explain(err error, k Keys) error {
	switch t := TroubleOf(err); {
	case errors.Is(err, ErrUnexpectedReply):
		return err // it says what it is of
	case t.About == AboutValue:
		_, rest, _ := strings.Cut(err.Error(), t.Text)
		return fmt.Errorf("%w: %s: correct it with redis-cli (docs/keys.md), or call Update to write new limits", ErrBadValue, badValue(rest))
	case t.About == AboutType:
		return fmt.Errorf("redisqueue: a key under %s holds another type; is the application ID used by something else? %w", k.prefix, err)
	case t.Cure != "":
		return fmt.Errorf("redisqueue: %s: %w", t.Cure, err)
	}
	return fmt.Errorf("redisqueue: %w", err)
}

// Backoff is how long to wait before the nth try (from 1) after an error that is
// retried; jitter in [0, 1) keeps pods apart.
func Backoff(c Class, n int, jitter float64) time.Duration {
	base, most := 25*time.Millisecond, time.Second
	if c == RetriedSlowly {
		base, most = 500*time.Millisecond, 5*time.Second
	}
	d := min(base<<min(n-1, 10), most)
	return d/2 + time.Duration(jitter*float64(d/2))
}

// briefTimeout is a ReadTimeout that a busy server, or a long script, may exceed.
const briefTimeout = 100 * time.Millisecond

// Advise names what of the client's own stands in the way of a call, if anything
// does: its pool, its Limiter or a hook, or a brief ReadTimeout. Redis may be as
// well as ever then. Other errors are returned as they are.
func Advise(err error, client redis.Scripter) error {
	if errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrPoolExhausted) {
		return Explain(err, Keys{})
	}
	with, ok := client.(interface{ Options() *redis.Options })
	if !ok {
		return err
	}
	opts := with.Options()
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

// UnacknowledgedError is NOREPLICAS, as a server says it by itself that has been
// told to want some: a grant, or a renewal, that may not survive a failover. Other
// calls are answered as ever.
type UnacknowledgedError struct {
	Acked, Want int
	At          time.Time
}

func (e *UnacknowledgedError) Error() string {
	return fmt.Sprintf("NOREPLICAS %d of %d replicas have acknowledged the grant within %v (WithReplicas)", e.Acked, e.Want, ReplicaTimeout)
}

// ReplicaTimeout bounds how long a grant waits for its replicas: less than the
// margin for which a grant of Wait is good. Where they answer, they do so as fast
// as the network.
const ReplicaTimeout = 200 * time.Millisecond

// Denied says that a text tells of a right that the Redis user lacks.
func Denied(text string) bool {
	return strings.Contains(text, "no permissions") || slices.ContainsFunc(Troubles, func(t Trouble) bool {
		return t.About == AboutRights && strings.Contains(text, t.Text)
	})
}

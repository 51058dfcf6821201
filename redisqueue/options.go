package redisqueue

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math"
	mathrand "math/rand/v2"
	"os"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/pod"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// Option changes one default of [New].
type Option func(*config)

type config struct {
	pod.Config
	source   LimitSource    // nil for none
	pace     *SourceBackoff // of the source
	floor    *atomic.Int64  // see SetFloor; 0 is no floor
	log      *slog.Logger
	observe  func(gatewayqueue.Event)
	observed bool // an observer was given
	history  bool // what is granted is told to Redis each minute
}

// Defaults of the options below.
const (
	DefaultApp      = "default"
	DefaultPodLease = 3 * time.Second
	DefaultBackoff  = 20
	DefaultRefresh  = 10 * time.Minute
	reserveByTotal  = math.MinInt
)

func defaults() config {
	c := config{
		Config: pod.Config{
			Timing: pod.Timing{
				Window: gatewayqueue.IdentifyDelay, Margin: gatewayqueue.GrantMargin,
				PermitMargin: gatewayqueue.IdentifiedMargin, PodLease: DefaultPodLease,
			},
			App: DefaultApp, Limit: gatewayqueue.DefaultLimit(), LimitAt: time.Now(), Refresh: DefaultRefresh, Backoff: DefaultBackoff,
			Random: mathrand.Float64, NewEpoch: randomTail,
		},
		pace:    new(SourceBackoff),
		floor:   new(atomic.Int64),
		log:     slog.Default(),
		observe: func(gatewayqueue.Event) {},
	}
	c.Reserve = pod.Reserve{Units: reserveByTotal, Floor: func() int { return int(c.floor.Load()) }}
	return c
}

// bind fills in what follows from the options and the client.
func (c *config) bind(client redis.Scripter) {
	c.Keys = wire.KeysOf(c.App)
	c.Advise = func(err error) error { return wire.Advise(err, client) }
	floor := c.floor
	c.Reserve.Floor = func() int { return int(floor.Load()) }
	if c.source != nil {
		c.Source = paced{c.pace}
	}
	if !canAskReplicas(client) {
		c.CannotAsk = fmt.Sprintf("%T", client)
	}
}

// WithApp sets the application ID, which separates the queues of several bots
// in one Redis; the default is "default". Use Discord's application ID, never
// a token or a release: old and new deploys must share one queue.
func WithApp(id string) Option { return func(c *config) { c.App = id } }

// WithPod names this pod in tickets, logs and status; the default is the host's
// name. A random tail is added, so that a pod that starts again under its old
// name is not taken for the one that died.
func WithPod(name string) Option { return func(c *config) { c.Name = name } }

// WithLimit gives the limits by hand, as they are now. They are used when the
// queue is first filled, and must agree on max_concurrency with what other pods
// have given. Prefer [WithLimitSource].
func WithLimit(l gatewayqueue.SessionStartLimit) Option {
	return func(c *config) { c.Limit, c.LimitAt, c.LimitGiven = l, time.Now(), true }
}

// WithLimitSource gives a function that asks Discord for the limits. It is
// called by one pod at a time: when the queue is first filled, when Redis has
// lost state, and every [WithRefresh] while shards wait.
func WithLimitSource(s LimitSource) Option { return func(c *config) { c.source = s } }

// WithRefresh sets how often the limit source is asked while shards wait;
// 1 s or more, 10 minutes by default.
func WithRefresh(d time.Duration) Option { return func(c *config) { c.Refresh = d } }

// WithMargin sets what is added to the window between two grants of Wait, for
// the jitter between permission and arrival at Discord; 250 ms by default. With
// less than 5 ms two grants may be up to 5 ms closer than the window. Use 1.5 s
// where a connection is dialled after Wait, or better Acquire.
func WithMargin(d time.Duration) Option { return func(c *config) { c.Margin = d } }

// WithMarginLeft sets how much of the margin Wait leaves to its caller, from 0 to
// the whole; 0 by default. A grant whose reply has used up more than the rest is
// claimed again, at no cost. It is for callers that need a known time after
// Wait, such as to start a program.
func WithMarginLeft(d time.Duration) Option { return func(c *config) { c.MarginLeft = d } }

// WithPermitMargin sets what is added to a window that starts when a permit is
// reported identified; 50 ms by default. Where IDENTIFY is announced, half of it
// is for what passes between the sending of that and the return from IDENTIFY:
// with less, each IDENTIFY may take a command more.
func WithPermitMargin(d time.Duration) Option { return func(c *config) { c.PermitMargin = d } }

// WithPermitLease sets for how long Redis keeps a bucket closed for a permit
// that nobody renews: two windows (10 s) by default, or more where the window is
// shorter than 100 ms or its margin long. Its last window is not for the holder: a permit is good for the lease less a window and the margin
// after the last renewal. The lease is renewed while the pod lives.
func WithPermitLease(d time.Duration) Option { return func(c *config) { c.PermitLease = d } }

// WithPodLease sets how long a pod that is not heard of keeps its places; 3 s
// by default, renewed at half of it while the pod has waiters. While the
// budget is exhausted it is ten times as long.
func WithPodLease(d time.Duration) Option { return func(c *config) { c.PodLease = d } }

// WithWindow sets the window, for tests and benchmarks that cannot wait for
// Discord's 5 s; 10 ms to 1 minute. Where pods differ the longest counts for all.
func WithWindow(d time.Duration) Option { return func(c *config) { c.Window = d } }

// WithReserve sets how many units of the budget are never granted, so that a
// miscount cannot reset the token: by default 1 % of the total, but at most 10,
// and at least max_concurrency. When Redis has lost its state, as many permits as
// there are buckets may be out that nobody else knows of. Of a total that is less
// than twice max_concurrency, which Discord gives nobody, it is half.
func WithReserve(units int) Option { return func(c *config) { c.Reserve.Units = units } }

// WithBackoff sets how many times a shard may identify in a period before it backs
// off: one window (with its margin) before the next time, then twice as long
// each time, up to an hour. So a shard that crashes over and over does not spend
// the budget of all. 20 by default; 0 switches it off.
func WithBackoff(identifies int) Option { return func(c *config) { c.Backoff = identifies } }

// WithReplicas makes a grant count only once so many replicas have acknowledged
// it (WAIT), and a permit's renewal likewise; 0, the default, asks for none. A
// grant that is not acknowledged within 200 ms is asked for again, by the same
// ticket, until it is: a master that is cut off from its replicas grants nothing,
// and what a replica has acknowledged survives its promotion. Give as many as
// there are replicas: one that was not asked for may be the one that is
// promoted. The most that any pod asks for counts for all, as soon as it is heard
// of and until it has been gone for 5 minutes. While fewer answer nothing is granted. It costs the way to the replicas and back for
// each call, and needs a *redis.Client or *redis.ClusterClient, and the right to
// run WAIT.
func WithReplicas(n int) Option { return func(c *config) { c.Replicas = n } }

// WithFailExhausted makes Wait and Acquire fail with a
// [gatewayqueue.ExhaustedError] when the budget is exhausted; by default they
// wait for the reset.
func WithFailExhausted() Option { return func(c *config) { c.FailExhausted = true } }

// WithFreshStart says that no shard of this application can have identified
// within the last window, so that a Redis with nothing of it is new and not lost:
// its buckets open at once rather than after a permit's lease. Where anything is
// left of its limits, budget, buckets, pods or identifies it does nothing; places
// in line are not looked for. It is for tests and demonstrations: in production a
// Redis that was emptied a second ago looks the same, and a shard that identified
// then is followed too soon.
func WithFreshStart() Option { return func(c *config) { c.FreshStart = true } }

// WithLogger sets where the queue says why nothing is granted, and what has
// changed: about once a minute at most for each reason, and nothing for each try or
// grant. It is [slog.Default] by default; for silence give it
// slog.New(slog.DiscardHandler).
func WithLogger(l *slog.Logger) Option { return func(c *config) { c.log = l } }

// WithObserver sets a function that hears every [gatewayqueue.Event].
func WithObserver(f func(gatewayqueue.Event)) Option {
	return func(c *config) { c.observe, c.observed = f, true }
}

// name is what an application or pod may be called: it is part of key names and
// tickets, and must be easy to type in redis-cli.
var name = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

const nameWant = "1 to 64 letters, digits, dots, dashes or underscores"

func (c *config) validate() error {
	if c.PermitLease == 0 {
		c.PermitLease = c.UsualPermitLease()
	}
	if c.Name == "" {
		c.Name = hostName()
	}
	bad := func(field string, value any, want string) error {
		return &gatewayqueue.InvalidError{Field: field, Value: value, Want: want}
	}
	switch {
	case !name.MatchString(c.App):
		return bad("application", fmt.Sprintf("%q", c.App), nameWant)
	case !name.MatchString(c.Name):
		return bad("pod", fmt.Sprintf("%q", c.Name), nameWant)
	case c.Refresh < time.Second:
		return bad("refresh", c.Refresh, "1s or more")
	case c.Window < 10*time.Millisecond || c.Window > time.Minute:
		return bad("window", c.Window, "10ms to 1m")
	case c.Margin < 0 || c.Margin > time.Minute:
		return bad("margin", c.Margin, "0s to 1m")
	case c.MarginLeft < 0 || c.MarginLeft > c.Margin:
		return bad("margin left", c.MarginLeft, fmt.Sprintf("0s to the margin, %v", c.Margin))
	case c.PermitMargin < 0 || c.PermitMargin > time.Minute:
		return bad("permit margin", c.PermitMargin, "0s to 1m")
	case c.Window+c.PermitMargin+pod.LeastPermitGood > gatewayqueue.MaxPermitDuration: // so that a lease fits
		return bad("permit margin", c.PermitMargin, fmt.Sprintf("0s to %v beside a window of %v", gatewayqueue.MaxPermitDuration-c.Window-pod.LeastPermitGood, c.Window))
	case c.PermitLease < c.Window+c.PermitMargin+pod.LeastPermitGood || c.PermitLease > gatewayqueue.MaxPermitDuration:
		return bad("permit lease", c.PermitLease, fmt.Sprintf("more than a window and its margin (%v) by 10ms, to %v",
			c.Window+c.PermitMargin, gatewayqueue.MaxPermitDuration))
	case c.PodLease < 50*time.Millisecond || c.PodLease > time.Minute:
		return bad("pod lease", c.PodLease, "50ms to 1m")
	case c.Reserve.Units < 0 && c.Reserve.Units != reserveByTotal:
		return bad("reserve", c.Reserve.Units, "0 or more")
	case c.Backoff < 0:
		return bad("backoff", c.Backoff, "0 or more")
	case c.Replicas < 0 || c.Replicas > 100:
		return bad("replicas", c.Replicas, "0 to 100")
	case c.log == nil:
		return bad("logger", "nil", "a *slog.Logger; slog.New(slog.DiscardHandler) is silent")
	case c.observe == nil:
		return bad("observer", "nil", "a function; leave the option out for none")
	}
	c.Name += "-" + randomTail()
	return validateLimit(c.Limit)
}

// mostUnits is the largest number that scripts read: of 15 digits (lua/lib/values.lua).
const mostUnits = 1e15 - 1

// validateLimit refuses what a shared queue cannot run with. max_concurrency 0,
// which switches a queue in memory off, is refused: here it would switch it off
// for every pod.
func validateLimit(l gatewayqueue.SessionStartLimit) error {
	if err := l.Validate(); err != nil {
		return err
	}
	if int64(l.Total) > mostUnits { // an int may have 32 bits
		return &gatewayqueue.InvalidError{Field: "total", Value: l.Total, Want: fmt.Sprintf("at most %d in a shared queue", int64(mostUnits))}
	}
	if l.MaxConcurrency < 1 || l.MaxConcurrency > wire.MaxConcurrency {
		return &gatewayqueue.InvalidError{
			Field: "max_concurrency", Value: l.MaxConcurrency,
			Want: fmt.Sprintf("1 to %d in a shared queue", wire.MaxConcurrency),
		}
	}
	return nil
}

// hostName is the host's name, made fit for a key.
func hostName() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "pod"
	}
	host = unfit.ReplaceAllString(host, "-")
	return host[:min(len(host), 64)]
}

var unfit = regexp.MustCompile(`[^A-Za-z0-9._-]`)

// randomTail makes pods and epochs unique: 8 hexadecimal digits.
func randomTail() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails, says crypto/rand
	return hex.EncodeToString(b[:])
}

package redisqueue

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// Option changes one default of [New].
type Option func(*config)

type config struct {
	app, pod      string
	limit         gatewayqueue.SessionStartLimit
	limitAt       time.Time // when limit was true
	limitGiven    bool
	source        LimitSource
	pace          *SourceBackoff // of the source
	refresh       time.Duration
	window        time.Duration
	margin        time.Duration
	marginLeft    time.Duration // of margin, when Wait returns
	permitMargin  time.Duration
	permitLease   time.Duration
	podLease      time.Duration
	reserve       int           // or reserveByTotal
	floor         *atomic.Int64 // see SetFloor; 0 is none
	freshStart    bool
	failExhausted bool
	breaker       int
	replicas      int
	history       bool
	log           *slog.Logger
	observe       func(gatewayqueue.Event)
}

// Defaults of the options below.
const (
	DefaultApp           = "default"
	DefaultPodLease      = 3 * time.Second
	DefaultBreaker       = 20
	DefaultRefresh       = 10 * time.Minute
	defaultPermitWindows = 2 // a permit's lease, in windows
	reserveByTotal       = math.MinInt
)

func defaults() config {
	return config{
		app:          DefaultApp,
		limit:        gatewayqueue.DefaultLimit(),
		limitAt:      time.Now(),
		refresh:      DefaultRefresh,
		window:       gatewayqueue.IdentifyDelay,
		margin:       gatewayqueue.GrantMargin,
		permitMargin: gatewayqueue.IdentifiedMargin,
		podLease:     DefaultPodLease,
		pace:         new(SourceBackoff),
		reserve:      reserveByTotal,
		floor:        new(atomic.Int64),
		breaker:      DefaultBreaker,
		log:          slog.Default(),
		observe:      func(gatewayqueue.Event) {},
	}
}

// WithApp sets the application ID, which separates the queues of several bots
// in one Redis; the default is "default". Use Discord's application ID, never
// a token or a release: old and new deploys must share one queue.
func WithApp(id string) Option { return func(c *config) { c.app = id } }

// WithPod names this pod in tickets, logs and status; the default is the host's
// name. A random tail is added, so that a pod that starts again under its old
// name is not taken for the one that died.
func WithPod(name string) Option { return func(c *config) { c.pod = name } }

// WithLimit gives the limits by hand, as they are now. They are used when the
// queue is first filled, and must agree on max_concurrency with what other pods
// have given. Prefer [WithLimitSource].
func WithLimit(l gatewayqueue.SessionStartLimit) Option {
	return func(c *config) { c.limit, c.limitAt, c.limitGiven = l, time.Now(), true }
}

// WithLimitSource gives a function that asks Discord for the limits. It is
// called by one pod at a time: when the queue is first filled, when Redis has
// lost state, and every [WithRefresh] while shards wait.
func WithLimitSource(s LimitSource) Option { return func(c *config) { c.source = s } }

// WithRefresh sets how often the limit source is asked while shards wait;
// 1 s or more, 10 minutes by default.
func WithRefresh(d time.Duration) Option { return func(c *config) { c.refresh = d } }

// WithMargin sets what is added to the window between two grants of Wait, for
// the jitter between permission and arrival at Discord; 250 ms by default. With
// less than 5 ms two grants may be up to 5 ms closer than the window. Use 1.5 s
// where a connection is dialled after Wait, or better Acquire.
func WithMargin(d time.Duration) Option { return func(c *config) { c.margin = d } }

// WithMarginLeft sets how much of the margin Wait leaves to its caller, from 0 to
// the whole; 0 by default. A grant whose reply has used up more than the rest is
// claimed again, at no cost. It is for callers that need a known time after
// Wait, such as to start a program.
func WithMarginLeft(d time.Duration) Option { return func(c *config) { c.marginLeft = d } }

// WithPermitMargin sets what is added to a window that starts when a permit is
// reported identified; 50 ms by default. Where IDENTIFY is announced, half of it
// is for what passes between the sending of that and the return from IDENTIFY:
// with less, each IDENTIFY may take a command more.
func WithPermitMargin(d time.Duration) Option { return func(c *config) { c.permitMargin = d } }

// WithPermitLease sets for how long Redis keeps a bucket closed for a permit
// that nobody renews: two windows (10 s) by default, or more where the window is
// shorter than 100 ms or its margin long. Its last window is not for the holder: a permit is good for the lease less a window and the margin
// after the last renewal. The lease is renewed while the pod lives.
func WithPermitLease(d time.Duration) Option { return func(c *config) { c.permitLease = d } }

// WithPodLease sets how long a pod that is not heard of keeps its places; 3 s
// by default, renewed at half of it while the pod has waiters. While the
// budget is exhausted it is ten times as long.
func WithPodLease(d time.Duration) Option { return func(c *config) { c.podLease = d } }

// WithWindow sets the window, for tests and benchmarks that cannot wait for
// Discord's 5 s; 10 ms to 1 minute. Where pods differ the longest counts for all.
func WithWindow(d time.Duration) Option { return func(c *config) { c.window = d } }

// WithReserve sets how many units of the budget are never granted, so that a
// miscount cannot reset the token: by default 1 % of the total, but at most 10,
// and at least max_concurrency. When Redis has lost its state, as many permits as
// there are buckets may be out that nobody else knows of. Of a total that is less
// than twice max_concurrency, which Discord gives nobody, it is half.
func WithReserve(units int) Option { return func(c *config) { c.reserve = units } }

// WithBreaker sets how many times a shard may identify in a period before it has
// to rest: one window (with its margin) before the next time, then twice as long
// each time, up to an hour. So a shard that crashes over and over does not spend
// the budget of all. 20 by default; 0 switches it off.
func WithBreaker(identifies int) Option { return func(c *config) { c.breaker = identifies } }

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
func WithReplicas(n int) Option { return func(c *config) { c.replicas = n } }

// WithFailExhausted makes Wait and Acquire fail with a
// [gatewayqueue.ExhaustedError] when the budget is exhausted; by default they
// wait for the reset.
func WithFailExhausted() Option { return func(c *config) { c.failExhausted = true } }

// WithFreshStart says that no shard of this application can have identified
// within the last window, so that a Redis with nothing of it is new and not lost:
// its buckets open at once rather than after a permit's lease. Where anything is
// left of its limits, budget, buckets, pods or identifies it does nothing; places
// in line are not looked for. It is for tests and demonstrations: in production a
// Redis that was emptied a second ago looks the same, and a shard that identified
// then is followed too soon.
func WithFreshStart() Option { return func(c *config) { c.freshStart = true } }

// WithLogger sets where the queue says why nothing is granted, and what has
// changed: about once a minute at most for each reason, and nothing for each try or
// grant. It is [slog.Default] by default; for silence give it
// slog.New(slog.DiscardHandler).
func WithLogger(l *slog.Logger) Option { return func(c *config) { c.log = l } }

// WithObserver sets a function that hears every [gatewayqueue.Event].
func WithObserver(f func(gatewayqueue.Event)) Option { return func(c *config) { c.observe = f } }

// name is what an application or pod may be called: it is part of key names and
// tickets, and must be easy to type in redis-cli.
var name = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

const nameWant = "1 to 64 letters, digits, dots, dashes or underscores"

// maxConcurrencyBound keeps the number of keys in one call within reason.
// Discord's largest bots have some hundreds of buckets.
const maxConcurrencyBound = 4096

func (c *config) validate() error {
	if c.permitLease == 0 {
		c.permitLease = c.usualPermitLease()
	}
	if c.pod == "" {
		c.pod = hostName()
	}
	bad := func(field string, value any, want string) error {
		return &gatewayqueue.InvalidError{Field: field, Value: value, Want: want}
	}
	switch {
	case !name.MatchString(c.app):
		return bad("application", fmt.Sprintf("%q", c.app), nameWant)
	case !name.MatchString(c.pod):
		return bad("pod", fmt.Sprintf("%q", c.pod), nameWant)
	case c.refresh < time.Second:
		return bad("refresh", c.refresh, "1s or more")
	case c.window < 10*time.Millisecond || c.window > time.Minute:
		return bad("window", c.window, "10ms to 1m")
	case c.margin < 0 || c.margin > time.Minute:
		return bad("margin", c.margin, "0s to 1m")
	case c.marginLeft < 0 || c.marginLeft > c.margin:
		return bad("margin left", c.marginLeft, fmt.Sprintf("0s to the margin, %v", c.margin))
	case c.permitMargin < 0 || c.permitMargin > time.Minute:
		return bad("permit margin", c.permitMargin, "0s to 1m")
	case c.window+c.permitMargin+leastPermitGood > gatewayqueue.PermitBound: // so that a lease fits
		return bad("permit margin", c.permitMargin, fmt.Sprintf("0s to %v beside a window of %v", gatewayqueue.PermitBound-c.window-leastPermitGood, c.window))
	case c.permitLease < c.window+c.permitMargin+leastPermitGood || c.permitLease > gatewayqueue.PermitBound:
		return bad("permit lease", c.permitLease, fmt.Sprintf("more than a window and its margin (%v) by 10ms, to %v",
			c.window+c.permitMargin, gatewayqueue.PermitBound))
	case c.podLease < 50*time.Millisecond || c.podLease > time.Minute:
		return bad("pod lease", c.podLease, "50ms to 1m")
	case c.reserve < 0 && c.reserve != reserveByTotal:
		return bad("reserve", c.reserve, "0 or more")
	case c.breaker < 0:
		return bad("breaker", c.breaker, "0 or more")
	case c.replicas < 0 || c.replicas > 100:
		return bad("replicas", c.replicas, "0 to 100")
	case c.log == nil:
		return bad("logger", "nil", "a *slog.Logger; slog.New(slog.DiscardHandler) is silent")
	case c.observe == nil:
		return bad("observer", "nil", "a function; leave the option out for none")
	}
	c.pod += "-" + randomTail()
	return validateLimit(c.limit)
}

// leastPermitGood is the least time for which a permit is good.
const leastPermitGood = 10 * time.Millisecond

// usualPermitLease is the lease of a permit where none is given: two windows. Where
// the window is brief or its margin long, that would leave next to no time to dial.
func (c *config) usualPermitLease() time.Duration {
	least := c.window + c.permitMargin + max(c.window/2, 50*time.Millisecond)
	return min(max(defaultPermitWindows*c.window, least), gatewayqueue.PermitBound)
}

// mostUnits is the largest number that Lua counts without an error.
const mostUnits = 1 << 53

// validateLimit refuses what a shared queue cannot run with. max_concurrency 0,
// which switches a queue in memory off, is refused: here it would switch it off
// for every pod.
func validateLimit(l gatewayqueue.SessionStartLimit) error {
	if err := l.Validate(); err != nil {
		return err
	}
	if l.Total > mostUnits {
		return &gatewayqueue.InvalidError{Field: "total", Value: l.Total, Want: fmt.Sprintf("at most %d in a shared queue", mostUnits)}
	}
	if l.MaxConcurrency < 1 || l.MaxConcurrency > maxConcurrencyBound {
		return &gatewayqueue.InvalidError{
			Field: "max_concurrency", Value: l.MaxConcurrency,
			Want: fmt.Sprintf("1 to %d in a shared queue", maxConcurrencyBound),
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

// stateHold is how long every bucket stays closed when state was lost: until a
// window has passed since the last moment at which anybody may have identified
// by a grant or permit from before, also a pod that cannot reach Redis, and
// until every pod that lives has been heard.
func (c *config) stateHold() time.Duration {
	return max(c.window+c.longestMargin(), c.permitLease, c.podLease)
}

// grace is how long after its window a grant or permit from before may yet be
// used, so that window and grace, the longest of all pods, are a hold.
func (c *config) grace() time.Duration { return c.stateHold() - c.window }

// longestMargin bounds how late a grant of Wait may be used where replies are
// slow: they may take as long as a permit is good, or leastPatience.
func (c *config) longestMargin() time.Duration {
	return max(c.margin, c.marginLeft+max(c.permitGood(), leastPatience))
}

// leastPatience is how slow replies may be at the least, however short windows are.
const leastPatience = 100 * time.Millisecond

// permitGood is how long a permit may be used after its last renewal: its
// lease's last window is there for the window that an IDENTIFY sent at the
// last moment needs.
func (c *config) permitGood() time.Duration { return c.permitLease - c.window - c.permitMargin }

// announced is for how long after an announcement its IDENTIFY may leave where
// Redis answers quickly: the rest of the margin is for the way to Discord.
func (c *config) announced() time.Duration { return c.permitMargin / 2 }

// step is the time between two grants of a bucket: with permits, from IDENTIFY to
// the next grant.
func (c *config) step(permit bool) time.Duration {
	if permit {
		return c.window + c.permitMargin
	}
	return c.window + c.margin
}

// renewEvery is how often a permit is renewed: so that one renewal may fail.
func (c *config) renewEvery() time.Duration { return c.permitGood() / 3 }

// leastReserveOf is the part of the reserve that is for units that no counter saw.
// The rest is for permits that are out when Redis loses its state; those that are
// out now have paid, and count in it.
func (c *config) leastReserveOf(v view) int {
	floor := int(c.floor.Load())
	if c.reserve >= 0 {
		return max(c.reserve, floor)
	}
	return max(floor, min(10, v.total/100))
}

// reserveOf is the reserve under some limits.
func (c *config) reserveOf(v view) int {
	floor := int(c.floor.Load())
	if c.reserve >= 0 {
		return max(c.reserve, floor)
	}
	return max(floor, min(max(v.maxConcurrency, c.leastReserveOf(v)), v.total/2))
}

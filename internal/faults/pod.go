package faults

// A pod: the life of one process. It is told its shards and orders on its
// standard input, and writes what happens to its standard output, a line each.

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

const podVar = "GATEWAYQUEUE_FAULTS_POD"

// podConfig is what a pod is started with, as JSON in podVar.
type podConfig struct {
	Name        string
	Seed        uint64
	Servers     addresses
	ReadTimeout time.Duration
	Window      time.Duration
	PodLease    time.Duration
	Refresh     time.Duration
	Reserve     int
	Limit       gatewayqueue.SessionStartLimit
	Source      string        // where to ask for the limits; "" for Limit
	Queue       string        // "redis", or a naive one
	Bot         int           // of which bot, counted from 0
	App         string        // its name in Redis; "" is the default
	Role        string        // "server" serves the queue over HTTP, "client" uses one that does; "" is neither
	Address     string        // of the server over HTTP
	Dial        time.Duration // what a dial takes at least
	Period      time.Duration // how long a budget lasts; 0 is a day
	Versions    bool          // every other pod is of another version of the library
	Other       bool          // this one is
	Replicas    int           // a grant must have reached so many replicas
	PoolSize    int           // connections to Redis; 0 is what the client has by itself
	Shards      []int
	Waits       float64 // the part of the grants that are asked for with Wait
	Calm        bool    // no context is cancelled, no dial is slow or fails
	Once        bool    // each shard comes up once
}

// addresses are where Redis is.
type addresses struct {
	Kind  string // "server", "sentinel" or "cluster"
	Addrs []string
}

func (a addresses) client(readTimeout time.Duration, pool int) redis.UniversalClient {
	const dial = 500 * time.Millisecond
	switch a.Kind {
	case "sentinel":
		return redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: "mymaster", SentinelAddrs: a.Addrs, ReadTimeout: readTimeout, DialTimeout: dial, PoolSize: pool,
		})
	case "cluster":
		return redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: a.Addrs, ReadTimeout: readTimeout, DialTimeout: dial, PoolSize: pool, ClusterStateReloadInterval: time.Second,
		})
	}
	return redis.NewClient(&redis.Options{Addr: a.Addrs[0], ReadTimeout: readTimeout, DialTimeout: dial, PoolSize: pool})
}

// PodMain is the whole life of this process if it was started as a pod. Call it
// first in TestMain.
func PodMain() {
	text := os.Getenv(podVar)
	if text == "" {
		return
	}
	var config podConfig
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		panic(err)
	}
	looseWallClock()
	redis.SetLogger(silence{})
	if err := runPod(config); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// staleFigure is how long an operator may take from reading a figure to writing it.
const staleFigure = 100 * time.Millisecond

// pod is the process's own state.
type pod struct {
	config podConfig
	client redis.UniversalClient
	log    *podLog
	queue  gatewayqueue.PermitQueue
	update func(context.Context, gatewayqueue.SessionStartLimit) error
	look   func(context.Context) error

	mu       sync.Mutex
	random   *rand.Rand
	draining bool
	idle     time.Time                       // until then it wants nothing
	dark     time.Time                       // until then no dial succeeds
	buckets  map[int]int                     // of each shard's last grant
	calls    map[int]context.CancelCauseFunc // of each shard's last context
	armed    map[int]context.CancelCauseFunc // those to be cancelled in the instant of a grant
}

func runPod(config podConfig) error {
	p := &pod{
		config: config, client: config.client(), log: newPodLog(),
		random:  rand.New(rand.NewPCG(config.Seed, config.Seed)),
		buckets: make(map[int]int), calls: make(map[int]context.CancelCauseFunc), armed: make(map[int]context.CancelCauseFunc),
	}
	closeQueue, err := p.open()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var work sync.WaitGroup
	for _, shard := range config.Shards {
		work.Go(func() { p.work(ctx, shard) })
	}
	var read time.Duration
	orders := bufio.NewScanner(os.Stdin)
	for orders.Scan() {
		order, rest, _ := strings.Cut(orders.Text(), " ")
		switch order {
		case "drain":
			p.mu.Lock()
			p.draining = true
			p.mu.Unlock()
		case "read": // when the figures of the next order were
			ns, err := strconv.ParseInt(rest, 10, 64)
			if err != nil {
				return err
			}
			read = time.Duration(ns)
		case "limit":
			var limit gatewayqueue.SessionStartLimit
			if err := json.Unmarshal([]byte(rest), &limit); err != nil {
				return err
			}
			if clock()-read > staleFigure {
				continue // this process stood still: nobody would write such figures now
			}
			go func() {
				err := p.update(ctx, limit)
				if err != nil && ctx.Err() == nil && !errors.Is(err, gatewayqueue.ErrClosed) {
					p.say("error", 0, 0, "update: "+err.Error())
				}
			}()
		case "idle", "unreachable", "suspended":
			d, err := time.ParseDuration(rest)
			if err != nil {
				return err
			}
			p.be(order, d)
		case "look":
			go func() {
				short, done := context.WithTimeout(ctx, time.Second)
				defer done()
				_ = p.look(short) // what it says is not of interest here
			}()
		case "clock":
			by, err := time.ParseDuration(rest)
			if err == nil {
				err = moveWallClock(by)
			}
			if err != nil {
				p.say("error", 0, 0, err.Error())
			}
		case "close": // while callers still wait, as a careless program does
			if err := closeQueue(); err != nil {
				return err
			}
		}
	}
	cancel()
	work.Wait() // permits that are out are given back
	if err := closeQueue(); err != nil {
		return err
	}
	p.say("closed", 0, 0, p.log.untold())
	return p.client.Close()
}

// be makes the pod idle or its dials fail for a while, or tells it that its machine
// has slept for so long.
func (p *pod) be(what string, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch what {
	case "idle":
		p.idle = time.Now().Add(d)
		for _, cancel := range p.calls {
			if d > 0 {
				cancel(errCancelled)
			}
		}
	case "unreachable":
		p.dark = time.Now().Add(d)
	case "suspended":
		elapsed.Simulate(d, 0)
	}
}

// open makes the queue that the pod uses.
func (p *pod) open() (func() error, error) {
	c := p.config
	p.look = func(context.Context) error { return nil }
	if c.Role == "client" {
		return p.openClient()
	}
	if c.Queue != "redis" {
		p.queue = &naive{client: p.client, window: c.Window + gatewayqueue.GrantMargin, kind: c.Queue, pod: c.Name}
		return func() error { return nil }, nil
	}
	options := []redisqueue.Option{
		redisqueue.WithPod(c.Name), redisqueue.WithWindow(c.Window), redisqueue.WithPodLease(c.PodLease),
		redisqueue.WithReserve(c.Reserve), redisqueue.WithObserver(p.observe),
		redisqueue.WithLogger(slog.New(p.log)),
	}
	if c.App != "" {
		options = append(options, redisqueue.WithApp(c.App))
	}
	if c.Replicas > 0 {
		options = append(options, redisqueue.WithReplicas(c.Replicas))
	}
	if c.Source != "" {
		options = append(options, redisqueue.WithLimitSource(redisqueue.DiscordLimitsAt(c.Source, nil, "t")), redisqueue.WithRefresh(c.Refresh))
	} else {
		options = append(options, redisqueue.WithLimit(c.Limit))
	}
	queue, err := redisqueue.New(p.client, options...)
	if err != nil {
		return nil, err
	}
	p.queue, p.update = queue, queue.Update
	p.look = func(ctx context.Context) error { _, err := queue.Status(ctx); return err }
	if c.Role == "server" {
		return p.serve(queue)
	}
	return queue.Close, nil
}

// podLog writes the log to standard error, and counts what the queue could not
// tell Redis: units may be gone with that.
type podLog struct {
	slog.Handler
	count *atomic.Int64
}

func newPodLog() *podLog {
	return &podLog{slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}), new(atomic.Int64)}
}

func (l *podLog) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "could not") {
		l.count.Add(1)
	}
	return l.Handler.Handle(ctx, r)
}

func (l *podLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &podLog{l.Handler.WithAttrs(attrs), l.count}
}

// untold is "untold" if anything could not be told.
func (l *podLog) untold() string {
	if l.count.Load() > 0 {
		return "untold"
	}
	return ""
}

// observe notes the bucket of a grant, and cancels contexts in the instant of
// one: the budget changes between the grant's reply and its waiter's waking.
func (p *pod) observe(e gatewayqueue.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e.Kind {
	case gatewayqueue.EventGranted:
		p.buckets[e.ShardID] = e.Bucket
	case gatewayqueue.EventBudget:
		for _, cancel := range p.armed {
			cancel(errCancelled)
		}
	}
}

var errCancelled = errors.New("cancelled at random")

// say writes one line: the kind, shard, bucket, time and text.
func (p *pod) say(kind string, shard, bucket int, text string) {
	p.sayAt(clock(), kind, shard, bucket, text)
}

func (p *pod) sayAt(at time.Duration, kind string, shard, bucket int, text string) {
	line := fmt.Sprintf("%s %d %d %d %s\n", kind, shard, bucket, at, strings.ReplaceAll(text, "\n", "; "))
	_, _ = os.Stdout.WriteString(line) // one write, so that no kill cuts it; without a parent it ends anyway
}

// chance draws a number in [0, 1), and below says if it is below x.
func (p *pod) chance() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.random.Float64()
}

func (p *pod) below(x float64) bool { return !p.config.Calm && p.chance() < x }

// upTo draws a duration below d.
func (p *pod) upTo(d time.Duration) time.Duration { return time.Duration(p.chance() * float64(d)) }

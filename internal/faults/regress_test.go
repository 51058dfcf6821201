package faults

// What the random runs have found, made small: one test each.

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

const regressWindow = 400 * time.Millisecond

// bench is one server and pods of this process, each behind a link of its own.
type bench struct {
	t      *testing.T
	server *redistest.Server
	admin  *redis.Client
}

func newBench(t *testing.T) *bench {
	t.Parallel()
	server := redistest.Start(t)
	return &bench{t, server, server.Client(t)}
}

func (b *bench) pod(name string, opts ...redisqueue.Option) (*redisqueue.RedisQueue, *link) {
	l := newLink(b.t, newLossy(b.t, b.server.Addr))
	client := redis.NewClient(&redis.Options{Addr: l.addr, ReadTimeout: time.Second})
	limit := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 900, ResetAfter: time.Hour, MaxConcurrency: 1}
	queue, err := redisqueue.New(client, append([]redisqueue.Option{
		redisqueue.WithPod(name), redisqueue.WithWindow(regressWindow), redisqueue.WithPodLease(500 * time.Millisecond),
		redisqueue.WithLimit(limit), redisqueue.WithFreshStart(),
	}, opts...)...)
	require.NoError(b.t, err)
	b.t.Cleanup(func() {
		require.NoError(b.t, queue.Close())
		require.NoError(b.t, client.Close())
	})
	return queue, l
}

// granted sends when the shard may identify, or closes if it may not.
func granted(ctx context.Context, q *redisqueue.RedisQueue, shard int) <-chan time.Time {
	at := make(chan time.Time, 1)
	go func() {
		defer close(at)
		if q.Wait(ctx, shard) == nil {
			at <- time.Now()
		}
	}()
	return at
}

// awaitSlot returns once the slot is closed for longer than that.
func (b *bench) awaitSlot(ctx context.Context, ttl time.Duration) {
	for ctx.Err() == nil && b.admin.PTTL(ctx, "identify:{default}:slot:0").Val() <= ttl {
		time.Sleep(time.Millisecond)
	}
}

func (b *bench) flush() { require.NoError(b.t, b.admin.FlushAll(context.Background()).Err()) }

// A permit is good for a while after its last renewal, also for a pod that
// cannot reach Redis. So if Redis loses its state meanwhile, a full window after
// the last moment of that while must pass before the next grant.
func TestAPermitThatIsCutOffWhenStateIsLostKeepsItsWindow(t *testing.T) {
	b := newBench(t)
	a, link := b.pod("a")
	other, _ := b.pod("b")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, other.Wait(ctx, 7)) // both have met the queue
	permit, err := a.Acquire(ctx, 0)
	require.NoError(t, err)
	b.flush()
	defer link.refuse()()
	next := granted(ctx, other, 1)
	var identified time.Time // the last moment at which it may
	for now := time.Now(); now.Before(permit.Deadline()); now = time.Now() {
		identified = now
		time.Sleep(time.Millisecond)
	}
	require.GreaterOrEqual(t, (<-next).Sub(identified), regressWindow)
}

// A reply that takes longer than the margin makes the next grant's window
// longer by as much. So must the hold after a loss of state be.
func TestASlowGrantBeforeStateIsLostKeepsItsWindow(t *testing.T) {
	b := newBench(t)
	a, link := b.pod("a")
	other, _ := b.pod("b")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, other.Wait(ctx, 7)) // scripts are known, and state is there
	link.poisoned("latency", "downstream", map[string]any{"latency": 300})
	first := granted(ctx, a, 0) // too late for the margin: it is claimed again, and may then take longer
	b.awaitSlot(ctx, regressWindow+gatewayqueue.GrantMargin)
	b.flush()
	next := granted(ctx, other, 1)
	at := <-first
	require.NoError(t, ctx.Err())
	require.GreaterOrEqual(t, (<-next).Sub(at), regressWindow)
}

// A call that was sent twice may be executed once more when its ticket was
// granted and used long ago, and puts it in line again. The pod that meets it
// there gives up the place, and no more.
func TestATicketThatCameBackGivesUpItsPlaceOnly(t *testing.T) {
	b := newBench(t)
	a, _ := b.pod("a")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, a.Wait(ctx, 0))
	first := time.Now()
	used, err := b.admin.Get(ctx, "identify:{default}:slot:0").Result()
	require.NoError(t, err)
	require.NoError(t, b.admin.ZAdd(ctx, "identify:{default}:queue:0", redis.Z{Score: 1, Member: used}).Err())
	require.NoError(t, a.Wait(ctx, 1))
	require.GreaterOrEqual(t, time.Since(first), regressWindow)
	left, err := b.admin.Get(ctx, "identify:{default}:remaining").Int()
	require.NoError(t, err)
	require.Equal(t, 898, left)
}

// The limit source is asked every ten minutes, and at once when state was lost.
func TestALostBudgetNeedNotWaitForTheNextRefresh(t *testing.T) {
	b := newBench(t)
	source := func(context.Context) (gatewayqueue.SessionStartLimit, error) {
		return gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 900, ResetAfter: time.Hour, MaxConcurrency: 1}, nil
	}
	a, _ := b.pod("a", redisqueue.WithLimitSource(source))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	require.NoError(t, a.Wait(ctx, 0))
	require.NoError(t, b.admin.Del(ctx, "identify:{default}:remaining").Err())
	require.NoError(t, a.Wait(ctx, 1))
}

// A ticket that is just being given up when its queue closes is in no list by then:
// the call that gives it up ends with the queue.
func TestCloseGivesUpWhatWasBeingGivenUp(t *testing.T) {
	b := newBench(t)
	client := redis.NewClient(&redis.Options{Addr: b.server.Addr, ReadTimeout: time.Second, MaxRetries: -1})
	defer client.Close()
	abandons := make(abandonHook, 16)
	client.AddHook(abandons)
	limit := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 900, ResetAfter: time.Hour, MaxConcurrency: 1}
	q, err := redisqueue.New(client, redisqueue.WithPod("a"), redisqueue.WithWindow(regressWindow), redisqueue.WithLimit(limit), redisqueue.WithFreshStart())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, q.Wait(ctx, 0))
	b.awaitOpen(ctx)
	b.server.Pause()
	short, giveUp := context.WithTimeout(ctx, 100*time.Millisecond)
	defer giveUp()
	require.Error(t, q.Wait(short, 1)) // the server will execute its claim once it goes on
	<-abandons
	closed := make(chan error)
	go func() { closed <- q.Close() }()
	time.Sleep(50 * time.Millisecond)
	b.server.Resume()
	require.NoError(t, <-closed)
	require.Equal(t, "899", b.admin.Get(ctx, "identify:{default}:remaining").Val(), "one unit was used")
}

// awaitOpen returns once the bucket is open.
func (b *bench) awaitOpen(ctx context.Context) {
	for ctx.Err() == nil && b.admin.Exists(ctx, "identify:{default}:slot:0").Val() > 0 {
		time.Sleep(time.Millisecond)
	}
}

// abandonHook hears of calls that give up tickets: these are their last arguments.
type abandonHook chan struct{}

func (h abandonHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h abandonHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h abandonHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if last, ok := cmd.Args()[len(cmd.Args())-1].(string); ok && strings.Contains(last, "@") {
			select {
			case h <- struct{}{}:
			default:
			}
		}
		return next(ctx, cmd)
	}
}

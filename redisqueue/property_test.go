package redisqueue_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// The model of a schedule is small: a judge knows when each bucket may identify
// again (rule 1) and what is left of the budget (rule 2), and for each bucket
// there is the order in which its callers came (rule 4). It holds for any
// schedule in which no pod dies and max_concurrency stays; for the others, the
// judge alone rules.
type model struct {
	*rapid.T
	outer   *testing.T
	judge   *gatewaytest.Judge
	pods    []*redisqueue.RedisQueue
	hooks   []*away
	callers []*caller
	permits []*caller
	mc      int
	plain   bool // no pod was killed and the limits are those of the start
	counted bool // and they were never taken over again
	server  *miniredis.Miniredis
	came    int
	log     []string
}

type caller struct {
	shard, n int // n counts those who came
	pod      int
	leave    context.CancelFunc
	done     chan struct{}
	permit   gatewayqueue.Permit
	err      error
	left     bool
}

// ask is the limit source: Discord's own figures.
func (m *model) ask(context.Context) (gatewayqueue.SessionStartLimit, error) {
	return m.judge.Limit(), nil
}

func (m *model) note(format string, args ...any) { m.log = append(m.log, fmt.Sprintf(format, args...)) }

// enter is a call of Wait or Acquire. Two callers never come in one
// millisecond, so that their order is certain.
func (m *model) enter(permit bool) {
	c := &caller{
		shard: rapid.IntRange(0, 11).Draw(m.T, "shard"), pod: rapid.IntRange(0, len(m.pods)-1).Draw(m.T, "pod"),
		n: m.came, done: make(chan struct{}),
	}
	m.came++
	ctx, leave := context.WithCancel(context.Background())
	c.leave = leave
	m.note("%d: shard %d comes to pod %d, permit %v", c.n, c.shard, c.pod, permit)
	go func() {
		defer close(c.done)
		if permit {
			c.permit, c.err = m.pods[c.pod].Acquire(ctx, c.shard)
		} else if c.err = m.pods[c.pod].Wait(ctx, c.shard); c.err == nil {
			m.judge.Identify(c.shard)
		}
	}()
	m.callers = append(m.callers, c)
	time.Sleep(2 * time.Millisecond)
	m.look()
}

// look takes in who was granted since. Nobody may be granted while one waits
// who came earlier to the same bucket.
func (m *model) look() {
	synctest.Wait()
	var waiting []*caller
	first := make(map[int]int) // of those who still wait, by bucket
	for _, c := range m.callers {
		select {
		case <-c.done:
			if c.err != nil && !c.left {
				m.Fatalf("caller %d: %v", c.n, c.err)
			}
			if n, ok := first[c.shard%m.mc]; ok && c.err == nil && m.plain {
				m.Fatalf("caller %d was granted before %d\n%v", c.n, n, m.log)
			}
			if c.permit != nil {
				m.permits = append(m.permits, c)
			}
		default:
			waiting = append(waiting, c)
			if _, ok := first[c.shard%m.mc]; !ok && !c.left {
				first[c.shard%m.mc] = c.n
			}
		}
	}
	m.callers = waiting
	v := m.judge.Verdict()
	if v.Violations > 0 || v.OverBudget > 0 {
		m.Fatalf("%v\n%v", v, m.log)
	}
}

// settle ends one of the permits that are out.
func (m *model) settle(identified bool) {
	if len(m.permits) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.permits)-1).Draw(m.T, "permit")
	c := m.permits[i]
	m.permits = append(m.permits[:i:i], m.permits[i+1:]...)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	identified = identified && time.Now().Before(c.permit.Deadline())
	m.note("%d: identified %v", c.n, identified)
	if identified {
		m.judge.Identify(c.shard)
		_ = c.permit.Identified(ctx) //nolint:errcheck // its pod may be dead
	} else {
		_ = c.permit.Abandon(ctx) //nolint:errcheck // its pod may be dead
	}
	m.look()
}

func TestRandomSchedulesKeepTheRules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var failed any
		synctest.Test(t, func(t *testing.T) {
			defer func() { failed = recover() }() // rapid fails by a panic, which must not end the bubble
			schedule(t, rt)
		})
		switch {
		case failed == nil:
		case strings.HasSuffix(fmt.Sprintf("%T", failed), "invalidData"): // rapid has run out of random bits
			panic(failed)
		default:
			rt.Fatalf("%v", failed)
		}
	})
}

func schedule(t *testing.T, rt *rapid.T) {
	server := virtualRedis(t)
	mc := rapid.IntRange(1, 3).Draw(rt, "max_concurrency")
	total := rapid.IntRange(1, 20).Draw(rt, "total")
	limit := gatewayqueue.SessionStartLimit{Total: total, Remaining: total, MaxConcurrency: mc}
	resets := rapid.IntRange(0, 2).Draw(rt, "resets") == 0 // within the schedule
	if resets {
		limit.Remaining, limit.ResetAfter = total-1, time.Duration(rapid.IntRange(1, 120).Draw(rt, "reset"))*time.Second
	}
	m := &model{T: rt, outer: t, judge: gatewaytest.NewJudge(limit, gatewayqueue.IdentifyDelay), mc: mc, plain: true, counted: !resets, server: server}
	for i := range rapid.IntRange(1, 3).Draw(rt, "pods") {
		hook, client := new(away), virtualClient(t, server)
		client.AddHook(perCommand{hook})
		m.hooks = append(m.hooks, hook)
		q, err := redisqueue.New(client, redisqueue.WithLimitSource(m.ask), redisqueue.WithFreshStart(), redisqueue.WithReserve(0),
			redisqueue.WithPod(fmt.Sprintf("pod-%d", i)))
		require.NoError(t, err)
		m.pods = append(m.pods, q)
	}
	defer func() { // also when the schedule has failed
		for _, c := range m.callers {
			c.leave()
		}
		for i, q := range m.pods {
			m.hooks[i].set(nil)
			_ = q.Close()
		}
		time.Sleep(time.Minute)
	}()
	for range rapid.IntRange(5, 60).Draw(rt, "steps") {
		m.step()
	}
	// What is left of the budget is what was not granted, once all is settled.
	for len(m.permits) > 0 {
		m.settle(true)
	}
	for _, c := range m.callers {
		c.left = true
		c.leave()
	}
	time.Sleep(30 * time.Second)
	m.look()
	if m.plain && m.counted {
		for len(m.permits) > 0 {
			m.settle(false)
		}
		time.Sleep(5 * time.Second)
		if status, err := m.pods[0].Status(t.Context()); err == nil && !status.Budget.Unknown {
			if spent := total - status.Budget.Remaining; spent != m.judge.Verdict().Identifies {
				rt.Fatalf("%d units are spent, %d have identified\n%v", spent, m.judge.Verdict().Identifies, m.log)
			}
		}
	}
}

func (m *model) step() {
	switch rapid.SampledFrom([]string{
		"wait", "wait", "wait", "acquire", "acquire", "identified", "abandon", "leave", "pass", "pass", "pass", "update", "kill",
		"refresh", "raise", "lose",
	}).Draw(m.T, "step") {
	case "wait":
		m.enter(false)
	case "acquire":
		m.enter(true)
	case "identified":
		m.settle(true)
	case "abandon":
		m.settle(false)
	case "leave":
		if len(m.callers) > 0 {
			c := rapid.SampledFrom(m.callers).Draw(m.T, "who")
			m.note("%d leaves", c.n)
			c.left = true
			c.leave()
			m.look()
		}
	case "pass":
		d := time.Duration(rapid.IntRange(1, 8000).Draw(m.T, "ms")) * time.Millisecond
		m.note("%v pass", d)
		for end := time.Now().Add(d); time.Now().Before(end); { // order is told by who is granted first
			time.Sleep(time.Millisecond)
			m.look()
		}
	case "update":
		if rapid.IntRange(0, 3).Draw(m.T, "now") == 0 {
			m.update()
		}
	case "refresh": // whatever is out
		m.note("refresh")
		m.counted = false
		m.refresh(m.judge.Limit())
	case "raise":
		more := m.judge.Limit()
		n := rapid.IntRange(1, 5).Draw(m.T, "more")
		m.note("the total rises by %d", n)
		m.counted = false
		more.Total, more.Remaining = more.Total+n, more.Remaining+n
		m.judge.SetLimit(more)
		m.refresh(more)
	case "lose":
		if rapid.IntRange(0, 3).Draw(m.T, "now") == 0 {
			key := rapid.SampledFrom([]string{"remaining", "spent", "out", "limits"}).Draw(m.T, "key")
			m.note("%s is lost", key)
			m.plain, m.counted = false, false
			m.server.Del(at + key)
		}
	case "kill":
		if len(m.pods) > 1 && rapid.IntRange(0, 3).Draw(m.T, "now") == 0 {
			i := rapid.IntRange(1, len(m.pods)-1).Draw(m.T, "which")
			m.note("pod %d dies", i)
			m.hooks[i].set(errKilled)
			m.plain = false
		}
	}
}

// refresh has the first pod hear what Discord says, if Redis still knows the queue.
func (m *model) refresh(limit gatewayqueue.SessionStartLimit) {
	if err := redisqueue.Refreshed(context.Background(), m.pods[0], limit); err != nil {
		m.Fatal(err)
	}
	m.look()
}

// update changes max_concurrency. A permit that is out was granted by the old
// buckets and may share its new one with another, so they are settled first.
func (m *model) update() {
	for len(m.permits) > 0 {
		m.settle(false)
	}
	m.mc = rapid.IntRange(1, 4).Draw(m.T, "new max_concurrency")
	m.plain = false // gaps of the new buckets are judged, not their order
	left := m.judge.Limit()
	m.note("max_concurrency is %d", m.mc)
	left.MaxConcurrency = m.mc
	m.judge.SetLimit(left)
	if err := m.pods[0].Update(context.Background(), left); err != nil {
		m.Fatal(err)
	}
	m.look()
}

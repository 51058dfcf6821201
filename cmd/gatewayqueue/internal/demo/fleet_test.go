package demo

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

func plainRows(r *report) (rows [][]string) {
	for _, row := range r.rows() {
		rows = append(rows, []string{row.Label, plainText(row.Fields)})
	}
	return rows
}

// fakePod brings up one shard a second, without a queue.
type fakePod struct {
	spec
	judge  *gatewaytest.Judge
	tell   func(event)
	ctx    context.Context
	cancel context.CancelFunc
	silent bool // it identifies, and dies before it can tell
}

func (p *fakePod) start() {
	go func() {
		for _, shard := range p.Shards {
			if sleep(p.ctx, time.Second) != nil {
				return
			}
			ruling := p.judge.Identify(shard)
			if p.silent && shard == p.Shards[1] {
				return
			}
			p.tell(event{Kind: identified, Pod: p.Pod, Shard: shard, At: time.Now(), Ruling: &ruling})
		}
	}()
}

func (p *fakePod) kill()        { p.cancel() }
func (p *fakePod) stop()        { p.cancel() }
func (p *fakePod) calls() int64 { return int64(len(p.Shards)) }

func newTestFleet(c config, silent string) *fleet {
	c.Remaining, c.Total = 100, 100
	f := &fleet{config: c, judge: gatewaytest.NewJudge(c.limit(), 0), note: func(string) {}, moment: func(string) {}}
	f.ledger = newLedger(c.Shards, c.MaxConcurrency, func(event, progress) {})
	f.recruit = func(ctx context.Context, s spec) (member, error) {
		p := &fakePod{spec: s, judge: f.judge, tell: f.ledger.hear, silent: s.Pod == silent}
		p.ctx, p.cancel = context.WithCancel(ctx)
		return p, nil
	}
	return f
}

func TestEachShardHasOnePod(t *testing.T) {
	for pods := 1; pods <= 16; pods++ {
		f := fleet{config: config{Shards: 16, Pods: pods}}
		var all []int
		for i := range pods {
			share := f.share(i)
			assert.NotEmpty(t, share)
			all = append(all, share...)
		}
		slices.Sort(all)
		assert.Len(t, slices.Compact(all), 16, "%d pods", pods)
	}
}

func TestShardsOfAKilledPodComeUpElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := defaultConfig()
		c.Shards, c.Pods, c.KillPod = 12, 3, true
		f := newTestFleet(c, "pod-1")
		require.NoError(t, f.run(t.Context()))
		assert.EqualValues(t, 12+2, f.stop())
		// pod-1 fell silent after its second shard, so it had most to do.
		require.Len(t, f.deaths, 1)
		assert.Equal(t, death{Pod: "pod-1", Heir: "pod-1b", At: 3 * time.Second, Back: 4 * time.Second, Shards: []int{2, 3}}, f.deaths[0])
		verdict := f.judge.Verdict()
		assert.Equal(t, 12, verdict.Identifies, "what the judge had heard was not done again")
		assert.Len(t, verdict.Shards, 12)
		assert.Equal(t, "pod-1", f.sender(1, 2*time.Second))
		assert.Equal(t, "pod-1b", f.sender(2, 5*time.Second))
		assert.Equal(t, "pod-3", f.sender(9, 5*time.Second))
	})
}

func TestInterruptedFleetStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := defaultConfig()
		c.KillPod = true
		f := newTestFleet(c, "")
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		assert.ErrorIs(t, f.run(ctx), context.DeadlineExceeded)
		f.stop()
	})
}

func TestBudgetThatEndsBeforeTheHalfDoesNotHangTheKiller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := defaultConfig()
		c.KillPod = true
		f := newTestFleet(c, "")
		go func() {
			for shard := range c.Shards {
				f.ledger.hear(event{Kind: failed, Shard: shard, Exhausted: true})
			}
		}()
		require.NoError(t, f.run(t.Context()))
		f.stop()
		assert.Empty(t, f.deaths)
	})
}

func TestProgressCountsEachShardOnce(t *testing.T) {
	l := newLedger(4, 2, func(event, progress) {})
	l.hear(event{Kind: identified, Shard: 0, Ruling: &gatewaytest.Ruling{Accepted: true}})
	l.hear(event{Kind: identified, Shard: 1, Ruling: &gatewaytest.Ruling{Early: true}})
	l.hear(event{Kind: failed, Shard: 2})
	p := l.now()
	assert.Equal(t, []int{1, 1, 1}, []int{p.Up, p.Refused, p.Failed})
	assert.Equal(t, []int{0, 1}, p.Missing)
	l.hear(event{Kind: identified, Shard: 2, Ruling: &gatewaytest.Ruling{Accepted: true}}) // taken over
	p = l.now()
	assert.Equal(t, []int{2, 1, 0}, []int{p.Up, p.Refused, p.Failed})
	select {
	case <-l.done:
		t.Fatal("shard 3 is missing")
	default:
	}
}

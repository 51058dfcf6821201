package workload

// What a queue takes while nothing happens: an idle pod, and one with a crowd.

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatewayqueue/gatewayqueue/bench/contest"
	"github.com/gatewayqueue/gatewayqueue/bench/server"
)

// Idle is how many commands a second a pod sends that has brought up a shard
// and has nobody waiting.
func Idle(c contest.Contestant) (float64, error) {
	s, err := server.Start()
	if err != nil {
		return 0, err
	}
	defer s.Stop()
	m := s.NewMeter()
	defer m.Close()
	f := &field{spec: Spec{Shards: 1, MaxConcurrency: 1, Pods: 1, Window: 100 * time.Millisecond}}
	f.ctx, f.cancel = context.WithTimeout(context.Background(), time.Minute)
	if err := f.open(c, s.Addr); err != nil {
		return 0, err
	}
	defer f.close()
	if err := f.pods[0].Turn(f.ctx, 0, func() {}, func() {}); err != nil {
		return 0, err
	}
	time.Sleep(4 * time.Second) // its lease ends meanwhile
	from, err := m.Read()
	if err != nil {
		return 0, err
	}
	time.Sleep(3 * time.Second)
	to, err := m.Read()
	cost := to.Since(from, c.Sent)
	return cost.Calls / cost.Elapsed.Seconds(), err
}

// Crowd is what a pod holds while many wait.
type Crowd struct {
	Heap, Stack float64 // bytes a waiter beyond what its goroutine itself has
	Goroutines  int     // beyond the callers'
	Client      float64 // share of a core that this process uses
	Commands    float64 // per second
}

// Waiting puts n waiters into one pod, with 16 buckets and Discord's window, and
// looks at it for some time once they have settled.
func Waiting(c contest.Contestant, n int, look time.Duration) (Crowd, error) {
	f := &field{spec: Spec{Shards: n, MaxConcurrency: 16, Pods: 1, Window: 5 * time.Second}}
	f.ctx, f.cancel = context.WithTimeout(context.Background(), time.Minute)
	var meter *server.Meter
	if c.Local {
		if err := f.openShared(c); err != nil {
			return Crowd{}, err
		}
	} else {
		s, err := server.Start()
		if err != nil {
			return Crowd{}, err
		}
		defer s.Stop()
		meter = s.NewMeter()
		defer meter.Close()
		if err := f.open(c, s.Addr); err != nil {
			return Crowd{}, err
		}
	}
	defer f.close()

	// What n goroutines take that only wait for a channel.
	release := make(chan struct{})
	bare, end := crowd(n, func(int) { <-release }, 100*time.Millisecond)
	close(release)
	end()

	g := &gauge{meter: meter, sent: c.Sent}
	var waiting atomic.Int64
	taken, end := crowd(n, func(shard int) {
		waiting.Add(1)
		_ = f.pods[0].Turn(f.ctx, shard, func() {}, func() {})
		waiting.Add(-1)
	}, look)
	if err := g.mark(); err != nil {
		return Crowd{}, err
	}
	time.Sleep(look)
	if err := g.mark(); err != nil {
		return Crowd{}, err
	}
	sum, over := g.between(g.points[0], g.points[1], 0)
	result := Crowd{
		Heap: (taken.heap - bare.heap) / float64(n), Stack: (taken.stack - bare.stack) / float64(n),
		Goroutines: taken.goroutines - int(waiting.Load()),
		Client:     sum.clientCPU / micros(over), Commands: sum.calls / over.Seconds(),
	}
	f.cancel()
	end()
	return result, nil
}

type usage struct {
	heap, stack float64
	goroutines  int
}

// crowd runs n goroutines of f, and says what they take once they have settled.
// end waits for them.
func crowd(n int, f func(int), settle time.Duration) (usage, func()) {
	before := use()
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	time.Sleep(settle)
	now := use()
	return usage{now.heap - before.heap, now.stack - before.stack, now.goroutines - before.goroutines}, all.Wait
}

func use() usage {
	runtime.GC()
	runtime.GC() // what finalizers and pools still hold
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{float64(m.HeapAlloc), float64(m.StackInuse), runtime.NumGoroutine()}
}

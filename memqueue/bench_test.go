package memqueue

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// go test -run '^$' -bench InMemory -count 10 ./memqueue | benchstat -

// lengths are the lines that stand in front or behind; what an operation costs
// must not depend on them.
var lengths = []int{0, 1_000, 1_000_000}

// unlimited has windows of no length: the cost is the queue's own.
func unlimited(b *testing.B, opts ...Option) *Queue {
	limit := gatewayqueue.SessionStartLimit{Total: 1 << 40, Remaining: 1 << 40, MaxConcurrency: 1}
	opts = append([]Option{WithWindow(0), WithMargin(0), WithPermitMargin(0)}, opts...)
	return newTestQueue(b, limit, opts...)
}

// crowd puts n tickets in line that nobody waits for.
func crowd(q *Queue, n int) []ticket {
	tickets := make([]ticket, n)
	for i := range tickets {
		tickets[i] = ticket{queue: q, shard: i & 1023}
		now := q.lock()
		if err := q.enter(&tickets[i], now); err != nil {
			panic(err)
		}
		q.unlock()
	}
	return tickets
}

// BenchmarkInMemoryWait is a grant without a wait.
func BenchmarkInMemoryWait(b *testing.B) {
	q := unlimited(b)
	ctx := b.Context()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := q.Wait(ctx, i&1023); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkInMemoryAcquire is a permit that is granted without a wait, and
// identified.
func BenchmarkInMemoryAcquire(b *testing.B) {
	q := unlimited(b)
	ctx := b.Context()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p, err := q.Acquire(ctx, i&1023)
		if err != nil {
			b.Fatal(err)
		}
		_ = p.Identified(ctx)
	}
}

// BenchmarkInMemoryTurn is a grant out of a line, and another caller that comes
// to its end: both decisions and waking the caller, without its goroutine.
func BenchmarkInMemoryTurn(b *testing.B) {
	for _, n := range lengths {
		b.Run(fmt.Sprintf("line=%d", n), func(b *testing.B) {
			q := unlimited(b, WithWindow(time.Hour))
			crowd(q, 1+n)
			bucket := q.bucket(0)
			b.ReportAllocs()
			for b.Loop() {
				t := &ticket{queue: q, shard: 7}
				now := q.lock()
				err := q.enter(t, now)
				bucket.holder = nil // as if its window had passed
				q.serve(bucket, now)
				q.unlock()
				if err != nil {
					b.Fatal(err)
				}
			}
			if bucket.line.length != n {
				b.Fatalf("%d are in line, of %d", bucket.line.length, n)
			}
		})
	}
}

// BenchmarkInMemoryEnterAndLeave is a caller that comes and goes, at the end of
// a line.
func BenchmarkInMemoryEnterAndLeave(b *testing.B) {
	for _, n := range lengths {
		b.Run(fmt.Sprintf("line=%d", n), func(b *testing.B) {
			q := unlimited(b, WithWindow(time.Hour))
			crowd(q, 1+n)
			canceled, cancel := context.WithCancel(b.Context())
			cancel()
			b.ReportAllocs()
			for b.Loop() {
				t := &ticket{queue: q, shard: 7}
				now := q.lock()
				err := q.enter(t, now)
				q.unlock()
				if err != nil {
					b.Fatal(err)
				}
				q.leave(t, canceled)
			}
		})
	}
}

// BenchmarkInMemoryTooLate is a caller whose deadline is too early for the
// window.
func BenchmarkInMemoryTooLate(b *testing.B) {
	q := unlimited(b, WithWindow(time.Hour))
	crowd(q, 1000)
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if q.Wait(ctx, 7) == nil {
			b.Fatal("it was granted")
		}
	}
}

// BenchmarkInMemoryMillion is a million goroutines in Wait at once, from the
// first to the last grant. Its memory is the queue's own and the callers'
// stacks.
func BenchmarkInMemoryMillion(b *testing.B) {
	if testing.Short() {
		b.Skip("takes gigabytes")
	}
	const callers = 1_000_000
	var enter, drain time.Duration
	var bytes uint64
	for b.Loop() {
		q := unlimited(b)
		q.mu.Lock()
		q.before.hold = time.Now().Add(time.Hour)
		q.mu.Unlock()
		before := inUse()
		start := time.Now()
		var all sync.WaitGroup
		for shard := range callers {
			all.Go(func() {
				if err := q.Wait(context.Background(), shard); err != nil {
					b.Error(err)
				}
			})
		}
		for q.peek(&q.waiting) < callers {
			time.Sleep(time.Millisecond)
		}
		enter += time.Since(start)
		bytes += inUse() - before
		start = time.Now()
		q.mu.Lock()
		q.before.hold = time.Time{}
		for _, bucket := range q.buckets {
			q.serve(bucket, time.Now())
		}
		q.unlock()
		all.Wait()
		drain += time.Since(start)
	}
	per := float64(b.N) * callers
	b.ReportMetric(float64(enter.Nanoseconds())/per, "ns/enter")
	b.ReportMetric(float64(drain.Nanoseconds())/per, "ns/drain")
	b.ReportMetric(float64(bytes)/per, "B/caller")
}

func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

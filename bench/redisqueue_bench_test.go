package main

// What one turn costs where nobody else waits: the client's part, and the
// script's. For benchstat:
//
//	go test -run '^$' -bench . -count 10 | benchstat -

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/bench/contest"
	"github.com/gatewayqueue/gatewayqueue/bench/server"
)

// BenchmarkTurn goes round so many buckets that each is open again.
func BenchmarkTurn(b *testing.B) {
	const buckets, window = 4096, 10 * time.Millisecond
	for _, c := range contest.All() {
		if c.Local || c.Serve != nil {
			continue
		}
		b.Run(c.Name, func(b *testing.B) {
			s, err := server.Start()
			if err != nil {
				b.Fatal(err)
			}
			defer s.Stop()
			m := s.NewMeter()
			defer m.Close()
			client := redis.NewClient(&redis.Options{Addr: s.Addr})
			defer client.Close()
			pod, err := c.Open(contest.Setup{
				App: "bench", Pod: "pod", Window: window,
				Limit: gatewayqueue.SessionStartLimit{Total: 1e9, Remaining: 1e9, ResetAfter: time.Hour, MaxConcurrency: buckets},
			}, client)
			if err != nil {
				b.Fatal(err)
			}
			defer pod.Close()
			turn := func(shard int) {
				if err := pod.Turn(context.Background(), shard, func() {}, func() {}); err != nil {
					b.Fatal(err)
				}
			}
			turn(buckets - 1)
			from, err := m.Read()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				turn(i % buckets)
			}
			to, err := m.Read()
			if err != nil {
				b.Fatal(err)
			}
			cost := to.Since(from, c.Sent)
			b.ReportMetric(cost.Calls/float64(b.N), "commands/op")
			b.ReportMetric(float64(cost.CPU.Microseconds())/cost.Calls, "us-CPU-of-Redis/command")
			b.ReportMetric(cost.PerCall, "us-in-Redis/command")
			b.ReportMetric(cost.Bytes/float64(b.N), "wire-B/op")
		})
	}
}

package main

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// The program's loop brings four shards up, and again after a restart of the
// gateway, without a violation.
func TestKeepUp(t *testing.T) {
	const window = 100 * time.Millisecond
	discord := gatewaytest.NewServer(gatewaytest.WithWindow(window))
	defer discord.Close()
	gateway = discord.GatewayURL()
	t.Setenv("DISCORD_TOKEN", discord.Token())
	queue, err := memqueue.New(gatewayqueue.DefaultLimit(), memqueue.WithWindow(window))
	if err != nil {
		t.Fatal(err)
	}
	defer queue.Close()

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var shards sync.WaitGroup
	for id := range 4 {
		shards.Go(func() { keepUp(ctx, queue, id) })
	}
	for _, identifies := range []int{4, 8} {
		if err := discord.WaitReady(ctx, 4); err != nil {
			t.Fatal(err)
		}
		if v := discord.Judge().Verdict(); !v.OK() || v.Identifies != identifies {
			t.Fatalf("want %d identifies: %v", identifies, v)
		}
		if identifies == 4 {
			discord.Restart()
		}
	}
	cancel()
	shards.Wait()
}

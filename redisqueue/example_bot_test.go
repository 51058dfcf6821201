package redisqueue_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// A test of a bot: a Redis in the process, the queue, a fake Discord that is as
// strict as can be, four shards, and a verdict. docs/testing.md explains it.
func Example_testOfABot() {
	server := miniredis.NewMiniRedis()
	server.ClockTTL(true) // else its keys never expire, and no bucket opens
	if err := server.Start(); err != nil {
		panic(err)
	}
	defer server.Close()
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()

	const window = time.Second // Discord's is 5 s; both sides must know
	discord := gatewaytest.NewServer(gatewaytest.WithWindow(window))
	defer discord.Close()
	queue, err := redisqueue.New(client, redisqueue.WithWindow(window),
		redisqueue.WithFreshStart(), // nobody has identified before: no hold of two windows
		redisqueue.WithLimitSource(redisqueue.DiscordLimitsAt(discord.URL()+"/api/v10", nil, discord.Token())))
	if err != nil {
		panic(err)
	}
	defer queue.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for shard := range 4 {
		go startShard(ctx, queue, discord, shard) // your bot
	}
	if err := discord.WaitReady(ctx, 4); err != nil {
		panic(err)
	}
	verdict := discord.Judge().Verdict()
	fmt.Println(verdict.OK(), verdict.Identifies, "identifies,", verdict.Violations, "too soon")
	// Output:
	// true 4 identifies, 0 too soon
}

// startShard stands for a bot's library: it connects, and identifies.
func startShard(ctx context.Context, queue gatewayqueue.PermitQueue, discord *gatewaytest.Server, shard int) {
	var ws *websocket.Conn
	err := gatewayqueue.Identify(ctx, queue, shard,
		func(ctx context.Context) (err error) {
			ws, _, err = websocket.Dial(ctx, discord.GatewayURL(), nil)
			return err
		},
		func(ctx context.Context) error {
			return wsjson.Write(ctx, ws, map[string]any{"op": 2, "d": map[string]any{"token": discord.Token(), "shard": []int{shard, 4}}})
		})
	if err != nil {
		fmt.Println("shard", shard, err)
	}
}

// The same without a Redis and a connection, in no time: the clocks in a synctest
// bubble are virtual, so that Discord's own 5 s cost nothing.
func TestBot_InVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 1000, MaxConcurrency: 2}
		queue, err := memqueue.New(limit)
		if err != nil {
			t.Fatal(err)
		}
		defer queue.Close()
		judge := gatewaytest.NewJudge(limit, gatewayqueue.IdentifyDelay)

		var shards sync.WaitGroup
		for shard := range 20 {
			shards.Go(func() {
				if err := queue.Wait(t.Context(), shard); err != nil {
					t.Error(err)
				}
				judge.Identify(shard) // where your bot sends IDENTIFY
			})
		}
		shards.Wait()
		if verdict := judge.Verdict(); !verdict.OK() || verdict.Identifies != 20 {
			t.Error(verdict)
		}
	})
}

// docs/testing.md shows what is here.
func TestTheTestingPagesCodeIsRun(t *testing.T) {
	shown(t, "../docs/testing.md", "example_bot_test.go")
}

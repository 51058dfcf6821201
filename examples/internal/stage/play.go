// The play: a fake Discord, a Redis, and the pods as children of this process.

package stage

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest/zstdstream"
)

// patience bounds every wait of the play.
const patience = 5 * time.Minute

// settle lets shards that came up send their first heartbeat. Where that fails
// because the connection is being closed, discordgo closes the next one too, and
// so on (see discordgoqueue).
const settle = 3 * time.Second

func play(ctx context.Context, pods, shards int) error {
	if pods < 1 || shards < pods {
		return fmt.Errorf("-pods is %d and -shards is %d: want 1 or more, and a shard for each", pods, shards)
	}
	limit := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 1000, ResetAfter: gatewayqueue.LimitPeriod, MaxConcurrency: 4}
	discord := gatewaytest.NewServer(
		gatewaytest.WithLimit(limit),
		gatewaytest.WithShards(shards),
		gatewaytest.WithLatency(gatewaytest.Between(50*time.Millisecond, 1500*time.Millisecond, 1)),
		gatewaytest.WithReadyDelay(gatewaytest.Between(100*time.Millisecond, 500*time.Millisecond, 2)),
		gatewaytest.WithZstd(zstdstream.New), // which disgo asks for
	)
	defer discord.Close()
	store := os.Getenv(redisVar)
	if store == "" {
		server := miniredis.NewMiniRedis()
		server.ClockTTL(true)
		if err := server.Start(); err != nil {
			return err
		}
		defer server.Close()
		store = "redis://" + server.Addr()
	}
	say := func(format string, args ...any) { fmt.Printf("---- "+format+"\n", args...) }
	say("no %s: a fake Discord that lets %d shards identify per %v, and %d pods with %d shards between them",
		tokenVar, limit.MaxConcurrency, gatewayqueue.IdentifyDelay, pods, shards)
	say("a new Redis looks like one that was emptied: every bucket stays closed until who identified before cannot matter (10 s)")

	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for i := range pods {
		env := []string{
			tokenVar + "=" + discord.Token(), apiVar + "=" + discord.URL() + "/api/v10", redisVar + "=" + store,
			fmt.Sprintf("%s=%d", indexVar, i), fmt.Sprintf("%s=%d", podsVar, pods), fmt.Sprintf("%s=%d", shardVar, shards),
		}
		if err := start(ctx, &running, i, env); err != nil {
			return err
		}
	}
	began := time.Now()
	act := func(what string) error {
		if err := discord.WaitReady(ctx, shards); err != nil {
			return err
		}
		say("%5.1f s: %s: all are ready: %v", time.Since(began).Seconds(), what, discord.Judge().Verdict())
		return nil
	}
	if err := act("cold start"); err != nil {
		return err
	}
	for _, trouble := range []struct {
		name, told string
		cause      func()
	}{
		{"reconnect", "Discord tells all shards to reconnect; they resume, without the queue", func() { discord.Reconnect() }},
		{"restart", "every session ends: all must identify again", discord.Restart},
	} {
		if err := sleep(ctx, settle); err != nil {
			return err
		}
		say("%s", trouble.told)
		trouble.cause()
		if err := act(trouble.name); err != nil {
			return err
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// start runs this program as a pod. It is interrupted when ctx ends.
func start(ctx context.Context, running *sync.WaitGroup, index int, env []string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	cmd.Env = append(os.Environ(), env...)
	output, input := io.Pipe()
	cmd.Stdout, cmd.Stderr = input, input
	if err := cmd.Start(); err != nil {
		return err
	}
	running.Go(func() {
		for lines := bufio.NewScanner(output); lines.Scan(); {
			fmt.Printf("pod-%d %s\n", index, lines.Text())
		}
	})
	running.Go(func() { _ = cmd.Wait(); _ = input.Close() })
	return nil
}

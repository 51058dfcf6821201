// Package pod is one pod of a made-up bot, for docker compose up --scale pod=N: it
// takes the shards that are next, and brings them up through the queue that all
// pods share. Nothing is sent to Discord.
package pod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

type config struct {
	Redis, App             string
	Shards, MaxConcurrency int
	Window                 time.Duration
}

// Command is gatewayqueue pod.
func Command() *cobra.Command {
	c := config{Redis: "redis://127.0.0.1:6379", App: "compose", Shards: 4, MaxConcurrency: 4, Window: gatewayqueue.IdentifyDelay}
	cmd := &cobra.Command{
		Use:    "pod",
		Hidden: true,
		Short:  "One pod of a made-up bot, for docker compose up --scale pod=N",
		Long: `One pod of a made-up bot, for docker compose up --scale pod=N. It takes the shard IDs
that are next, from a counter in Redis, brings them up through the queue that
all pods share, and says of each IDENTIFY how long it came after the one before
in its bucket, whichever pod has sent that: the moments are Redis's own. It ends
with 0 when all its shards are up, with 1 if any came within 5 s.`,
		Args: cli.NoArgs,
	}
	flags := cmd.Flags()
	cli.Text(flags, &c.Redis, "redis", "`URL` of the server that all pods share")
	cli.App(flags, &c.App, "application ID of the bot")
	cli.Int(flags, &c.Shards, "shards", 1, 1024, "shards to bring up")
	cli.Int(flags, &c.MaxConcurrency, "max-concurrency", 1, 1024, "buckets; the same for all pods")
	cli.Duration(flags, &c.Window, "window", 50*time.Millisecond, 30*time.Second, "Discord's window; shorter ones are for tests")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), c, cmd.OutOrStdout()) }
	return cmd
}

func run(ctx context.Context, c config, out io.Writer) (err error) {
	s, err := store.Open(ctx, c.Redis)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	limit := gatewayqueue.DefaultLimit()
	limit.MaxConcurrency = c.MaxConcurrency
	queue, err := redisqueue.New(s.Client, redisqueue.WithApp(c.App), redisqueue.WithLimit(limit), redisqueue.WithWindow(c.Window))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, queue.Close()) }()
	first, err := take(ctx, s.Client, c)
	if err != nil {
		return s.Explain(err)
	}
	fmt.Fprintf(out, "shards %d to %d take their places\n", first, first+c.Shards-1)
	start := time.Now()
	var shards sync.WaitGroup
	errs := make([]error, c.Shards)
	for i := range c.Shards {
		shards.Go(func() { errs[i] = bringUp(ctx, s, queue, c, first+i, out) })
	}
	shards.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	fmt.Fprintf(out, "all %d shards are up, after %s\n", c.Shards, cli.Short(time.Since(start).Round(10*time.Millisecond)))
	return nil
}

func bringUp(ctx context.Context, s *store.Store, queue gatewayqueue.Queue, c config, shard int, out io.Writer) error {
	if err := queue.Wait(ctx, shard); err != nil {
		return fmt.Errorf("shard %d: %w", shard, s.Explain(err))
	}
	bucket := shard % c.MaxConcurrency
	gap, err := identify(ctx, s.Client, c, bucket)
	if err != nil {
		return s.Explain(err)
	}
	switch {
	case gap == 0:
		fmt.Fprintf(out, "shard %-4d identifies, the first in bucket %d\n", shard, bucket)
	case gap < c.Window:
		return fmt.Errorf("shard %d came only %v after the one before in bucket %d", shard, gap, bucket)
	default:
		fmt.Fprintf(out, "shard %-4d identifies, %.3f s after the one before in bucket %d\n", shard, gap.Seconds(), bucket)
	}
	return nil
}

// The demo's own keys, beside the queue's.
func key(app, name string) string { return "demo:{" + app + "}:" + name }

// keepFor is how long they stay.
const keepFor = time.Hour

// take returns the first of the shard IDs that are this pod's.
func take(ctx context.Context, client redis.UniversalClient, c config) (int, error) {
	counter := key(c.App, "shards")
	end, err := client.IncrBy(ctx, counter, int64(c.Shards)).Result()
	if err != nil {
		return 0, err
	}
	return int(end) - c.Shards, client.Expire(ctx, counter, keepFor).Err()
}

// judge keeps the moment of the last IDENTIFY of a bucket, and returns how long
// ago it was, in microseconds of Redis's clock.
var judge = redis.NewScript(`
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local last = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], string.format('%.0f', now), 'EX', ARGV[1])
return last and string.format('%.0f', now - last) or '0'`)

// identify is where a bot would send IDENTIFY.
func identify(ctx context.Context, client redis.UniversalClient, c config, bucket int) (time.Duration, error) {
	ago, err := judge.Run(ctx, client, []string{key(c.App, fmt.Sprintf("last:%d", bucket))}, int(keepFor.Seconds())).Int64()
	return time.Duration(ago) * time.Microsecond, err
}

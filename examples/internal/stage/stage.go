// Package stage is what the example bots run on: Discord and your Redis, or, if
// there is no token, a fake Discord and a Redis inside this process, with every
// pod a process of its own. A bot of yours needs none of it.
package stage

import (
	"context"
	"encoding/base64"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
)

// The environment of a pod.
const (
	tokenVar = "DISCORD_TOKEN"
	apiVar   = "DISCORD_API"
	redisVar = "REDIS_URL"
	indexVar = "POD_INDEX"
	podsVar  = "POD_COUNT"
	shardVar = "SHARD_COUNT"
)

// Pod is one process of a bot.
type Pod struct {
	Name       string
	App        string // the application's ID
	Token      string
	API        string // Discord's, such as https://discord.com/api/v10
	Shards     []int
	ShardCount int
	Redis      *redis.Client
}

// Main runs a bot: one pod of it against Discord, or all of them in a play.
func Main(bot func(context.Context, Pod) error) {
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), `A bot whose pods share one IDENTIFY queue.

Without a token it plays: a fake Discord, and as many pods as -pods says.

With %s it is one pod, and connects to Discord:
  %s     its Redis (redis://localhost:6379)
  %s     0 or more (0), and
  %s     how many there are (1): the pod runs every shard with shard %% count == index
  %s   of the whole bot (1)
`, tokenVar, redisVar, indexVar, podsVar, shardVar)
		flag.PrintDefaults()
	}
	pods := flag.Int("pods", 3, "pods of the play")
	shards := flag.Int("shards", 12, "shards of the play")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if os.Getenv(tokenVar) == "" {
		err = play(ctx, *pods, *shards)
	} else {
		err = runPod(ctx, bot)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runPod(ctx context.Context, bot func(context.Context, Pod) error) error {
	index, err := number(indexVar, 0)
	if err != nil {
		return err
	}
	count, err := number(podsVar, 1)
	if err != nil {
		return err
	}
	p := Pod{Name: fmt.Sprintf("pod-%d", index), Token: os.Getenv(tokenVar), API: or(os.Getenv(apiVar), "https://discord.com/api/v10")}
	if p.ShardCount, err = number(shardVar, 1); err != nil {
		return err
	}
	for shard := range p.ShardCount {
		if shard%max(count, 1) == index {
			p.Shards = append(p.Shards, shard)
		}
	}
	if len(p.Shards) == 0 {
		return fmt.Errorf("pod %d of %d has no shards of %d", index, count, p.ShardCount)
	}
	id, _, _ := strings.Cut(p.Token, ".")
	app, err := base64.RawStdEncoding.DecodeString(id)
	if err != nil {
		return fmt.Errorf("%s is not a bot's token", tokenVar)
	}
	p.App = string(app)
	options, err := redis.ParseURL(or(os.Getenv(redisVar), "redis://localhost:6379"))
	if err != nil {
		return fmt.Errorf("%s is not a Redis URL", redisVar) // the error may have its password
	}
	p.Redis = redis.NewClient(options)
	defer func() { _ = p.Redis.Close() }()
	fmt.Printf("has shards %v of %d\n", p.Shards, p.ShardCount)
	return bot(ctx, p)
}

func number(name string, otherwise int) (int, error) {
	value := os.Getenv(name)
	if value == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s is %q: want 0 or more", name, value)
	}
	return n, nil
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// Say prints what happens in a queue.
func (Pod) Say(e gatewayqueue.Event) {
	switch e.Kind {
	case gatewayqueue.EventWaiting:
		fmt.Printf("shard %d waits\n", e.ShardID)
	case gatewayqueue.EventGranted:
		fmt.Printf("shard %d has its turn after %v: it dials\n", e.ShardID, e.Elapsed.Round(time.Millisecond))
	case gatewayqueue.EventIdentified:
		fmt.Printf("shard %d has identified %v later: bucket %d opens in a window\n", e.ShardID, e.Elapsed.Round(time.Millisecond), e.Bucket)
	case gatewayqueue.EventAbandoned:
		fmt.Printf("shard %d gives its turn back\n", e.ShardID)
	case gatewayqueue.EventLeft, gatewayqueue.EventStoreError:
		fmt.Printf("shard %d: %v: %v\n", e.ShardID, e.Kind, e.Err)
	}
}

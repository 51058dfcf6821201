// A pod, as seen from inside: one process with some shards of a bot.

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// podVar is the environment variable that makes the test binary a pod.
const podVar = "GATEWAYQUEUE_E2E_POD"

// closeTimeout bounds everything that a pod does to end well.
const closeTimeout = 10 * time.Second

// podConfig is what a pod is told by the test.
type podConfig struct {
	Name       string
	Library    string // disgo or discordgo
	Limiter    string // see limiters_test.go
	Redis      string
	URL, Token string // of the gateway's HTTP side
	Shards     []int
	ShardCount int
	Window     time.Duration
	Limit      gatewayqueue.SessionStartLimit
	FreshStart bool
}

// bot is a pod's part of a bot, made with one of the libraries. open blocks
// until its shards are up, or its context ends.
type bot interface {
	open(ctx context.Context)
	close(ctx context.Context)
}

// runPod is the life of a pod. It says on its
// standard output when it identified, and ends with its standard input.
func runPod(encoded string) {
	var config podConfig
	exitOn(json.Unmarshal([]byte(encoded), &config))
	client := redis.NewClient(&redis.Options{Addr: config.Redis})
	queue, err := redisqueue.New(client, config.options()...)
	exitOn(err)
	var b bot
	switch config.Library {
	case "disgo":
		log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
		b = newDisgoBot(config, client, queue, log)
	case "discordgo":
		b = newDiscordgoBot(config, client, queue)
	default:
		exitOn(fmt.Errorf("no library %q", config.Library))
	}
	ctx, cancel := context.WithCancel(context.Background())
	opened := make(chan struct{})
	go func() { defer close(opened); b.open(ctx) }()

	_, _ = io.Copy(io.Discard, os.Stdin)
	time.AfterFunc(closeTimeout, func() { exitOn(fmt.Errorf("pod %s hangs in close", config.Name)) })
	cancel()
	closing, cancel := context.WithTimeout(context.Background(), closeTimeout/2)
	defer cancel()
	b.close(closing)
	<-opened
	exitOn(queue.Close())
	exitOn(client.Close())
}

func (c podConfig) options() []redisqueue.Option {
	options := []redisqueue.Option{redisqueue.WithPod(c.Name), redisqueue.WithWindow(c.Window), redisqueue.WithLimit(c.Limit),
		redisqueue.WithObserver(saySent)}
	if c.FreshStart {
		options = append(options, redisqueue.WithFreshStart())
	}
	if c.Limiter == limiterWaitLong {
		options = append(options, redisqueue.WithMargin(1500*time.Millisecond)) // the dial's jitter
	}
	return options
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

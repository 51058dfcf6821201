// The Go programs of docs/libraries.md, typed in from there.

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest/zstdstream"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// typed is a program around a section of the page: PART 1 to 3 are its block, which
// has "..." between them. The bot is one that tests know: edits give it the fake
// Discord's address and the shards.
type typed struct {
	section string
	edits   []string // from, to
	vain    int      // identifies that the library may send for nothing
	program string
}

const typedHead = `package main

import (
	"context"
	"os"
	"os/signal"
	"strconv"
	"sync"
IMPORTS
	"github.com/gorilla/websocket"
	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

var api, token, appID = os.Getenv("BOT_API"), os.Getenv("BOT_TOKEN"), "1234567890"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	client := redis.NewClient(&redis.Options{Addr: os.Getenv("BOT_REDIS")})
	first, err := strconv.Atoi(os.Getenv("BOT_FIRST"))
	must(err)
	shards, count := []int{first, first + 1}, 4
	var all sync.WaitGroup
	defer all.Wait()
`

var typedPrograms = []typed{
	{
		section: "disgo (Go)",
		edits: []string{
			"redisqueue.DiscordLimits(nil, token)", "redisqueue.DiscordLimitsAt(api, nil, token)",
			"disgo.New(token, ", "disgo.New(token, bot.WithRestClientConfigOpts(rest.WithURL(api)), ",
			"sharding.WithIdentifyRateLimiter(limiter),", "sharding.WithIdentifyRateLimiter(limiter), sharding.WithShardIDs(shards...), sharding.WithShardCount(count),",
		},
		program: strings.Replace(typedHead, "IMPORTS", `
	"github.com/disgoorg/disgo"
	"github.com/disgoorg/disgo/bot"
	"github.com/disgoorg/disgo/gateway"
	"github.com/disgoorg/disgo/rest"
	"github.com/disgoorg/disgo/sharding"
	"github.com/gatewayqueue/gatewayqueue/disgoqueue"`, 1) + `
	PART 1
	must(err)
	PART 2
	must(err)
	must(bot.OpenShardManager(ctx))
	<-ctx.Done()
	ctx = context.Background()
	PART 3
}
`,
	},
	{
		section: "discordgo (Go)",
		// A heartbeat that fails while its connection is being closed closes the next
		// one, too, once for each shard: https://github.com/bwmarrin/discordgo/issues/406
		vain: 4,
		program: strings.Replace(typedHead, "IMPORTS", `
	"github.com/bwmarrin/discordgo"
	"github.com/gatewayqueue/gatewayqueue/discordgoqueue"`, 1) + `
	discordgo.EndpointAPI, discordgo.EndpointGateway, discordgo.EndpointGatewayBot = api+"/", api+"/gateway", api+"/gateway/bot"
	queue, err := redisqueue.New(client, redisqueue.WithApp(appID), redisqueue.WithLimitSource(redisqueue.DiscordLimitsAt(api, nil, token)))
	must(err)
	for _, id := range shards {
		all.Go(func() {
			for ctx.Err() == nil {
				if open(ctx, queue, id, count) == nil {
					return
				}
			}
		})
	}
}

func open(ctx context.Context, queue *redisqueue.RedisQueue, id, count int) error {
	PART 1
	if err != nil {
		return err
	}
	<-ctx.Done()
	session.ShouldReconnectOnError = false
	PART 2
	return nil
}
`,
	},
}

// write types the program in.
func (p typed) write(t *testing.T, file string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/libraries.md")
	require.NoError(t, err)
	block := regexp.MustCompile(`(?s)\n## ` + regexp.QuoteMeta(p.section) + `\n[^#]*?` + "```go\n(.*?)```").FindSubmatch(page)
	require.NotNil(t, block, p.section)
	text := string(block[1])
	for i := 0; i < len(p.edits); i += 2 {
		require.Contains(t, text, p.edits[i])
		text = strings.Replace(text, p.edits[i], p.edits[i+1], 1)
	}
	program := p.program
	parts := strings.Split(text, "\n...\n")
	for i, part := range parts {
		name := "PART " + string(rune('1'+i)) + "\n"
		require.Contains(t, program, name)
		program = strings.Replace(program, name, part+"\n", 1)
	}
	require.NotContains(t, program, "PART ")
	require.NoError(t, os.WriteFile(file, []byte(program), 0o600))
}

// Two processes of each bring their shards up, and again after a restart of all
// gateways.
func TestPage_GoProgramsAreRightAsTheyStand(t *testing.T) {
	for _, p := range typedPrograms {
		t.Run(p.section, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			source, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "bot")
			p.write(t, source)
			out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, source).CombinedOutput()
			require.NoError(t, err, "%s", out)

			limit := gatewayqueue.DefaultLimit()
			limit.MaxConcurrency = 2
			// A window shorter than the queue's: a busy machine reads some late.
			discord := gatewaytest.NewServer(gatewaytest.WithLimit(limit), gatewaytest.WithWindow(4500*time.Millisecond), gatewaytest.WithZstd(zstdstream.New),
				gatewaytest.WithLatency(gatewaytest.Between(50*time.Millisecond, 300*time.Millisecond, 1)), gatewaytest.WithTransit(gatewaytest.Fixed(10*time.Millisecond)))
			defer discord.Close()
			redis := redistest.Start(t)
			var bots []*exec.Cmd
			for _, first := range []string{"0", "2"} {
				cmd := exec.CommandContext(t.Context(), program)
				cmd.Env = append(os.Environ(), "BOT_API="+discord.URL()+"/api/v10", "BOT_TOKEN="+discord.Token(), "BOT_REDIS="+redis.Addr, "BOT_FIRST="+first)
				cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
				cmd.Cancel = func() error { return cmd.Process.Kill() }
				require.NoError(t, cmd.Start())
				bots = append(bots, cmd)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			require.NoError(t, discord.WaitReady(ctx, 4))
			discord.Restart()
			require.NoError(t, discord.WaitReady(ctx, 4))
			for _, cmd := range bots {
				require.NoError(t, cmd.Process.Signal(os.Interrupt))
			}
			verdict := discord.Judge().Verdict()
			assert.True(t, verdict.OK(), "%v", verdict)
			assert.GreaterOrEqual(t, verdict.Identifies, 8, "%v", verdict)
			assert.LessOrEqual(t, verdict.Identifies, 8+p.vain, "%v", verdict)
			left, err := redis.Client(t).Get(t.Context(), "identify:{1234567890}:remaining").Int()
			require.NoError(t, err)
			assert.Equal(t, 1000-verdict.Identifies, left, "one unit for each")
			for _, cmd := range bots {
				_ = cmd.Wait() // it was told to end
			}
		})
	}
}

// Waits in line that outlast many of the gateway's heartbeat intervals: what the
// libraries themselves make of a connection that was held for so long.

package e2e

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bwmarrin/discordgo"
	"github.com/disgoorg/disgo/gateway"
	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/discordgoqueue"
	"github.com/gatewayqueue/gatewayqueue/disgoqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// interval is what Discord's 41.25 s stand for here: in 9 s there are as many of
// them as in over 6 min.
const interval = time.Second

var libraries = map[string]func(*testing.T, gatewayqueue.PermitQueue, *gatewaytest.Server){
	"discordgo": openDiscordgo, "disgo": openDisgo,
}

func TestAWaitOfManyHeartbeatsCostsOneIdentify(t *testing.T) {
	for name, open := range libraries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLine(t, open, func(*gatewaytest.Server) { time.Sleep(9 * interval) })
		})
	}
}

// A bot that waits with its connection open notices that it ends, and identifies
// once on the next one.
func TestAConnectionThatEndsInLineCostsNoIdentify(t *testing.T) {
	for end, ends := range map[string]func(*gatewaytest.Server){
		"severed": func(srv *gatewaytest.Server) { srv.Drop(false) },
		"closed":  func(srv *gatewaytest.Server) { srv.Restart() },
		"severed thrice": func(srv *gatewaytest.Server) {
			srv.Drop(false)
			time.Sleep(4 * interval)
			srv.Drop(false)
			time.Sleep(4 * interval)
			srv.Drop(false)
		},
	} {
		for name, open := range libraries {
			t.Run(end+", "+name, func(t *testing.T) {
				t.Parallel()
				inLine(t, open, func(srv *gatewaytest.Server) {
					time.Sleep(2 * interval) // both of discordgo's goroutines wait to write
					ends(srv)
					time.Sleep(5 * interval)
				})
			})
		}
	}
}

// inLine brings a shard up, has it identify again behind another that takes its
// time, does something meanwhile, and checks that it comes up with one IDENTIFY
// and stays up.
func inLine(t *testing.T, open func(*testing.T, gatewayqueue.PermitQueue, *gatewaytest.Server), meanwhile func(*gatewaytest.Server)) {
	queue, err := memqueue.New(gatewayqueue.DefaultLimit(), memqueue.WithWindow(100*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(func() { _ = queue.Close() })
	srv := gatewaytest.NewServer(gatewaytest.WithHeartbeat(interval), gatewaytest.WithWindow(100*time.Millisecond))
	t.Cleanup(srv.Close)
	open(t, queue, srv)
	require.NoError(t, srv.WaitReady(t.Context(), 1))

	other, err := queue.Acquire(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, 1, srv.Invalidate(false))
	meanwhile(srv)
	require.Eventually(t, func() bool {
		status, err := queue.Status(t.Context())
		return err == nil && status.Waiting() == 1
	}, 30*time.Second, time.Millisecond, "it is still in line, or again")
	require.NoError(t, other.Abandon(t.Context()))
	require.NoError(t, srv.WaitReady(t.Context(), 1))
	time.Sleep(7 * interval) // it stays
	require.NoError(t, srv.WaitReady(t.Context(), 1))
	verdict := srv.Judge().Verdict()
	assert.True(t, verdict.OK(), "%v", verdict)
	assert.Equal(t, 2, verdict.Identifies)
	assert.Zero(t, srv.Stats().Timeouts, "heartbeats were sent")
	status, err := queue.Status(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 998, status.Budget.Remaining)
}

// openDiscordgo has the session ask a gateway of its own for the address, though
// that is a variable of the whole program.
func openDiscordgo(t *testing.T, queue gatewayqueue.PermitQueue, srv *gatewaytest.Server) {
	session, err := discordgo.New("Bot " + srv.Token())
	require.NoError(t, err)
	session.LogLevel = -1
	session.Client = &http.Client{Transport: to{strings.TrimPrefix(srv.URL(), "http://")}}
	gate := discordgoqueue.New(queue, 0)
	session.Dialer = &websocket.Dialer{NetDialContext: gate.DialContext, NetDialTLSContext: gate.DialTLSContext}
	session.AddHandler(func(*discordgo.Session, *discordgo.Ready) { gate.Ready() })
	require.NoError(t, session.Open())
	t.Cleanup(func() {
		gate.Close()
		session.ShouldReconnectOnError = false
		_ = session.Close()
	})
}

// to sends every request to one host.
type to struct{ host string }

func (to to) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = "http", to.host
	return http.DefaultTransport.RoundTrip(r)
}

func openDisgo(t *testing.T, queue gatewayqueue.PermitQueue, srv *gatewaytest.Server) {
	limiter := disgoqueue.New(queue)
	bot := gateway.New(srv.Token(), func(gateway.Gateway, gateway.EventType, int, gateway.EventData) {},
		gateway.WithURL(strings.SplitN(srv.GatewayURL(), "?", 2)[0]),
		gateway.WithCompression(gateway.CompressionZlibStream),
		gateway.WithLogger(slog.New(slog.DiscardHandler)),
		gateway.WithIdentifyRateLimiter(limiter),
		gateway.WithDialer(&websocket.Dialer{NetDialContext: limiter.DialContext, NetDialTLSContext: limiter.DialTLSContext}),
	)
	require.NoError(t, bot.Open(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		limiter.Close(ctx)
		bot.Close(ctx)
	})
}

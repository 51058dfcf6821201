// Through a proxy: the plain library, without a line of ours, and with nothing but
// the proxy's address.

package libraries

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/internal/balancetest"
	"github.com/gatewayqueue/gatewayqueue/internal/e2e/report"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// tls443Host is the proxy's name for libraries that speak TLS to port 443 only; the
// bots' world knows where it is.
const tls443Host = "proxy.internal"

// proxiedSelection is short enough for every run of the tests.
var proxiedSelection = plan{
	shards: 6, processes: 2, buckets: 2, window: selection.window, slack: selection.slack, latency: selection.latency,
	heartbeat: selection.heartbeat, proxied: true,
}

// proxiedMatrix is Discord's own pace, and proxiedAlone is the same without proxies
// and without the slack, which is for a busy machine.
var (
	proxiedMatrix = plan{
		shards: 48, processes: 3, buckets: 4, window: gatewayqueue.IdentifyDelay, slack: 250 * time.Millisecond,
		latency: 1500 * time.Millisecond, transit: 50 * time.Millisecond, heartbeat: gatewaytest.DefaultHeartbeat, proxied: true,
	}
	proxiedAlone = plan{
		shards: 48, processes: 3, buckets: 4, window: gatewayqueue.IdentifyDelay,
		latency: 1500 * time.Millisecond, transit: 50 * time.Millisecond, heartbeat: gatewaytest.DefaultHeartbeat, alone: true,
	}
)

// startProxies starts two behind a balancer, and the test's own eye on their queue.
func (f *fleet) startProxies(t *testing.T) {
	t.Helper()
	f.balancer = balancetest.Start(t)
	for i := range servers {
		f.proxies = append(f.proxies, f.startProxy(t))
		f.balancer.Add(f.proxies[i].address(t))
	}
	f.tlsPort = endTLS(t, f.stage.tls, f.balancer.Addr)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: f.stage.trust(t)}}
	t.Cleanup(client.CloseIdleConnections)
	queue, err := redisqueue.New(f.stage.redis.Client(t), redisqueue.WithApp(f.app), redisqueue.WithPod("test"),
		redisqueue.WithWindow(f.window+f.slack), redisqueue.WithFreshStart(),
		redisqueue.WithLimitSource(redisqueue.DiscordLimitsAt(f.discord.URL()+"/api/v10", client, f.discord.Token())))
	require.NoError(t, err)
	t.Cleanup(func() { _ = queue.Close() })
	f.queue = queue
}

func (f *fleet) startProxy(t *testing.T) *process {
	t.Helper()
	gateway := f.discord.GatewayURL()
	args := []string{
		"proxy", "--port", "0", "--redis", "redis://" + f.stage.redis.Addr, "--discord-api", f.discord.URL(), "--api",
		"--gateway", gateway, "--gateway-host", strings.Replace(gateway, "127.0.0.1", "localhost", 1),
		"--window", (f.window + f.slack).String(), "--fresh-start", "--pod", fmt.Sprintf("proxy-%d", f.started.Add(1)),
	}
	if f.impatient {
		args = append(args, "--max-hold", "10s")
	}
	if f.tls443 {
		args = append(args, "--external", "wss://"+tls443Host)
	}
	return start(t, f.stage.dir, []string{"SSL_CERT_FILE=" + f.stage.roots}, f.stage.program, args...)
}

// roll replaces a proxy as a Deployment does: bots are sent to another one, then it
// is told to end.
func (f *fleet) roll(t *testing.T, i int) {
	t.Helper()
	old := f.proxies[i]
	f.proxies[i] = f.startProxy(t)
	f.balancer.Replace(i, f.proxies[i].address(t))
	old.end(syscall.SIGTERM)
}

// throughProxy leads a program to the proxies.
func (f *fleet) throughProxy(t *testing.T, text string) string {
	t.Helper()
	require.NotContains(t, strings.ToLower(text), "queue")
	require.NotEmpty(t, f.address)
	for _, e := range f.address {
		require.Contains(t, text, e.from)
		text = strings.ReplaceAll(text, e.from, e.to)
	}
	return strings.ReplaceAll(text, "PROXY", f.balancer.Addr)
}

// endTLS is a port on which TLS ends, in front of a server: what an Ingress does.
func endTLS(t *testing.T, config *tls.Config, to string) (port string) {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = client.Close() }()
				server, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer func() { _ = server.Close() }()
				go func() {
					_, _ = io.Copy(server, client)
					_ = server.Close()
				}()
				_, _ = io.Copy(client, server)
			}()
		}
	}()
	_, port, err = net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	return port
}

// through is how it went behind proxies.
type through struct {
	cold, resumed, rolled, restart time.Duration
	rollIdentifies                 int
	identifies, violations         int
	leastGap                       time.Duration
	never                          bool // identified again
}

// proxiedHead is the head of the table of lives behind proxies, beside those without.
const proxiedHead = `| library | what is set | cold start: ready | op 7 to all: resumed | both proxies rolled: resumed, IDENTIFYs | restart of all gateways, a proxy rolled meanwhile: ready | identifies = units | violations | least gap | without the proxy: violations | identifies | all ready after cold start, restart |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
`

func (l through) cells() string {
	restart := fmt.Sprintf("%.0f s", l.restart.Seconds())
	if l.never {
		restart = "the library never identifies again"
	}
	identifies := fmt.Sprint(l.identifies)
	return fmt.Sprintf("%.0f s | %.1f s | %.1f s, %d | %s | %s | **%d** | %.3f s", l.cold.Seconds(), l.resumed.Seconds(),
		l.rolled.Seconds(), l.rollIdentifies, restart, identifies, l.violations, l.leastGap.Seconds())
}

// liveThrough takes a fleet behind proxies through its life.
func (f *fleet) liveThrough(t *testing.T) (l through) {
	t.Helper()
	begun := time.Now()
	lap := func(what string) time.Duration {
		took := time.Since(begun)
		t.Logf("%5.1f s %s: %v", took.Seconds(), what, f.discord.Judge().Verdict())
		return took
	}
	f.startBots(t)
	f.allReady(t)
	l.cold = lap("cold start")
	twice := f.judgePaid(t, f.shards)

	// @discordjs/ws 1.2.3 forgets a session that has to reconnect right after its READY.
	time.Sleep(time.Second)
	begun = time.Now()
	before := f.discord.Resumes()
	require.Equal(t, f.shards, f.discord.Reconnect())
	f.until(t, "all resumed", func() bool { return f.discord.Resumes() >= before+f.shards })
	f.allReady(t)
	l.resumed = lap("op 7 to all")
	f.judge(t, f.shards+twice)

	begun = time.Now()
	before = f.discord.Resumes()
	for i := range servers {
		f.roll(t, i)
		f.allReady(t)
	}
	f.until(t, "all have resumed", func() bool { return f.discord.Resumes() >= before+f.shards })
	f.allReady(t)
	l.rolled = lap("both proxies rolled")
	l.rollIdentifies = f.discord.Judge().Verdict().Identifies - f.shards - twice
	f.judge(t, f.shards+twice)

	if !f.neverAgain {
		f.resumeBesideLine(t)
		f.judge(t, f.shards+twice+1)
		begun = time.Now()
		expected := 2*f.shards + twice + 1
		f.discord.Restart()
		f.until(t, "half have identified again", func() bool {
			return f.discord.Judge().Verdict().Identifies >= expected-f.shards/2 && len(f.discord.ReadyShards()) >= f.shards/2
		})
		time.Sleep(f.window / 4) // the last one's READY is through
		f.roll(t, 0)
		f.until(t, "all have identified again", func() bool { return f.discord.Judge().Verdict().Identifies >= expected })
		f.allReady(t)
		l.restart = lap("restart of all gateways")
		f.judgePaid(t, expected)
	}
	l.never = f.neverAgain
	verdict := f.discord.Judge().Verdict()
	l.identifies, l.violations, l.leastGap = verdict.Identifies, verdict.Violations, verdict.LeastGap
	return l
}

// judgePaid demands no violation, and one unit for each IDENTIFY that reached Discord.
// It returns how many shards had to identify twice: those whose READY was on its way
// when a proxy ended, or when the library gave up on it. They are few.
func (f *fleet) judgePaid(t *testing.T, least int) (twice int) {
	t.Helper()
	identifies := f.discord.Judge().Verdict().Identifies
	assert.GreaterOrEqual(t, identifies, least)
	assert.LessOrEqual(t, identifies, least+max(f.buckets, f.shards/8), "many have identified twice")
	f.judge(t, identifies)
	return identifies - least
}

// liveWithout is a start and a restart without a proxy: what the library does by
// itself.
func (f *fleet) liveWithout(t *testing.T) string {
	t.Helper()
	f.startBots(t)
	phases := []report.Phase{report.Watch(t.Context(), f.discord, f.shards, patience)}
	if phases[0].Over == 0 {
		f.discord.Restart()
		phases = append(phases, report.Watch(t.Context(), f.discord, f.shards, patience))
	}
	violations, identifies := 0, 0
	var ends []string
	for _, p := range phases {
		violations, identifies = violations+p.Early, identifies+p.Identifies
		switch {
		case p.Over > 0:
			ends = append(ends, fmt.Sprintf("**token lost** after %.0f s", p.Took.Seconds()))
		case p.Ready < f.shards:
			ends = append(ends, fmt.Sprintf("never: %d of %d after %.0f s", p.Ready, f.shards, p.Took.Seconds()))
		default:
			ends = append(ends, fmt.Sprintf("%.0f s", p.Took.Seconds()))
		}
	}
	cells := fmt.Sprintf("%d | %d | %s", violations, identifies, strings.Join(ends, ", "))
	t.Log(cells)
	for _, bot := range f.bots {
		bot.end(syscall.SIGKILL) // another fleet follows
	}
	return cells
}

func TestProxied(t *testing.T) {
	s, docs := newMatrix(t)
	rows := s.each(t, func(t *testing.T, l library) string {
		without := newFleet(t, s, l, proxiedAlone).liveWithout(t)
		via := l.via
		if l.impatient {
			via += ", `--max-hold 10s`"
		}
		return via + " | " + newFleet(t, s, l, proxiedMatrix).liveThrough(t).cells() + " | " + without
	})
	writeTable(t, filepath.Join(docs, "libraries-compared.md"), "proxied", proxiedHead, rows)
}

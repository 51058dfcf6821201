package faults

// A proxy as a process: package gatewayproxy on a queue in Redis, its ways to Redis
// and to Discord each through a link of its own. It writes each IDENTIFY that has
// left, as pods do, so that the judge knows when that was, whatever Discord's link did
// to it afterwards.

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

const proxyVar = "GATEWAYQUEUE_FAULTS_PROXY"

// proxyConfig is what a proxy is started with, as JSON in proxyVar.
type proxyConfig struct {
	Name    string
	Listen  string // its address
	Redis   string // through its link
	Gateway string // Discord's address, as READY names it with another host
	Discord string // what is dialled in its place: the link
	Window  time.Duration
	Limit   gatewayqueue.SessionStartLimit
}

// ProxyMain is the whole life of this process if it was started as a proxy. Call it
// first in TestMain.
func ProxyMain() {
	text := os.Getenv(proxyVar)
	if text == "" {
		return
	}
	var config proxyConfig
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		panic(err)
	}
	redis.SetLogger(silence{})
	if err := runProxy(config); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func runProxy(config proxyConfig) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	client := addresses{Addrs: []string{config.Redis}}.client(300*time.Millisecond, 0)
	queue, err := redisqueue.New(client, redisqueue.WithPod(config.Name), redisqueue.WithWindow(config.Window),
		redisqueue.WithPodLease(500*time.Millisecond), redisqueue.WithLimit(config.Limit), redisqueue.WithBackoff(0),
		redisqueue.WithFreshStart(), redisqueue.WithLogger(log))
	if err != nil {
		return err
	}
	var says sync.Mutex
	dialer := net.Dialer{Timeout: 2 * time.Second}
	proxy, err := gatewayproxy.New(gatewayproxy.One(queue),
		gatewayproxy.WithGateway(config.Gateway),
		gatewayproxy.WithHosts(strings.Replace(config.Gateway, "127.0.0.1", "localhost", 1)),
		gatewayproxy.WithNetDial(func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, config.Discord)
		}),
		gatewayproxy.WithLogger(log),
		gatewayproxy.WithObserver(func(e gatewayproxy.Event) {
			if e.Kind != gatewayproxy.EventIdentified {
				return
			}
			says.Lock()
			defer says.Unlock()
			fmt.Printf("identify %d %d %d -\n", e.Shard, e.Shard%config.Limit.MaxConcurrency, clock())
		}))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", config.Listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: proxy, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	go func() { _ = server.Serve(listener) }() // until the end
	signals, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	<-signals.Done()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = listener.Close()
	err = proxy.Shutdown(ctx)
	_ = queue.Close()  // Nobody uses it.
	_ = client.Close() // The same.
	return err
}

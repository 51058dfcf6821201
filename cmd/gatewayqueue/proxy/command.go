// The command: its help, and the order of things from start to end.

package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/server"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
)

// Command is gatewayqueue proxy.
func Command() *cobra.Command {
	c := defaultConfig()
	cmd := &cobra.Command{
		Use:   "proxy",
		Short: "Stand between bots and Discord, and hold every IDENTIFY",
		Long: `Stand between bots and Discord's gateway, and hold every IDENTIFY until its turn.

Bots of any library connect to it as if it were gateway.discord.gg. Of their code
nothing changes but that address. RESUME and all else pass at once, as they are.

  ws://HOST:PORT              the gateway
  /api/gateway[/bot]          Discord's answer, with this address as the gateway's
  /readyz/shard/N             200 once shard N is ready; ?app=ID where bots are many
  /v1/shards                  what each shard is at, in JSON; ?app=ID
  /metrics                    for Prometheus
  /healthz, /readyz           for what restarts the proxy, or sends bots to it

It needs no bot token: each bot shows its own in IDENTIFY, and its limits are read
from Discord with that. It is kept in memory only.

Without --redis each bot has a queue in memory: one proxy for all of its shards.
With it any number of proxies, servers and bots share the queue, and one can be
replaced after the other.

Every flag is also an environment variable: --max-hold is GATEWAYQUEUE_MAX_HOLD.
REDIS_URL does as well for --redis.

SIGTERM and SIGINT end it with 0: bots are closed with 4000, after which they
resume, and spend nothing. A second signal ends it at once.`,
		Example: `  gatewayqueue proxy                                     for one machine, in memory
  gatewayqueue proxy --redis redis://127.0.0.1:6379      one beside each pod of a bot
  gatewayqueue proxy --api                               for discord.js, whose rest.api is then
                                                         http://127.0.0.1:7777/api
  gatewayqueue proxy --gateway ws://127.0.0.1:8090 --discord-api http://127.0.0.1:8090
                                                         on gatewayqueue fake-discord
  curl -f http://127.0.0.1:7777/readyz/shard/3           is shard 3 ready?`,
		Args: cli.NoArgs,
	}
	c.define(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := c.settle(cmd.Flags()); err != nil {
			return err
		}
		return run(cmd.Context(), &c)
	}
	return cmd
}

// service is all that runs.
type service struct {
	config *config
	log    *slog.Logger
	queues *queues
	proxy  *gatewayproxy.Proxy
	ready  *server.Readiness
	http   *http.Server
}

func run(ctx context.Context, c *config) (err error) {
	s := &service{config: c, log: c.Logger(store.Secrets(c.Redis)...)}
	certificate, err := openCertificate(c.TLSCert, c.TLSKey, s.log)
	if err != nil {
		return err
	}
	metrics := newMetrics()
	if s.queues, err = openQueues(ctx, c, s.log, metrics); err != nil {
		if server.StoppedAtStart(ctx, s.log) {
			return nil
		}
		return err
	}
	defer func() { err = errors.Join(err, s.queues.close()) }()
	options := append(c.options(), gatewayproxy.WithLogger(s.log), gatewayproxy.WithObserver(metrics.observe))
	if s.proxy, err = gatewayproxy.New(s.queues.find, options...); err != nil {
		return err
	}
	s.ready = &server.Readiness{Ask: s.queues.ready}
	const perBot = 2 // its connection, and the one to Discord
	bounds, err := server.Within(server.OpenFiles(), s.queues.files(), c.MaxConnections, perBot)
	if err != nil {
		return err
	}
	listener, err := cli.Listen(ctx, c.Host, c.Port)
	if err != nil {
		return err
	}
	s.http = server.NewServer(s.routes(metrics), isProbe)
	s.say(listener.Addr(), bounds)
	s.warn(listener.Addr())
	accepting := server.Listen(listener, bounds, s.log)
	if certificate != nil {
		accepting = tls.NewListener(accepting, certificate.config())
	}
	if err := server.Serve(ctx, s.http, accepting, s.log, "proxy"); err != nil {
		return err
	}
	s.stop(context.Cause(ctx))
	return nil
}

// say is the one line that an operator reads: what this proxy is, and what it can do.
func (s *service) say(at net.Addr, b server.Bounds) {
	c, scheme, web := s.config, "ws://", "http://"
	if c.TLSCert != "" {
		scheme, web = "wss://", "https://"
	}
	s.log.Info("serving", "gateway", scheme+at.String(), "url", web+at.String(), "queue", s.queues.name(), "discord", c.Gateway,
		"api", c.API, "dial", c.Dial, "external", c.External, "auth", c.Auth != "", "name", c.name(),
		"connections", b.Connections, "probes", b.Spare, "files", b.Files)
	server.WarnLinked(s.log, c.linked)
	if s.queues.redis == nil {
		s.log.Info("the queue is in memory: all shards of a bot must come through this proxy; --redis is for more than one")
	}
}

// warn says what strangers could do.
func (s *service) warn(at net.Addr) {
	tcp, ok := at.(*net.TCPAddr)
	if !ok || tcp.IP.IsLoopback() {
		return
	}
	if s.config.TLSCert == "" {
		s.log.Warn("bots' tokens cross the network as they are, in IDENTIFY: --tls-cert, or a network that is yours alone")
	}
	if s.config.Auth == "" {
		s.log.Warn("anyone who reaches this address can look at shards and metrics: set a token, and let only bots reach it")
	}
}

// stop ends in order: be found no more, close the bots so that they resume, give
// permits back, then leave Redis.
func (s *service) stop(why error) {
	s.ready.Stop()
	s.log.Info("stopping", "reason", why.Error(), "drain", s.config.Drain, "connections", s.proxy.Stats().Connections)
	time.Sleep(s.config.Drain)
	ctx, cancel := context.WithTimeout(context.Background(), s.config.Grace)
	defer cancel()
	if err := s.proxy.Shutdown(ctx); err != nil {
		s.log.Warn("not every bot could be closed in order in time: they were cut, and resume", "error", err)
	}
	server.Shut(ctx, s.http, s.log)
}

// The command: its help, and the order of things from start to end.

package serve

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/server"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
	"github.com/gatewayqueue/gatewayqueue/dashboard"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
)

// Command is gatewayqueue serve.
func Command() *cobra.Command {
	c := defaultConfig()
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the queue over HTTP, in memory or on Redis",
		Long: `Serve the queue over HTTP, to bots in any language.

  /?shard=N          answered when shard N may identify: what gateway-queue's
                     clients speak
  /v1                permits, status and limits; /v1/openapi.json describes it
  /dashboard         a live page, to which / leads a browser
  /metrics           for Prometheus
  /healthz, /readyz  for what restarts the server, or sends it requests

Without --redis the queue is in memory: one server, one command. With it any
number of servers share the queue, and one can be replaced after the other.
With a bot token the limits are read from Discord, and refreshed.

Every flag is also an environment variable: --max-concurrency is
GATEWAYQUEUE_MAX_CONCURRENCY. HOST, PORT, REDIS_URL and DISCORD_TOKEN do as well.

SIGTERM and SIGINT end it with 0: those who wait are sent elsewhere, and slots
that nobody used go back. A second signal ends it at once.`,
		Example: `  gatewayqueue serve                                     in memory, 1000 a day, one at a time
  DISCORD_TOKEN=... gatewayqueue serve                   with the bot's own limits
  gatewayqueue serve --redis redis://127.0.0.1:6379 --app 1234567890
  curl 'http://127.0.0.1:8080/?shard=0'                  blocks until shard 0 may identify`,
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
	queue  *backend
	ready  *server.Readiness
	board  *dashboard.Dashboard
	apps   *apps // nil for only its own queue
	http   *http.Server
	front  *httpqueue.Handler
}

func run(ctx context.Context, c *config) (err error) {
	s := &service{config: c, log: c.Logger(append(store.Secrets(c.Redis), c.token)...)}
	metrics := newMetrics()
	if s.queue, err = open(ctx, c, s.log, metrics.Observe); err != nil {
		if server.StoppedAtStart(ctx, s.log) {
			return nil
		}
		return err
	}
	defer func() { err = errors.Join(err, s.queue.close()) }()
	metrics.Watch(&server.Snapshot{Queue: s.queue})
	s.ready = &server.Readiness{Ask: s.queue.ready}
	board := []dashboard.Option{dashboard.WithStep(c.window + c.Margin), dashboard.WithExplain(s.queue.trouble), dashboard.WithAbout(s.about())}
	if seen, ok := s.queue.queue.(interface {
		Sights(ctx context.Context) (map[int]gatewayqueue.Sight, gatewayqueue.Storm, error)
	}); ok {
		board = append(board, dashboard.WithSights(seen.Sights))
	}
	if pauser, ok := s.queue.queue.(gatewayqueue.Pauser); ok {
		api := "" // without a token the server takes no orders
		if c.Auth != "" {
			api = "/v1"
		}
		board = append(board, dashboard.WithOrders(pauser, api))
	}
	if past, ok := s.queue.queue.(interface {
		History(ctx context.Context) ([]gatewayqueue.Minute, error)
	}); ok && c.History {
		board = append(board, dashboard.WithHistory(past.History))
	}
	if c.Applications {
		if s.apps, err = newApps(c.Redis, dashboard.WithStep(c.window+c.Margin), dashboard.WithAbout(s.about())); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.apps.Close()) }()
		board = append(board, dashboard.WithApplications(s.apps.list))
	}
	s.board = dashboard.New(s.queue, board...)
	defer s.board.Close()
	if s.front, err = s.routes(metrics); err != nil {
		return err
	}
	// A waiting caller has a connection, and may need a second one to leave or report.
	bounds, err := server.Within(server.OpenFiles(), s.queue.files, 2*c.MaxWaiters+256, 1)
	if err != nil {
		return err
	}
	listener, err := cli.Listen(ctx, c.Host, c.Port)
	if err != nil {
		return err
	}
	s.http = server.NewServer(s.front, isProbe)
	s.say(listener.Addr(), bounds)
	s.warn(listener.Addr())

	background, stop := context.WithCancel(ctx)
	defer stop()
	go s.queue.refresh(background)
	if err := server.Serve(ctx, s.http, httpqueue.Quiet(server.Listen(listener, bounds, s.log)), s.log, "server"); err != nil {
		return err
	}
	s.stop(context.Cause(ctx))
	return nil
}

// say is the one line that an operator reads: what this server is, and what it
// can do.
func (s *service) say(at net.Addr, b server.Bounds) {
	c, url := s.config, "http://"+at.String()
	s.log.Info("serving", "url", url, "page", pageURL(at), "queue", s.queue.name, "app", c.App,
		"stateless", s.queue.shared != nil, "limits", c.limitsFrom(), "auth", c.Auth != "", "legacy", !c.NoLegacy,
		"connections", b.Connections, "probes", b.Spare, "files", b.Files)
	server.WarnLinked(s.log, c.linked)
}

// pageURL is where a browser on this machine finds the page: no browser opens [::].
func pageURL(at net.Addr) string {
	host, port, err := net.SplitHostPort(at.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return "http://" + net.JoinHostPort("localhost", port) + "/dashboard"
	}
	return "http://" + at.String() + "/dashboard"
}

// warn says what strangers could do.
func (s *service) warn(at net.Addr) {
	tcp, ok := at.(*net.TCPAddr)
	if !ok || tcp.IP.IsLoopback() {
		return
	}
	if s.config.Auth == "" {
		s.log.Warn("anyone who reaches this address can take identifies and look at the queue: set a token, and let only bots reach it")
	} else if !s.config.NoLegacy {
		s.log.Warn("the legacy route asks for no token: anyone who reaches this address can take identifies; --no-legacy closes it")
	}
}

// stop ends in order: be found no more, take nobody new, send those who wait
// elsewhere with their slots given back, then leave Redis.
func (s *service) stop(why error) {
	s.ready.Stop()
	s.log.Info("stopping", "reason", why.Error(), "drain", s.config.Drain)
	time.Sleep(s.config.Drain)
	ctx, cancel := context.WithTimeout(context.Background(), s.config.Grace)
	defer cancel()
	if err := s.front.Shutdown(ctx); err != nil {
		s.log.Warn("not every slot could be given back in time: they open by themselves", "error", err)
	}
	_ = s.board.Close() // It never fails.
	if s.apps != nil {
		s.apps.closeBoards()
	}
	server.Shut(ctx, s.http, s.log)
}

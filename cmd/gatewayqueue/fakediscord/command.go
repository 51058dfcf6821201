// The command: its help, and the order of things from start to end.

package fakediscord

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/printable"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// Command is gatewayqueue fake-discord.
func Command() *cobra.Command {
	c := defaultConfig()
	cmd := &cobra.Command{
		Use:   "fake-discord",
		Short: "Be Discord for bots of any language, and judge every IDENTIFY",
		Long: `Be Discord for bots of any language: GET /gateway/bot, a gateway that enforces what
Discord enforces, and a judge of every IDENTIFY with no tolerance at all. Point the
bot's library at the addresses that it prints, and give it the token; nothing is sent
to Discord.

Meanwhile it does what it is told over HTTP: restart all gateways, reconnect shards,
invalidate sessions, slow down, fail. GET /control lists it.

It ends at Ctrl-C or SIGTERM, after --for, or with --until-ready, and exits with 0 if
Discord would have had nothing to punish, with 1 if it would, if fewer shards than
--until-ready came up, or if it cannot start, with 2 if a flag is refused.`,
		Example: `  gatewayqueue fake-discord                                        Discord's own limits
  gatewayqueue fake-discord --until-ready 8 --for 2m --json        in CI
  gatewayqueue fake-discord --window 500ms --max-concurrency 16    for quick tests
  gatewayqueue fake-discord --tls --port 443                       for libraries that insist
  curl -X POST http://127.0.0.1:8090/control/restart               all sessions end
  curl 'http://127.0.0.1:8090/control/wait?ready=8'                until 8 shards are ready`,
		Args: cli.NoArgs,
	}
	c.define(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := c.settle(cmd.Flags()); err != nil {
			return err
		}
		return run(cmd.Context(), &c, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

func run(parent context.Context, c *config, out, errs io.Writer) error {
	var secured *tls.Config
	var ca *authority
	if c.TLS {
		dir, err := directory(c.TLSDir)
		if err != nil {
			return err
		}
		if ca, err = openAuthority(dir); err != nil {
			return err
		}
		if secured, err = ca.issue(c.names()); err != nil {
			return fmt.Errorf("no certificate can be made: %w", err)
		}
	}
	listener, err := cli.Listen(parent, c.Host, c.Port)
	if err != nil {
		return err
	}
	options := c.options(listener)
	if secured != nil {
		options = append(options, gatewaytest.WithTLS(secured))
	}
	if c.Verbose {
		log := slog.New(slog.NewTextHandler(errs, &slog.HandlerOptions{Level: slog.LevelDebug}))
		options = append(options, gatewaytest.WithLogger(log))
	}
	server := gatewaytest.NewServer(options...)
	defer server.Close()

	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	intro := out
	if c.JSON {
		intro = errs
	}
	lines := c.intro(server, ca)
	for _, line := range lines {
		fmt.Fprintln(intro, printable.Text(line))
	}
	screen := newScreen(c, out, lines, server, cancel)
	stop := follow(ctx, server, screen)
	short := c.wait(ctx, server)
	stop()
	r := c.report(server, short)
	screen.end(picture.Height(r.text(), out))
	if err := r.print(out, c.JSON); err != nil {
		return err
	}
	return r.failure()
}

// wait returns when the program is to end: nil, or why it is too early.
func (c *config) wait(ctx context.Context, server *gatewaytest.Server) error {
	if c.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.For, fmt.Errorf("--for %s is over", cli.Short(c.For)))
		defer cancel()
	}
	if c.UntilReady == 0 {
		<-ctx.Done()
		return nil
	}
	err := server.WaitReady(ctx, c.UntilReady)
	if err == nil {
		time.Sleep(lastWords) // READY is on its way
		return nil
	}
	return fmt.Errorf("%d of %d shards were ready: %w", len(server.ReadyShards()), c.UntilReady, context.Cause(ctx))
}

// lastWords is how long bots may take to read what has just been sent to them.
const lastWords = 250 * time.Millisecond

// intro is how a bot gets here.
func (c *config) intro(server *gatewaytest.Server, ca *authority) []string {
	base := strings.NewReplacer("://0.0.0.0:", "://127.0.0.1:", "://[::]:", "://localhost:")
	api := base.Replace(server.URL())
	lines := []string{
		fmt.Sprintf("gatewayqueue fake-discord: max_concurrency %d, %d of %d identifies left, window %s", c.MaxConcurrency, c.Remaining, c.Total, cli.Short(c.Window)),
		"  REST     " + api + "/api/v10",
		"  gateway  " + base.Replace(server.GatewayURL()),
		"  token    " + server.Token(),
		"  control  " + api + "/control",
	}
	for n := range server.Hosts() {
		lines = append(lines, fmt.Sprintf("  host %-3d %s", n, base.Replace(server.Hosts()[n])))
	}
	if ca != nil {
		lines = append(lines, "",
			"A bot must trust "+ca.file+":",
			"  Node.js     NODE_EXTRA_CA_CERTS="+quoted(ca.file),
			"  Python, Go  SSL_CERT_FILE="+quoted(ca.file),
			"Have only the bot trust it: the key beside it lets its holder pose as any server to those that trust it.")
	}
	return append(lines, "")
}

// follow tells the screen what happens, until it is stopped, which takes a last look.
func follow(ctx context.Context, server *gatewaytest.Server, s screen) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	w := newWatch(server, s)
	go func() {
		defer close(ended)
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				w.look()
			case <-ctx.Done():
				w.look()
				return
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// quoted is a word for a shell.
func quoted(s string) string {
	if !strings.ContainsAny(s, " \t'\"$&;()*?<>|`\\") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Command gatewayqueue shows the queue at work, and looks at a running one.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
)

func main() {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		cancel(cli.Signalled{Signal: <-signals})
		signal.Stop(signals) // a second one ends the program at once
	}()
	cmd, err := root().ExecuteContextC(ctx)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", cmd.CommandPath(), cli.OneLine(err))
	}
	os.Exit(cli.ExitCode(err))
}

package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Main runs the program and exits. The first SIGINT or SIGTERM ends the command's
// context, with Signalled as its cause; the second one ends the program at once. An
// error that has a text is one line on standard error.
func Main(root *cobra.Command) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		first := <-signals
		signal.Stop(signals)
		cancel(Signalled{Signal: first})
	}()
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && err.Error() != "" {
		fmt.Fprintf(os.Stderr, "%s: %s\n", cmd.CommandPath(), OneLine(err))
	}
	os.Exit(ExitCode(err))
}

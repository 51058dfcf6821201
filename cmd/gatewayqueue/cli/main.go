package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Help prints what help writes, and ends the program with a failure where that cannot be
// written, which cobra does not tell.
func Help(cmd *cobra.Command, args []string, help func(*cobra.Command, []string)) {
	var text bytes.Buffer
	out := cmd.OutOrStdout()
	cmd.SetOut(&text)
	help(cmd, args)
	cmd.SetOut(out)
	if _, err := out.Write(text.Bytes()); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", cmd.CommandPath(), OneLine(err))
		os.Exit(ExitFailed)
	}
}

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

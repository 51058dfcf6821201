package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/check"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/fakediscord"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/history"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/internal/demo"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/order"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/plan"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/pod"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/proxy"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/serve"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/status"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/version"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/wait"
)

// root is the program without its commands' work.
func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gatewayqueue",
		Short: "An IDENTIFY queue for sharded Discord bots, on Redis",
		Long: `An IDENTIFY queue for sharded Discord bots, on Redis: all pods of a bot share it, so
that no shard identifies before Discord lets it.`,
		SuggestionsMinimumDistance: 2,
		SilenceErrors:              true, // main prints them, in one line
		SilenceUsage:               true,
		Args:                       knownCommand,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.SetFlagErrorFunc(cli.FlagError)
	help := cmd.HelpFunc()
	cmd.SetHelpFunc(func(of *cobra.Command, args []string) { cli.Help(of, args, help) })
	cmd.Version = version.Text()
	cmd.SetVersionTemplate("{{.Version}}\n")
	cmd.AddCommand(order.Audit(), order.Pause(), order.Resume())
	cmd.AddCommand(check.Command(), plan.Command(), demo.Command(), fakediscord.Command(), pod.Command(), history.Command(), proxy.Command(), serve.Command(), status.Command(), version.Command(), wait.Command())
	return cmd
}

// knownCommand refuses a word that is no command.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return cli.Usage("there is no command %q: did you mean %s?", args[0], strings.Join(near, " or "))
	}
	return cli.Usage("there is no command %q: %s --help lists them", args[0], cmd.CommandPath())
}

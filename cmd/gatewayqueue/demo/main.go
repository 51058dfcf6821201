// Command demo is gatewayqueue demo, and nothing else: it compiles in half the time of
// the whole program, which counts in the first minute on a new machine.
//
//	go run -v ./cmd/gatewayqueue/demo [FLAGS]
package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/internal/demo"
)

func main() {
	root := &cobra.Command{Use: "gatewayqueue", SilenceErrors: true, SilenceUsage: true}
	root.SetFlagErrorFunc(cli.FlagError)
	command := demo.Command()
	root.AddCommand(command)
	args := os.Args[1:]
	if len(args) == 0 || args[0] != command.Name() { // a pod of --processes is started as "demo pod"
		args = append([]string{command.Name()}, args...)
	}
	root.SetArgs(args)
	cli.Main(root)
}

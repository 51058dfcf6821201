// Package version says what this program was built from.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
)

// Command is gatewayqueue version.
func Command() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which commit this program was built from",
		Args:  cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), Text())
			return err
		},
	}
}

// Text is the version, the commit, and what it was built with, in one line.
func Text() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "gatewayqueue, of which nothing is known: it was built without modules"
	}
	return text(info)
}

func text(info *debug.BuildInfo) string {
	setting := map[string]string{}
	for _, s := range info.Settings {
		setting[s.Key] = s.Value
	}
	var from []string
	switch commit := setting["vcs.revision"]; {
	case commit == "" && info.Main.Sum != "": // go install, of a version
		from = []string{"module " + info.Main.Sum}
	case commit == "":
		from = []string{"commit unknown: it was built without Git (go build -buildvcs=true)"}
	case setting["vcs.modified"] == "true":
		from = []string{"commit " + commit + " with changes"}
	default:
		from = []string{"commit " + commit}
	}
	if at := setting["vcs.time"]; at != "" {
		from = append(from, at)
	}
	return fmt.Sprintf("gatewayqueue %s (%s), %s %s/%s", info.Main.Version, strings.Join(from, ", "), info.GoVersion, runtime.GOOS, runtime.GOARCH)
}

// Both bots, played to the end.

package examples

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestThePlaysEndWithoutAViolation(t *testing.T) {
	for _, bot := range []string{"disgo", "discordgo"} {
		t.Run(bot, func(t *testing.T) {
			t.Parallel()
			program := filepath.Join(t.TempDir(), bot)
			if out, err := exec.Command("go", "build", "-o", program, "./"+bot).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, program, "-pods", "2", "-shards", "4")
			cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // its pods end with it
			cmd.WaitDelay = 30 * time.Second
			cmd.Env = withoutBot(os.Environ())
			out, err := cmd.CombinedOutput()
			for _, want := range []string{"restart: all are ready: 8 identifies of 4 shards: 0 violations, 0 over budget"} {
				if err != nil || !strings.Contains(string(out), want) {
					t.Errorf("%v; want %q in:\n%s", err, want, out)
				}
			}
		})
	}
}

// withoutBot takes out what would make the play a real bot.
func withoutBot(env []string) (rest []string) {
	for _, v := range env {
		if !strings.HasPrefix(v, "DISCORD_") && !strings.HasPrefix(v, "REDIS_URL=") {
			rest = append(rest, v)
		}
	}
	return rest
}

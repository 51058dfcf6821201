//go:build !unix

package wait

import (
	"errors"
	"os"
	"os/exec"
)

// become runs the command as a child, where processes cannot be replaced.
// Ctrl-C reaches both.
func become(program string, args, env []string) error {
	cmd := exec.Command(program, args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = os.Stdin, os.Stdout, os.Stderr, env
	err := cmd.Run()
	var exit *exec.ExitError
	if err == nil || errors.As(err, &exit) {
		os.Exit(cmd.ProcessState.ExitCode())
	}
	return err
}

package main_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// A monitoring system, or a script that deploys by a plan, must not take what it cannot
// read for a yes, nor an empty file for a status.
func TestOutput_ThatCannotBeWrittenFails(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	defer full.Close()
	server := redistest.Start(t)
	queueOf(t, server, "1234", 0)
	at := " --redis redis://" + server.Addr
	for line, code := range map[string]int{
		"check" + at: 3, "check --json" + at: 3, "check --nonsense": 3, "check --redis redis://127.0.0.1:1": 3,
		"plan --shards 1" + at: 3, "plan --shards 1 --json" + at: 3,
		"status" + at: 1, "status --json" + at: 1, "status --all" + at: 1, "status --all --json" + at: 1, "status --watch=100ms" + at: 1,
		"history" + at: 1, "history --json" + at: 1, "audit --json" + at: 1,
		"pause --why x" + at: 1, "resume --why x" + at: 1, "audit" + at: 1,
		"version": 1, "--version": 1, "--help": 1, "check --help": 1, "": 1, "completion bash": 1,
		"demo --shards 2 --pods 1 --window 100ms": 1, "fake-discord --port 0 --for 100ms": 1, "fake-discord --port 0 --for 100ms --json": 1,
	} {
		cmd := command(t, strings.Fields(line)...)
		cmd.Stdout = full
		var errs strings.Builder
		cmd.Stderr = &errs
		_ = cmd.Run() // its code is looked at
		require.NotNil(t, cmd.ProcessState, line)
		assert.Equal(t, code, cmd.ProcessState.ExitCode(), "%s: %s", line, errs.String())
		assert.Contains(t, errs.String(), "no space left on device", line)
	}
}

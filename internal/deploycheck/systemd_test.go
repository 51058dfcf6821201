package deploycheck

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSystemdTakesTheUnit(t *testing.T) {
	program, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze: apt-get install systemd")
	}
	data, err := os.ReadFile("../../deploy/systemd/gatewayqueue.service")
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	// The program must exist; any will do.
	unit := filepath.Join(t.TempDir(), "gatewayqueue.service")
	text := strings.ReplaceAll(string(data), "/usr/local/bin/gatewayqueue", self)
	require.NoError(t, os.WriteFile(unit, []byte(text), 0o600))
	out, err := exec.CommandContext(t.Context(), program, "verify", unit).CombinedOutput()
	assert.NoError(t, err, "%s", out)
	assert.NotContains(t, string(out), "Unknown", "%s", out)
	out, err = exec.CommandContext(t.Context(), program, "security", "--offline=true", "--threshold=20", unit).CombinedOutput()
	assert.NoError(t, err, "%s", out)
}

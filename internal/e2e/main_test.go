// The test binary is also every pod: it starts itself again with podVar set.

package e2e

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if config := os.Getenv(podVar); config != "" {
		runPod(config)
		return
	}
	os.Exit(m.Run())
}

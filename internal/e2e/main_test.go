// How the tests are started. The test binary is also every pod: it starts
// itself again with podVar set.

package e2e

import (
	"os"
	"testing"

	"github.com/gatewayqueue/gatewayqueue/internal/e2e/unraced"
)

func TestMain(m *testing.M) {
	if config := os.Getenv(podVar); config != "" {
		runPod(config)
		return
	}
	os.Exit(unraced.Run(m, 16)) // they mostly wait
}

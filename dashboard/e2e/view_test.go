package e2e_test

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gatewayqueue/gatewayqueue/internal/citest"
)

func TestView_ShowsNothingThatThePictureDoesNotSay(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		citest.Missing(t, "node")
	}
	out, err := exec.CommandContext(t.Context(), node, "view.cjs").CombinedOutput()
	assert.NoError(t, err, "%s", out)
}

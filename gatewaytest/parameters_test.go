// The texts that set delays.

package gatewaytest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

func TestParseDelay(t *testing.T) {
	for text, want := range map[string][2]time.Duration{
		"0s": {0, 0}, "300ms": {300 * time.Millisecond, 300 * time.Millisecond}, "1s-2s": {time.Second, 2 * time.Second}, "never": {gatewaytest.Never(), gatewaytest.Never()},
	} {
		d, err := gatewaytest.ParseDelay(text)
		require.NoError(t, err, text)
		for range 20 {
			got := d()
			assert.GreaterOrEqual(t, got, want[0], text)
			assert.LessOrEqual(t, got, want[1], text)
		}
	}
	for _, text := range []string{"", "1", "-1s", "1s-", "1s-x", "2s-1s", "25h", "Never", "1s 2s"} {
		_, err := gatewaytest.ParseDelay(text)
		assert.ErrorIs(t, err, gatewayqueue.ErrInvalid, "%q", text)
	}
}

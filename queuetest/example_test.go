package queuetest_test

import (
	"testing"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
	"github.com/gatewayqueue/gatewayqueue/queuetest"
)

// A test of a queue of your own, which go test runs: it has a subtest for each
// scenario. With Virtual they run in virtual time, so that Discord's own window costs
// nothing; a queue on a server runs them with a small Window.
func ExampleRun() {
	var t *testing.T // of TestConformance(t *testing.T)
	queuetest.Run(t, queuetest.Harness{
		New: func(t testing.TB, limit gatewayqueue.SessionStartLimit) queuetest.Queue {
			queue, err := memqueue.New(limit) // yours
			if err != nil {
				t.Fatal(err)
			}
			return queue
		},
		Window:  gatewayqueue.IdentifyDelay,
		Margin:  gatewayqueue.GrantMargin,
		Virtual: true,
	})
}

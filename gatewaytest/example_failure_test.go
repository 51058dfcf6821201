package gatewaytest_test

import (
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// A tenth of all identifies is refused, and every shard's first connection is
// severed once it has identified.
func ExampleWithFailure() {
	srv := gatewaytest.NewServer(
		gatewaytest.WithFailure(gatewaytest.RefuseIdentify, gatewaytest.Chance(0.1, 1)),
		gatewaytest.WithFailure(gatewaytest.DropAfterIdentify, gatewaytest.First(1)),
	)
	defer srv.Close()
	srv.Fail(gatewaytest.RefuseIdentify, nil) // No longer.
}

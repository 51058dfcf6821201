package httpqueue_test

import (
	"context"
	"fmt"
	"log"

	"github.com/gatewayqueue/gatewayqueue/httpqueue"
)

// The same with any gateway-queue, such as twilight's.
func ExampleNewLegacyClient() {
	server := exampleServer()
	queue, err := httpqueue.NewLegacyClient(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	err = queue.Wait(context.Background(), 0) // then send IDENTIFY
	fmt.Println(err, queue.Close())
	// Output: <nil> <nil>
}

package httpqueue_test

import (
	"context"
	"fmt"
	"log"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
)

// A bot's shard comes up through the queue of a server.
func ExampleNewClient() {
	server := exampleServer()
	queue, err := httpqueue.NewClient(server.URL) // such as http://queue:8080
	if err != nil {
		log.Fatal(err)
	}
	dial := func(context.Context) error { fmt.Println("dial"); return nil }
	identify := func(context.Context) error { fmt.Println("identify"); return nil }
	err = gatewayqueue.Identify(context.Background(), queue, 0, dial, identify)
	fmt.Println(err, queue.Close())
	// Output:
	// dial
	// identify
	// <nil> <nil>
}

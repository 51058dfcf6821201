package httpqueue_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// A server for one machine. With a redisqueue in place of the queue in memory,
// any number of them serve one bot.
func ExampleNewServer() {
	queue, err := memqueue.New(gatewayqueue.DefaultLimit())
	if err != nil {
		log.Fatal(err)
	}
	handler, err := httpqueue.NewHandler(queue)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := httpqueue.NewServer(handler)
	go func() { _ = server.Serve(httpqueue.Quiet(listener)) }()

	// Any client of the original gets its turn.
	resp, err := http.Get("http://" + listener.Addr().String() + "/?shard=0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.Status, resp.Body.Close())

	// Those who wait go elsewhere first; then the last answers' windows begin.
	ctx := context.Background()
	fmt.Println(server.Shutdown(ctx), handler.Shutdown(ctx), queue.Close())
	// Output:
	// 200 OK <nil>
	// <nil> <nil> <nil>
}

// exampleServer ends with the examples.
func exampleServer() *httptest.Server {
	queue, err := memqueue.New(gatewayqueue.DefaultLimit())
	if err != nil {
		log.Fatal(err)
	}
	handler, err := httpqueue.NewHandler(queue)
	if err != nil {
		log.Fatal(err)
	}
	return httptest.NewServer(handler)
}

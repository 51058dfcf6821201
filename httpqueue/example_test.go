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
)

// A server for one machine. With a redisqueue in place of the queue in memory,
// any number of them serve one bot.
func ExampleNewServer() {
	queue, err := gatewayqueue.NewInMemory(gatewayqueue.DefaultLimit())
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

// Other pages of a program are routes of the handler: a ServeMux around it would
// answer legacy clients by itself.
func ExampleWithRoute() {
	queue, err := gatewayqueue.NewInMemory(gatewayqueue.DefaultLimit())
	if err != nil {
		log.Fatal(err)
	}
	handler, err := httpqueue.NewHandler(queue,
		httpqueue.WithRoute("/healthz", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(w, "ok")
		})))
	if err != nil {
		log.Fatal(err)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz", nil))
	fmt.Print(w.Body)
	// Output: ok
}

// exampleServer ends with the examples.
func exampleServer() *httptest.Server {
	queue, err := gatewayqueue.NewInMemory(gatewayqueue.DefaultLimit())
	if err != nil {
		log.Fatal(err)
	}
	handler, err := httpqueue.NewHandler(queue)
	if err != nil {
		log.Fatal(err)
	}
	return httptest.NewServer(handler)
}

package httpqueue_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// A server that asks for a token, and a client that has it.
func ExampleWithBearerToken() {
	queue, err := memqueue.New(gatewayqueue.DefaultLimit())
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	const token = "0123456789abcdef" // 16 characters or more, from a file or a variable
	handler, err := httpqueue.NewHandler(queue, httpqueue.WithBearerToken(token))
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()

	resp, err := http.Get(server.URL + "/v1/status")
	if err != nil {
		panic(err)
	}
	fmt.Println("without it:", resp.Status, resp.Body.Close())
	client, err := httpqueue.NewClient(server.URL, httpqueue.WithToken(token))
	if err != nil {
		panic(err)
	}
	fmt.Println("with it:", client.Wait(context.Background(), 0), client.Close())
	// Output:
	// without it: 401 Unauthorized <nil>
	// with it: <nil> <nil>
}

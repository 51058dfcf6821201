// A bot that asks a server, for TestClient_CarriesNoServer.
package main

import (
	"context"
	"fmt"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
)

func main() {
	nothing := func(context.Context) error { return nil }
	client, err := httpqueue.NewClient("http://127.0.0.1:8080")
	if err == nil {
		err = gatewayqueue.Identify(context.Background(), client, 0, nothing, nothing)
	}
	fmt.Println(err)
}

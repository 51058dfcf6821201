package discordgoqueue_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/discordgoqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// A bot that reaches Discord through a proxy gives it to the gate, and leaves the
// Dialer's own Proxy nil. By default it is the environment's (HTTPS_PROXY).
func ExampleWithProxy() {
	queue, err := memqueue.New(gatewayqueue.DefaultLimit())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = queue.Close() }()
	proxy := &url.URL{Scheme: "http", Host: "127.0.0.1:1", User: url.UserPassword("bot", "secret")} // nobody listens
	gate := discordgoqueue.New(queue, 0, discordgoqueue.WithProxy(http.ProxyURL(proxy)))
	defer gate.Close()

	// session.Dialer = &websocket.Dialer{NetDialContext: gate.DialContext, NetDialTLSContext: gate.DialTLSContext}
	_, err = gate.DialTLSContext(context.Background(), "tcp", "gateway.discord.gg:443")
	fmt.Println(err)
	// Output: gatewayqueue: the proxy http://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused
}

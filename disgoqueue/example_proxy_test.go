package disgoqueue_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/disgoqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// A bot that reaches Discord through a proxy gives it to the limiter, and leaves
// the Dialer's own Proxy nil. By default it is the environment's (HTTPS_PROXY).
func ExampleWithProxy() {
	queue, err := memqueue.New(gatewayqueue.DefaultLimit())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer queue.Close()
	proxy := &url.URL{Scheme: "http", Host: "127.0.0.1:1", User: url.UserPassword("bot", "secret")} // nobody listens
	limiter := disgoqueue.New(queue, disgoqueue.WithProxy(http.ProxyURL(proxy)))
	defer limiter.Close(context.Background())

	// gateway.WithDialer(&websocket.Dialer{NetDialContext: limiter.DialContext, NetDialTLSContext: limiter.DialTLSContext})
	_, err = limiter.DialTLSContext(context.Background(), "tcp", "gateway.discord.gg:443")
	fmt.Println(err)
	// Output: gatewayqueue: the proxy http://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused
}

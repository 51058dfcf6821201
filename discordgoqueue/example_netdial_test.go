package discordgoqueue_test

import (
	"context"
	"fmt"
	"net"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/discordgoqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// How TCP connections are opened, such as from another address.
func ExampleWithNetDial() {
	queue, err := memqueue.New(gatewayqueue.DefaultLimit())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = queue.Close() }()
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
	gate := discordgoqueue.New(queue, 0, discordgoqueue.WithNetDial(from.DialContext))
	defer gate.Close()

	_, err = gate.DialContext(context.Background(), "tcp", "127.0.0.1:1")
	fmt.Println("connected:", err == nil)
	// Output: connected: false
}

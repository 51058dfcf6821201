package discordgoqueue_test

import (
	"context"
	"fmt"
	"net"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/discordgoqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// In a bot these functions go into session.Dialer.
func Example() {
	queue, err := memqueue.New(gatewayqueue.DefaultLimit()) // redisqueue.New for more than one process
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = queue.Close() }()
	gate := discordgoqueue.New(queue, 0)
	defer gate.Close()

	dialer := struct { // websocket.Dialer
		NetDialContext, NetDialTLSContext func(ctx context.Context, network, addr string) (net.Conn, error)
	}{gate.DialContext, gate.DialTLSContext}

	_, err = dialer.NetDialContext(context.Background(), "tcp", "127.0.0.1:1")
	fmt.Println("connected:", err == nil)
	gate.Close() // has given slot and unit back
	status, err := queue.Status(context.Background())
	fmt.Println(status.Budget.Remaining, "left", err)
	// Output:
	// connected: false
	// 1000 left <nil>
}

// One runnable example per feature.

package gatewaytest_test

import (
	"context"
	"fmt"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

func ExampleServer() {
	srv := gatewaytest.NewServer(gatewaytest.WithWindow(100 * time.Millisecond))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	// A bot, as simple as can be. Use a real library here.
	bot := func(shard int) {
		ws, _, err := websocket.Dial(ctx, srv.GatewayURL(), nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = wsjson.Write(ctx, ws, map[string]any{"op": 2, "d": map[string]any{"token": srv.Token(), "shard": []int{shard, 2}}})
	}
	bot(0)
	fmt.Println(srv.WaitReady(ctx, 1))
	time.Sleep(150 * time.Millisecond) // What a queue is for.
	bot(1)
	fmt.Println(srv.WaitReady(ctx, 2))

	fmt.Println(srv.ReadyShards(), srv.Judge().Verdict().OK())
	// Output:
	// <nil>
	// <nil>
	// [0 1] true
}

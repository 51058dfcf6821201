package gatewayproxy_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// Three shards connect at once, by a program that knows nothing of the queue. Of its
// code nothing has changed but the gateway's address.
func Example() {
	const window = 200 * time.Millisecond // Discord's is 5 s
	limit := gatewayqueue.DefaultLimit()
	discord := gatewaytest.NewServer(gatewaytest.WithLimit(limit), gatewaytest.WithWindow(window))
	defer discord.Close()

	queue, err := memqueue.New(limit, memqueue.WithWindow(window))
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	proxy, err := gatewayproxy.New(gatewayproxy.One(queue),
		gatewayproxy.WithLogger(slog.New(slog.DiscardHandler)),
		// Not needed for Discord itself:
		gatewayproxy.WithGateway(discord.GatewayURL()),
		gatewayproxy.WithHosts(strings.Replace(discord.GatewayURL(), "127.0.0.1", "localhost", 1)))
	if err != nil {
		panic(err)
	}
	front := httptest.NewServer(proxy)
	defer front.Close()

	gateway := strings.Replace(front.URL, "http://", "ws://", 1)
	resumesAt := make([]string, 3)
	closed := make([]websocket.StatusCode, 3)
	var up, over sync.WaitGroup
	up.Add(3)
	for shard := range 3 {
		over.Go(func() {
			resumesAt[shard], closed[shard] = runShard(gateway, shard, up.Done)
		})
	}
	up.Wait()
	_ = proxy.Shutdown(context.Background()) //nolint:errcheck // Its context has no end.
	over.Wait()
	fmt.Println("sessions resume at the proxy:", strings.HasPrefix(resumesAt[0], gateway+"/resume/"))
	fmt.Println("closed with", closed[0], closed[1], closed[2])
	verdict := discord.Judge().Verdict()
	fmt.Println(verdict.Identifies, "identifies, as Discord wants them:", verdict.OK())
	// Output:
	// sessions resume at the proxy: true
	// closed with StatusCode(4000) StatusCode(4000) StatusCode(4000)
	// 3 identifies, as Discord wants them: true
}

// runShard is what a library does: HELLO, IDENTIFY, READY, and events until the
// connection ends.
func runShard(gateway string, shard int, ready func()) (resumesAt string, closed websocket.StatusCode) {
	ctx := context.Background()
	ws, _, err := websocket.Dial(ctx, gateway+"/?v=10&encoding=json", nil) //nolint:bodyclose // The connection closes it.
	if err != nil {
		panic(err)
	}
	defer ws.CloseNow() //nolint:errcheck // It has ended.
	for {
		var event struct {
			Op   int    `json:"op"`
			Name string `json:"t"`
			Data struct {
				ResumesAt string `json:"resume_gateway_url"`
			} `json:"d"`
		}
		switch err := wsjson.Read(ctx, ws, &event); {
		case err != nil:
			return resumesAt, websocket.CloseStatus(err)
		case event.Op == 10: // HELLO
			_ = wsjson.Write(ctx, ws, map[string]any{"op": 2, "d": map[string]any{ //nolint:errcheck // The reader hears of it.
				"token": gatewaytest.DefaultToken, "intents": 0, "properties": map[string]string{}, "shard": []int{shard, 3},
			}})
		case event.Name == "READY":
			resumesAt = event.Data.ResumesAt
			ready()
		}
	}
}

// One runnable example per feature.

package gatewaytest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

func ExampleJudge() {
	limit := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 1000, ResetAfter: gatewayqueue.LimitPeriod, MaxConcurrency: 2}
	judge := gatewaytest.NewJudge(limit, gatewayqueue.IdentifyDelay)

	fmt.Println(judge.Identify(0).Accepted)
	fmt.Println(judge.Identify(1).Accepted, "in a bucket of its own")
	fmt.Println(judge.Identify(2).Early, "in the bucket of shard 0")

	v := judge.Verdict()
	fmt.Println(v.OK(), v.Violations, v.Remaining)
	// Output:
	// true
	// true in a bucket of its own
	// true in the bucket of shard 0
	// false 1 997
}

func ExampleReport() {
	judge := gatewaytest.NewJudge(gatewayqueue.DefaultLimit(), gatewayqueue.IdentifyDelay)
	served := httptest.NewServer(judge)
	defer served.Close()

	// In a pod, which is perhaps another process:
	ruling, err := gatewaytest.Report(context.Background(), nil, served.URL, 7)
	fmt.Println(ruling.Accepted, err)

	fmt.Println(judge.Verdict())
	// Output:
	// true <nil>
	// 1 identify of 1 shard: 0 violations, 0 over budget, 999 remaining
}

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

// The budget that a bot sees falls with each identify, as Discord's does.
func ExampleServer_Judge() {
	srv := gatewaytest.NewServer()
	defer srv.Close()
	srv.Judge().Identify(0)

	req, _ := http.NewRequest(http.MethodGet, srv.URL()+"/api/v10/gateway/bot", nil)
	req.Header.Set("Authorization", "Bot "+srv.Token())
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = res.Body.Close() }()
	var answer struct {
		Limit gatewayqueue.SessionStartLimit `json:"session_start_limit"`
	}
	fmt.Println(json.NewDecoder(res.Body).Decode(&answer), answer.Limit.Remaining, "of", answer.Limit.Total)
	// Output:
	// <nil> 999 of 1000
}

// A tenth of all identifies is refused, and every shard's first connection is
// severed once it has identified.
func ExampleWithFailure() {
	srv := gatewaytest.NewServer(
		gatewaytest.WithFailure(gatewaytest.RefuseIdentify, gatewaytest.Chance(0.1, 1)),
		gatewaytest.WithFailure(gatewaytest.DropAfterIdentify, gatewaytest.First(1)),
	)
	defer srv.Close()
	srv.Fail(gatewaytest.RefuseIdentify, nil) // No longer.
}

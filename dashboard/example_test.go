package dashboard_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/dashboard"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// The page beside the other pages of a bot.
func Example() {
	queue, err := memqueue.New(gatewayqueue.DefaultLimit()) // or a redisqueue
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	board := dashboard.New(queue,
		dashboard.WithUp(func() int { return 12 }), // a bot knows how many shards are up, a queue does not
		dashboard.WithAbout("music bot, staging"))
	defer board.Close()
	mux := http.NewServeMux()
	mux.Handle("/dashboard/", board)
	server := httptest.NewServer(mux)
	defer server.Close()

	resp, err := http.Get(server.URL + "/dashboard/")
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status, resp.Header.Get("Content-Type"))
	// Output: 200 OK text/html; charset=utf-8
}

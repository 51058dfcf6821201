package dashboard_test

import (
	"fmt"
	"net/http"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/dashboard"
)

func Example() {
	queue, err := gatewayqueue.NewInMemory(gatewayqueue.DefaultLimit()) // or a redisqueue
	if err != nil {
		fmt.Println(err)
		return
	}
	board := dashboard.New(queue)
	defer board.Close()
	http.Handle("/dashboard/", board)
}

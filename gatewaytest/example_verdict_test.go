package gatewaytest_test

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

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

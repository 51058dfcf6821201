package gatewaytest_test

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// Bots in another language, and scripts, tell the fake Discord over HTTP what to do.
// (The program is gatewayqueue fake-discord.)
func ExampleServer_control() {
	discord := gatewaytest.NewServer()
	defer discord.Close()
	resp, err := http.Post(discord.URL()+"/control/restart", "", nil) // all sessions end
	if err != nil {
		panic(err)
	}
	fmt.Println(resp.Status, resp.Body.Close())
	resp, err = http.Get(discord.URL() + "/control/verdict")
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	var verdict gatewaytest.Verdict
	if err := json.NewDecoder(resp.Body).Decode(&verdict); err != nil {
		panic(err)
	}
	fmt.Println(verdict.Identifies, "identifies, allowed:", verdict.OK())
	// Output:
	// 200 OK <nil>
	// 0 identifies, allowed: true
}

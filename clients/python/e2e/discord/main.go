// The fake Discord of the Python tests: package gatewaytest, with what discord.py
// asks of the REST API, and its controls over HTTP.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

func main() {
	concurrency := flag.Int("max-concurrency", 1, "buckets")
	window := flag.Duration("window", gatewayqueue.IdentifyDelay, "the least time between two identifies of a bucket")
	heartbeat := flag.Duration("heartbeat", gatewaytest.DefaultHeartbeat, "the heartbeat interval")
	latency := flag.Duration("latency", 100*time.Millisecond, "the longest time until HELLO")
	flag.Parse()

	limit := gatewayqueue.DefaultLimit()
	limit.MaxConcurrency = *concurrency
	fake := gatewaytest.NewServer(
		gatewaytest.WithLimit(limit), gatewaytest.WithWindow(*window), gatewaytest.WithHeartbeat(*heartbeat),
		gatewaytest.WithLatency(gatewaytest.Between(*latency/4, *latency, 1)),
		gatewaytest.WithReadyDelay(gatewaytest.Between(*latency/4, *latency, 2)),
	)
	defer fake.Close()
	front := httptest.NewServer(routes(fake))
	defer front.Close()
	_ = json.NewEncoder(os.Stdout).Encode(map[string]string{"api": front.URL, "gateway": fake.GatewayURL(), "token": fake.Token()})
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, os.Interrupt)
	<-interrupt
}

func routes(fake *gatewaytest.Server) http.Handler {
	base, err := url.Parse(fake.URL())
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", httputil.NewSingleHostReverseProxy(base))
	answer := func(path string, f func(*http.Request) any) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(f(r))
		})
	}
	user := map[string]any{"id": gatewaytest.ApplicationID, "username": "bot", "discriminator": "0000", "avatar": nil, "bot": true}
	answer("GET /api/v10/users/@me", func(*http.Request) any { return user })
	answer("GET /api/v10/oauth2/applications/@me", func(*http.Request) any {
		return map[string]any{
			"id": gatewaytest.ApplicationID, "name": "bot", "icon": nil, "description": "", "bot_public": true,
			"bot_require_code_grant": false, "verify_key": "", "owner": user, "flags": 0,
		}
	})
	answer("GET /ctl/state", func(*http.Request) any {
		return map[string]any{
			"verdict": fake.Judge().Verdict(), "ready": fake.ReadyShards(), "stats": fake.Stats(), "record": fake.Judge().Record(),
		}
	})
	answer("POST /ctl/do/{what}", func(r *http.Request) any {
		var shards []int
		for _, text := range strings.Fields(strings.ReplaceAll(r.URL.Query().Get("shards"), ",", " ")) {
			var shard int
			if _, err := fmt.Sscan(text, &shard); err == nil {
				shards = append(shards, shard)
			}
		}
		switch r.PathValue("what") {
		case "restart":
			fake.Restart()
		case "drop":
			fake.Drop(true)
		case "reconnect":
			return fake.Reconnect(shards...)
		case "invalidate":
			return fake.Invalidate(false, shards...)
		}
		return nil
	})
	return mux
}

package promqueue_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
	"github.com/gatewayqueue/gatewayqueue/promqueue"
)

// The metrics of a queue beside those of a bot.
func Example() {
	metrics := promqueue.New()
	queue, err := memqueue.New(gatewayqueue.DefaultLimit(), // redisqueue has WithObserver too
		memqueue.WithObserver(metrics.Observe)) // counters: of what this process does
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	metrics.Watch(queue) // gauges: of the whole queue, at each scrape

	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics)
	if err := queue.Wait(context.Background(), 0); err != nil {
		panic(err)
	}
	server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{})) // /metrics
	defer server.Close()
	resp, err := http.Get(server.URL)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "gatewayqueue_grants_total") || strings.HasPrefix(line, "gatewayqueue_budget_remaining") {
			fmt.Println(line)
		}
	}
	// Output:
	// gatewayqueue_budget_remaining 999
	// gatewayqueue_grants_total 1
}

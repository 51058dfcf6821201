package promqueue_test

import (
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/promqueue"
)

func Example() {
	metrics := promqueue.New()
	queue, err := gatewayqueue.NewInMemory(gatewayqueue.DefaultLimit(), gatewayqueue.WithObserver(metrics.Observe))
	if err != nil {
		fmt.Println(err)
		return
	}
	metrics.Watch(queue)

	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics)
	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
}

package httpqueue_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// Other pages of a program are routes of the handler: a ServeMux around it would
// answer legacy clients by itself.
func ExampleWithRoute() {
	queue, err := memqueue.New(gatewayqueue.DefaultLimit())
	if err != nil {
		log.Fatal(err)
	}
	handler, err := httpqueue.NewHandler(queue,
		httpqueue.WithRoute("/healthz", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(w, "ok")
		})))
	if err != nil {
		log.Fatal(err)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz", nil))
	fmt.Print(w.Body)
	// Output: ok
}

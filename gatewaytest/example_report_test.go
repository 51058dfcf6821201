package gatewaytest_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

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

package gatewayqueue_test

import (
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// How long shards have waited, in classes that add up over pods and minutes.
func ExampleWaits() {
	one, other := make(gatewayqueue.Waits), make(gatewayqueue.Waits)
	for range 99 {
		one.Add(time.Millisecond)
	}
	other.Add(8 * time.Second)
	one.Merge(other)
	fmt.Println(one.Count(), "waits, half of them within", one.Quantile(0.5))
	// Output: 100 waits, half of them within 1ms
}

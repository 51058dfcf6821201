// What must hold when all tests of this package have ended.

package gatewayproxy_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
)

// TestMain finds goroutines of this module that outlive the tests: each test ends its
// proxies, so whatever is left was leaked.
func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.fuzz").Value.String() != "" {
		os.Exit(m.Run())
	}
	_ = flag.Set("test.parallel", "16") // they mostly wait
	gatewayproxy.SetDialWithin(4 * time.Second)
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	if left := leaked(); left != "" {
		fmt.Fprintln(os.Stderr, "goroutines that were left behind:\n"+left)
		code = 1
	}
	os.Exit(code)
}

// leaked waits for goroutines to end, and returns the stacks of those that do not.
func leaked() string {
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		stacks := make([]byte, 8<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		var left []string
		for one := range strings.SplitSeq(string(stacks), "\n\n") {
			if strings.Contains(one, "gatewayqueue/gatewayqueue") && !strings.Contains(one, "TestMain") && !strings.Contains(one, "internal/child.init") {
				left = append(left, one)
			}
		}
		if len(left) == 0 {
			return ""
		}
		if time.Now().After(deadline) {
			return strings.Join(left, "\n\n")
		}
	}
}

package faults

// Every fault alone, and some of each kind on every version of the server.

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

func TestNoFaultAloneBreaksARule(t *testing.T) {
	for i, name := range slices.Sorted(maps.Keys(catalogue)) {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			check(t, single(name, uint64(i)+1, 900*time.Millisecond))
		})
	}
}

func TestTheCoreHoldsOnEveryServer(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Binary) {
		t.Parallel()
		for i, servers := range []string{"server", "cluster", "sentinel"} {
			t.Run(servers, func(t *testing.T) {
				t.Parallel()
				check(t, core(b, servers, uint64(i)+1))
			})
		}
	})
}

// slow is when a run's logs are worth a look though it broke no rule.
const slow = 5 * time.Second

// check runs a plan and fails the test for what may not be.
func check(t *testing.T, p plan) verdict {
	t.Helper()
	if !supported {
		t.Skip("the fault suite needs Linux: processes that share a clock and die together")
	}
	dir := runDir(t)
	v := execute(t, p, dir)
	t.Logf("%s\n%s", p, v)
	for _, bad := range v.bad() {
		t.Error(bad)
	}
	if t.Failed() || v.Resumed > slow {
		keepLogs(t, dir, p)
	}
	return v
}

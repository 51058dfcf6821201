package faults

// Every fault alone.

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNoFaultAloneBreaksARule(t *testing.T) {
	for i, name := range slices.Sorted(maps.Keys(catalogue)) {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			check(t, single(name, uint64(i)+1, 900*time.Millisecond))
		})
	}
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

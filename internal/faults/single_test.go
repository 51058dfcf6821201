package faults

// Every fault alone, and some of each kind on every version of the server.

import (
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

func TestNoFaultAloneBreaksARule(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(catalogue)) {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			seed := fnv.New32()
			_, _ = seed.Write([]byte(name)) // never fails
			check(t, single(name, uint64(seed.Sum32())+*soakSeed, 900*time.Millisecond))
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
func check(t *testing.T, p plan) verdict { t.Helper(); return checkAfter(t, p, func(*run) {}) }

// checkAfter is check, with something to do before the pods start.
func checkAfter(t *testing.T, p plan, before func(*run)) verdict {
	t.Helper()
	if !supported {
		t.Skip("the fault suite needs Linux: processes that share a clock and die together")
	}
	dir := runDir(t)
	v := executeAfter(t, p, dir, before)
	t.Logf("%s\n%s", p, v)
	for _, bad := range v.bad() {
		t.Error(bad)
	}
	if t.Failed() || v.Resumed > slow || *soakKeep {
		keepLogs(t, dir, p)
	}
	return v
}

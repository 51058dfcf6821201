package faults

// Random faults, for as long as one likes. scripts/soak runs it.

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

var (
	soakFor  = flag.Duration("soak.for", 0, "how long to run random faults; 0 is a few runs")
	soakSeed = flag.Uint64("soak.seed", 0, "the first seed; 0 draws one")
	soakRuns = flag.Int("soak.runs", 0, "how many runs at most; 0 is no bound")
	soakMany = flag.Int("soak.parallel", 0, "runs at once; 0 is as go test has it")
	soakKeep = flag.Bool("soak.keep", false, "keep the logs of all runs")
	soakLogs = flag.String("soak.logs", "", "where logs of failing runs are kept; nowhere if empty")
)

func TestFaultsInAnyCombinationBreakNoRule(t *testing.T) {
	if *soakFor > 0 {
		t.Skip("the soak runs instead")
	}
	seed := firstSeed(t)
	for i := range uint64(10) {
		t.Run(fmt.Sprint(seed+i), func(t *testing.T) {
			t.Parallel()
			check(t, random(seed+i))
		})
	}
}

func firstSeed(t *testing.T) uint64 {
	seed := *soakSeed
	if seed == 0 {
		seed = rand.Uint64N(1e9)
	}
	t.Logf("seed %d", seed)
	return seed
}

func TestSoak(t *testing.T) {
	if *soakFor == 0 {
		t.Skip("run scripts/soak")
	}
	seed, end := firstSeed(t), time.Now().Add(*soakFor)
	fmt.Printf("soak: seed %d, for %v, %d at once\n", seed, *soakFor, *soakMany)
	var (
		mu       sync.Mutex
		runs     int
		failed   []string
		total    verdict
		resumed  []time.Duration
		all      sync.WaitGroup
		next     = seed
		longest  = make(map[time.Duration]uint64)
		identify int
	)
	draw := func() (uint64, bool) {
		mu.Lock()
		defer mu.Unlock()
		if time.Now().After(end) || *soakRuns > 0 && next >= seed+uint64(*soakRuns) {
			return 0, false
		}
		next++
		return next - 1, true
	}
	for range max(1, *soakMany) {
		all.Go(func() {
			for seed, ok := draw(); ok; seed, ok = draw() {
				p := random(seed)
				var v verdict
				good := t.Run(fmt.Sprint(seed), func(t *testing.T) { v = check(t, p) })
				mu.Lock()
				runs++
				identify += v.Identifies
				resumed = append(resumed, v.Resumed)
				longest[v.Resumed] = seed
				total.Violations = append(total.Violations, v.Violations...)
				total.Over += v.Over
				total.Unused += max(0, v.Unused-v.Explained)
				total.Unserved = append(total.Unserved, v.Unserved...)
				fmt.Printf("%s %5d  %s\n        %s\n", map[bool]string{true: "ok  ", false: "FAIL"}[good], runs, p, v)
				if !good {
					failed = append(failed, p.String())
					for _, bad := range v.bad() {
						fmt.Println("        " + bad)
					}
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	slices.SortFunc(resumed, cmp.Compare[time.Duration])
	if runs == 0 {
		return
	}
	fmt.Printf("\nsoak: seed %d: %d runs, %d identifies: %d violations, %d overspent, %d units unused and unexplained, %d shards unserved, %d runs failed\n",
		seed, runs, identify, len(total.Violations), total.Over, total.Unused, len(total.Unserved), len(failed))
	fmt.Printf("soak: from the end of the faults to the next identify: median %v, 99 %% %v, longest %v (seed %d)\n",
		resumed[runs/2].Round(time.Millisecond), resumed[runs*99/100].Round(time.Millisecond), resumed[runs-1].Round(time.Millisecond), longest[resumed[runs-1]])
	for _, p := range failed {
		fmt.Println("failed: " + p)
	}
}

// runDir is where a run writes. Its name is short: pods and servers log there.
func runDir(t *testing.T) string {
	t.Helper()
	return t.TempDir()
}

// keepLogs copies the logs of a failed run to where they outlive it.
func keepLogs(t *testing.T, dir string, p plan) {
	if *soakLogs == "" {
		t.Log("run it again with -args -soak.logs DIR to keep its logs")
		return
	}
	to := filepath.Join(*soakLogs, fmt.Sprintf("seed-%d-%d", p.Seed, time.Now().UnixMilli()))
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Error(err)
	}
	t.Logf("logs are in %s", to)
}

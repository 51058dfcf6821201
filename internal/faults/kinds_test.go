package faults

// What single faults do not show: kinds of trouble that take a plan of their own.

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// Two bots in one Redis have nothing in common: whatever the server tells one of
// them, it tells the other.
func TestTwoBotsInOneRedis(t *testing.T) {
	for name, faults := range map[string][]string{
		"SetBack": {"server killed and set back", "scripts flushed"}, "Promotion": {"lagging promotion", "failback"}, "Busy": {"server paused", "pods killed", "another bot"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := quiet(uint64(len(name)))
			p.Servers = "server"
			if name == "Promotion" {
				p.Servers = "pair"
			}
			p.Bots, p.Pods, p.Source = 2, 4, true
			for i, fault := range faults {
				at := time.Duration(1200+i*2000) * time.Millisecond
				p.Faults = append(p.Faults, scheduled{Name: fault, At: at, For: 700 * time.Millisecond, Seed: uint64(i)})
			}
			p.Faults = append(p.Faults, scheduled{Name: "pods idle", At: 1200 * time.Millisecond, For: 1500 * time.Millisecond, Seed: 4})
			check(t, p)
		})
	}
}

// A pod that has to say of many permits that they are still wanted says it in time,
// also where each answer takes a while. Where it takes long there is a connection for
// each: with the ten of one CPU, claims keep renewals waiting for one too long.
func TestManyPermitsOverASlowLink(t *testing.T) {
	for delay, pool := range map[int]int{20: 0, 100: 100} { // ms each way; 0 connections are what go-redis has
		t.Run(time.Duration(2*delay*int(time.Millisecond)).String(), func(t *testing.T) {
			t.Parallel()
			p := quiet(uint64(delay))
			p.Limit.MaxConcurrency, p.Shards, p.Pods, p.PoolSize = 96, 96, 1, pool
			p.Calm, p.Once, p.Waits = true, true, 0
			const window = 2 * time.Second
			p.Window, p.PodLease, p.ReadTimeout = window, 2*time.Second, 3*time.Second
			p.Dial = 2 * window // longer than a permit is good without renewals
			slow := func(r *run) {
				for _, l := range r.links() {
					for _, stream := range []string{"upstream", "downstream"} {
						l.poisoned("latency", stream, map[string]any{"latency": delay})
					}
				}
			}
			v := checkAfter(t, p, slow)
			for n := 1; v.Expired > 0 && n < 4; n++ { // a busy machine takes seconds to open a hundred connections
				v = checkAfter(t, p, slow)
			}
			assert.Zero(t, v.Expired, "permits that ended in a pod that lives")
			assert.Equal(t, p.Shards, v.Identifies)
		})
	}
}

// A budget that is deleted by hand is not granted again: what was spent is known from
// other keys, also where there is no limit source.
func TestABudgetDeletedByHandIsNotSpentTwice(t *testing.T) {
	for _, key := range []string{"delete remaining", "delete limits", "delete spent"} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			p := quiet(uint64(len(key)))
			p.Limit.Total, p.Limit.Remaining, p.Reserve = 30, 30, 3
			p.Limit.MaxConcurrency, p.Shards, p.Waits, p.Calm = 3, 9, 0, true
			p.Limit.ResetAfter, p.Period = 0, 12*time.Second
			for i := range 3 {
				p.Faults = append(p.Faults, scheduled{Name: key, At: time.Duration(2+2*i) * time.Second, For: time.Second, Seed: uint64(i)})
			}
			p.Faults = append(p.Faults, scheduled{Name: "nothing", For: 9 * time.Second})
			check(t, p)
		})
	}
}

// Pods of the last release and of now work side by side, in every order of a roll-out.
func TestARollOutBesideTheLastRelease(t *testing.T) {
	if os.Getenv(oldVar) == "" {
		t.Skipf("set %s to this suite as the last release has it, built with go test -c", oldVar)
	}
	for i, faults := range [][]string{
		{"pods replaced"}, {"pods replaced", "scripts flushed"}, {"pods replaced", "server paused"},
		{"pods replaced", "limits changed"}, {"pods killed", "pod paused"}, {"pods replaced", "flushed"},
	} {
		t.Run(faults[len(faults)-1], func(t *testing.T) {
			t.Parallel()
			p := quiet(uint64(i) + *soakSeed)
			p.Versions, p.Source = true, slices.Contains(faults, "limits changed") || slices.Contains(faults, "pods killed") || slices.Contains(faults, "flushed")
			for _, fault := range faults {
				p.Faults = append(p.Faults, scheduled{Name: fault, At: time.Second, For: 4 * time.Second, Seed: uint64(i)})
			}
			check(t, p)
		})
	}
}

// Clients of two servers over HTTP, and both legs in trouble at once.
func TestServersOverHTTPInTrouble(t *testing.T) {
	for i, faults := range [][]string{
		{"servers rolled", "polls cut"}, {"servers killed", "replies lost"}, {"replies lost in silence", "pods idle"},
		{"servers paused", "refused"}, {"polls cut", "slow"}, {"clocks moved", "suspended"},
	} {
		t.Run(faults[0]+", "+faults[1], func(t *testing.T) {
			t.Parallel()
			p := quiet(uint64(i))
			p.Servers, p.Source = "http", true
			for j, fault := range faults {
				p.Faults = append(p.Faults, scheduled{Name: fault, At: time.Second, For: 4 * time.Second, Seed: uint64(j)})
			}
			check(t, p)
		})
	}
}

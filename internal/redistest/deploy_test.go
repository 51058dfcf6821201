package redistest_test

import (
	"path/filepath"
	"testing"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// deploy/redis.conf is for every version that we name, and what it promises
// about a crash holds.
func TestDeployedConfigurationWorksOnEachVersion(t *testing.T) {
	file, err := filepath.Abs("../../deploy/redis.conf")
	if err != nil {
		t.Fatal(err)
	}
	redistest.Each(t, func(t *testing.T, b redistest.Binary) {
		s := b.Start(t, "--include", file)
		c := s.Client(t)
		for name, want := range map[string]string{
			"appendonly": "yes", "save": "", "maxmemory": "134217728", "maxmemory-policy": "noeviction",
		} {
			if got := c.ConfigGet(t.Context(), name).Val()[name]; got != want {
				t.Errorf("%s is %q: want %q", name, got, want)
			}
		}
		if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
			t.Fatal(err)
		}
		s.Kill()
		s.Restart()
		if got, err := c.Get(t.Context(), "k").Result(); got != "v" {
			t.Errorf("after a crash k is %q, %v: want v", got, err)
		}
	})
}

package main_test

import (
	"fmt"
	"regexp"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

func TestScaledPodsShareOneQueue(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	results := make([]result, 3)
	var pods sync.WaitGroup
	for i := range results {
		pods.Go(func() {
			results[i] = run(t, "pod", "--redis", "redis://"+server.Addr, "--window", "300ms", "--shards", "3", "--max-concurrency", "2")
		})
	}
	pods.Wait()
	seen := make(map[string]bool)
	for _, got := range results {
		assert.Zero(t, got.code, got.err)
		assert.Contains(t, got.out, "all 3 shards are up")
		for _, shard := range regexp.MustCompile(`shard (\d+) +identifies`).FindAllStringSubmatch(got.out, -1) {
			assert.False(t, seen[shard[1]], "shard %s is up twice", shard[1])
			seen[shard[1]] = true
		}
	}
	for shard := range 9 {
		assert.True(t, seen[fmt.Sprint(shard)], "shard %d is not up", shard)
	}
}

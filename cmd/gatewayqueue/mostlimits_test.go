package main_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// The largest limits that are taken are limits that the scripts can use.
func TestLimits_TheLargestAreOfUse(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := serve(t, nil, "--redis", "redis://"+server.Addr, "--app", "a", "--fresh-start")
	for _, c := range []struct{ total, buckets, code int }{
		{999_999_999_999_999, 4096, 204}, {1_000_000_000_000_000, 4096, 400}, {1000, 4097, 400},
	} {
		body := fmt.Sprintf(`{"total":%d,"remaining":%[1]d,"reset_after":1000,"max_concurrency":%d}`, c.total, c.buckets)
		got := s.call("PUT", "/v1/limits", body)
		require.Equal(t, c.code, got.code, "%s: %s", body, got.text)
		code, text := s.get("/?shard=1")
		require.Equal(t, 200, code, text)
		assert.NotContains(t, run(t, "check", "--url", s.URL).out, "Redis refuses grants")
	}
}

package main_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// What is known to outlast a caller is refused at once, with how long it takes and
// why: for each cause whose end is known, in memory and on Redis, on each route.
func TestADeadline_ThatIsKnownToBeTooShortIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	const deadline = 20_000 // ms; each cause lasts for longer
	bearer := []string{"Authorization", "Bearer " + authToken}
	server := redistest.Start(t)
	for queue, settings := range map[string][]string{"memory": nil, "redis": {"--redis", "redis://" + server.Addr}} {
		for cause, c := range map[string]struct {
			hold   bool // the queue has just begun
			unused bool // nothing was granted before
			begin  func(t *testing.T, s *served)
			reason string
		}{
			"window": {reason: "bucket 0 is closed"},
			"budget": {reason: "the budget is used up until its reset", begin: func(t *testing.T, s *served) {
				require.Equal(t, 204, s.call("PUT", "/v1/limits", `{"total":1000,"remaining":0,"reset_after":3600000,"max_concurrency":1}`, bearer...).code)
			}},
			"hold": {hold: true, reason: "every bucket is held closed"},
			"pause": {unused: true, reason: "grants are paused by alice at 127.0.0.1: to see", begin: func(t *testing.T, s *served) {
				r := s.call("POST", "/v1/pause", `{"who":"alice","why":"to see","for_ms":3600000}`, bearer...)
				require.Less(t, r.code, 300, r.text)
			}},
		} {
			t.Run(queue+", "+cause, func(t *testing.T) {
				t.Parallel()
				args := append([]string{"--window", "1m"}, settings...)
				if queue == "redis" {
					args = append(args, "--app", cause)
				}
				if !c.hold {
					args = append(args, "--fresh-start")
				}
				s := serve(t, []string{"GATEWAYQUEUE_AUTH_TOKEN=" + authToken}, args...)
				if !c.hold && !c.unused {
					require.Equal(t, 200, s.call("POST", "/v1/identifies", `{"shard":0}`, bearer...).code)
				}
				if c.begin != nil {
					c.begin(t, s)
				}
				for _, path := range []string{"/v1/permits", "/v1/identifies"} {
					r := s.call("POST", path, `{"shard":0,"deadline_ms":20000,"max_wait_ms":60000}`, bearer...)
					var late struct {
						Wait   int64  `json:"wait_ms"`
						Detail string `json:"detail"`
					}
					require.NoError(t, json.Unmarshal([]byte(r.text), &late), r.text)
					assert.Equal(t, 429, r.code, r.text)
					assert.Equal(t, "urn:gatewayqueue:problem:too-late", r.Type)
					assert.Greater(t, late.Wait, int64(deadline), "at once: %s", r.text)
					assert.Contains(t, late.Detail, c.reason)
				}
				if queue == "redis" {
					got := run(t, "wait", "--shard", "0", "--timeout", "5s", "--redis", "redis://"+server.Addr, "--app", cause)
					assert.NotZero(t, got.code)
					assert.Contains(t, got.err, "not within 5s: ")
				}
			})
		}
	}
}

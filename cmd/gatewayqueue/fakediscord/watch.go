// What has happened since the last look, as lines.

package fakediscord

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

const lookEvery = 100 * time.Millisecond

type watch struct {
	server *gatewaytest.Server
	screen screen
	began  time.Time
	seen   map[gatewaytest.Identify]bool
	shards map[int]gatewaytest.ShardReport
}

func newWatch(server *gatewaytest.Server, s screen) *watch {
	return &watch{server: server, screen: s, began: time.Now(), seen: make(map[gatewaytest.Identify]bool), shards: make(map[int]gatewaytest.ShardReport)}
}

func (w *watch) look() {
	// One that was ruled later may have arrived before others.
	for _, one := range w.server.Judge().Record() {
		if !w.seen[one] {
			w.seen[one] = true
			w.screen.line(one.At, one.Shard, identifyText(one), one.Early || one.Over)
		}
	}
	at := time.Since(w.began)
	for _, now := range w.server.Shards() {
		if what := changes(w.shards[now.Shard], now); len(what) > 0 {
			w.screen.line(at, now.Shard, strings.Join(what, ", "), false)
		}
		w.shards[now.Shard] = now
	}
}

func identifyText(one gatewaytest.Identify) string {
	text := fmt.Sprintf("IDENTIFY in bucket %d", one.Bucket)
	switch {
	case one.Over:
		text = "OVER THE BUDGET: " + text + ": all sessions end, the token is void"
	case one.Early:
		text = fmt.Sprintf("VIOLATION: %s only %.3f s from the one before: op 9", text, one.Gap.Seconds())
	case !one.First():
		text += fmt.Sprintf(", %.3f s after the one before", one.Gap.Seconds())
	}
	return text
}

// changes are what a shard has seen since before, but for identifies.
func changes(before, now gatewaytest.ShardReport) (what []string) {
	for _, c := range []struct {
		text string
		n    int
	}{
		{"READY", now.Readies - before.Readies},
		{"RESUMED", now.Resumes - before.Resumes},
		{"RESUME refused", now.RefusedResumes - before.RefusedResumes},
		{"op 7", now.Reconnects - before.Reconnects},
		{"op 9", now.InvalidSessions - before.InvalidSessions},
	} {
		what = appendCount(what, c.text, c.n)
	}
	for _, code := range slices.Sorted(maps.Keys(now.Closed)) {
		what = appendCount(what, fmt.Sprintf("closed with %d", code), now.Closed[code]-before.Closed[code])
	}
	for _, code := range slices.Sorted(maps.Keys(now.Left)) {
		what = appendCount(what, leftText(code), now.Left[code]-before.Left[code])
	}
	return what
}

func leftText(code int) string {
	switch code {
	case 1005:
		return "left without a code"
	case 1006:
		return "lost"
	}
	return fmt.Sprintf("left with %d", code)
}

func appendCount(to []string, text string, n int) []string {
	switch {
	case n > 1:
		return append(to, fmt.Sprintf("%s (%d times)", text, n))
	case n == 1:
		return append(to, text)
	}
	return to
}

package history

import (
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/assert"

	"github.com/gatewayqueue/gatewayqueue"
)

func at(ago time.Duration, granted, returned, left int, wait time.Duration) gatewayqueue.Minute {
	m := gatewayqueue.Minute{Start: now.Add(-ago).Truncate(time.Minute), Granted: granted, Returned: returned, Remaining: left, Total: 1000, Waits: make(gatewayqueue.Waits)}
	for range granted {
		m.Waits.Add(wait)
	}
	return m
}

var now = time.Date(2026, 11, 27, 14, 40, 0, 0, time.UTC)

func TestDay_IsDrawnWithinATerminal(t *testing.T) {
	local := time.Local
	time.Local = time.UTC
	defer func() { time.Local = local }()
	unknown := at(time.Minute, 0, 1, 0, 0)
	unknown.Unknown = true
	text := ansi.Strip(strings.Join(day{"redis://redis:6379", []gatewayqueue.Minute{
		at(23*time.Hour, 2, 0, 998, 10*time.Millisecond), at(3*time.Hour, 40, 1, 960, time.Minute), at(179*time.Minute, 8, 0, 952, 2*time.Minute), unknown,
	}, now, time.Hour}.lines(), "\n"))
	assert.Equal(t, ` the last 24 h, to 14:40 UTC  redis://redis:6379

 granted   ▁                                       █        50, 48 in 30 min at most
    left   ███████████████████████████████████████████████  952 of 1000
     p50   ▂                                       █        58.4 s
     p99   ▂                                       █        1 min 57 s

 from       granted  returned         left     p50         p99
 Thu 15:00        2         0  998 of 1000    9 ms        9 ms
 Fri 11:00       48         1  952 of 1000  58.4 s  1 min 57 s
 Fri 14:00        0         1            -       -           -`, text)
	for line := range strings.Lines(text) {
		assert.LessOrEqual(t, ansi.StringWidth(line), 96)
	}
}

func TestDay_InWhichNothingWasGranted(t *testing.T) {
	assert.Contains(t, strings.Join(day{"redis://redis:6379", nil, now, time.Hour}.lines(), "\n"), "nothing was granted in a minute that is over, or nobody recorded it")
}

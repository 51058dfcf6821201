package picture_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
)

// status has a bucket in each state.
func status() gatewayqueue.Status {
	now := time.UnixMilli(1_700_000_000_000)
	place := func(tickets ...string) (line []gatewayqueue.Place) {
		for _, t := range tickets {
			line = append(line, gatewayqueue.Place{Ticket: t, Arrival: now})
		}
		return line
	}
	return gatewayqueue.Status{
		App: "1234", Time: now,
		Budget: gatewayqueue.BudgetStatus{Total: 1000, Remaining: 750, MaxConcurrency: 5, Reset: now.Add(23*time.Hour + 59*time.Minute)},
		Buckets: []gatewayqueue.BucketStatus{
			{Bucket: 0},
			{Bucket: 1, Closed: 2625 * time.Millisecond, Holder: "00001@pod-1#7", Waiting: 2, Line: place("00005@pod-2#1", "00009@pod-3-89abcdef#2")},
			{Bucket: 2, Closed: 9 * time.Second, Holder: "00002@pod-1#8", Permit: true},
			{Bucket: 3, Closed: 5250 * time.Millisecond, Holder: "00003@a-pod-with-a-very-long-name-5d8f#1", Waiting: 1200, Line: place("00007@pod-2#2")},
			{Bucket: 4, Closed: time.Second},
		},
	}
}

func plain(lines []string) string { return ansi.Strip(strings.Join(lines, "\n")) + "\n" }

// golden compares with testdata/NAME, and writes it where UPDATE is set.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

func TestPictureShowsEveryState(t *testing.T) {
	f := picture.Frame{Width: 100, Window: 5250 * time.Millisecond}
	golden(t, "wide.txt", plain(picture.Queue(status(), f)))
}

func TestNarrowPictureLeavesTheBarsOut(t *testing.T) {
	f := picture.Frame{Width: 60, Window: 5250 * time.Millisecond}
	golden(t, "narrow.txt", plain(picture.Queue(status(), f)))
}

func TestHeldBucketsAreExplained(t *testing.T) {
	s := status()
	s.Hold = 3 * time.Second
	s.Budget.Unknown = true
	golden(t, "held.txt", plain(picture.Queue(s, picture.Frame{Width: 100, Window: 5250 * time.Millisecond})))
}

func TestBucketsThatDoNotFitAreSummedUp(t *testing.T) {
	got := picture.Buckets(status(), picture.Frame{Width: 80, Lines: 4, Window: time.Second})
	require.Len(t, got, 4)
	assert.Equal(t, "      3 more buckets: 0 open, 3 closed, 1200 waiting", ansi.Strip(got[3]))
	got = picture.Buckets(status(), picture.Frame{Width: 80, Lines: 2, Window: time.Second})
	require.Len(t, got, 2)
	assert.Equal(t, "      5 buckets: 1 open, 4 closed, 1202 waiting", ansi.Strip(got[1]))
	assert.Len(t, picture.Buckets(status(), picture.Frame{Width: 80, Lines: 6, Window: time.Second}), 6, "all fit")
}

func TestNoLineIsWiderThanTheFrame(t *testing.T) {
	for _, width := range []int{20, 40, 63, 64, 80, 200} {
		for _, line := range picture.Queue(status(), picture.Frame{Width: width, Window: time.Second}) {
			assert.LessOrEqual(t, lipgloss.Width(line), width, "%q", line)
		}
	}
}

func TestLaterClosesForLess(t *testing.T) {
	before := status()
	after := picture.Later(before, 3*time.Second)
	assert.Zero(t, after.Buckets[1].Closed)
	assert.Equal(t, 6*time.Second, after.Buckets[2].Closed)
	assert.Equal(t, 9*time.Second, before.Buckets[2].Closed, "the snapshot stays as it was")
}

func TestDrainedIsTheLongestLine(t *testing.T) {
	step := 5 * time.Second
	waiting := func(b gatewayqueue.BucketStatus) int { return b.Waiting }
	s := gatewayqueue.Status{Buckets: []gatewayqueue.BucketStatus{
		{Closed: time.Second, Waiting: 3},
		{Closed: 30 * time.Second}, // nobody waits for it
	}}
	assert.Equal(t, 11*time.Second, picture.Drained(s, step, waiting))
	s.Buckets[0].Closed, s.Buckets[0].Permit = 10*time.Second, true
	assert.Equal(t, 15*time.Second, picture.Drained(s, step, waiting), "a permit's lease is no guide: its holder identifies soon")
	s.Buckets[0] = gatewayqueue.BucketStatus{Waiting: 1}
	assert.Zero(t, picture.Drained(s, step, waiting))
}

func TestSecondsAreReadable(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0.0 s", 4140 * time.Millisecond: "4.1 s", 59990 * time.Millisecond: "1 min 0 s",
		200 * time.Second: "3 min 20 s", time.Hour - time.Millisecond: "1 h 0 min",
		24 * time.Hour: "24 h 0 min", 86_399_600 * time.Millisecond: "24 h 0 min",
	} {
		assert.Equal(t, want, picture.Seconds(d), "%v", d)
	}
}

func TestPlaceIsReadable(t *testing.T) {
	assert.Equal(t, "12@web-3", picture.Place("00012@web-3#44"))
	assert.Equal(t, "0@web-3", picture.Place("00000@web-3-0123cdef#1"))
	assert.Equal(t, "edited by hand", picture.Place("edited by hand"))
}

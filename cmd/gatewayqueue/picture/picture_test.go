package picture_test

import (
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
)

// screen has a table of thirty rows, a timeline, and notes.
func screen() picture.Screen {
	return picture.Screen{
		Title: []picture.Field{{Text: "a title"}, {Text: "of little interest", Rank: 1}},
		Rows: []picture.Row{
			{Label: "first", Bar: picture.NewBar(0.5), Fields: []picture.Field{{Text: "what matters"}, {Text: "what does not", Rank: 2}}},
			{Label: "second", Fields: []picture.Field{{Text: "may go"}}, Rank: 1},
		},
		Table: &picture.Table{
			Len: 30, Thing: "row",
			Columns: []picture.Column{
				{Name: "number", Right: true, Cell: func(i, _ int) string { return strings.Repeat("1", i%5+1) }},
				{Name: "text", Rank: 1, Least: 4, Cell: func(int, int) string { return "what is said of it" }},
			},
			Sorts: []picture.Sort{{Name: "number"}, {Name: "backwards", Compare: func(a, b int) int { return b - a }}},
			Match: func(i int, text string) bool { return strings.Repeat("1", i%5+1) == text },
		},
		Below: func(_, lines int) []string { return []string{"timeline", "of two lines"}[:min(2, lines)] },
		Notes: []string{"1.0 s  something has happened, of which there is more to say than fits in a line of a narrow terminal"},
		About: []picture.Entry{{Word: "number", Text: "which it is"}},
	}
}

func drawn(v picture.View, width, height int) (string, picture.View) {
	lines, v := picture.Draw(screen(), v, width, height)
	return ansi.Strip(strings.Join(lines, "\n")), v
}

func TestDraw_FillsEverySizeAndNoMore(t *testing.T) {
	for width := 20; width <= 220; width += 18 {
		for height := 3; height <= 60; height += 7 {
			for _, v := range []picture.View{{}, {Help: true}, {Typing: true, Filter: "web"}, {Paused: true, Filter: "1", Sort: 1, Top: 9}, {Mute: true}} {
				lines, _ := picture.Draw(screen(), v, width, height)
				require.Len(t, lines, height, "%dx%d", width, height)
				for _, line := range lines {
					require.LessOrEqual(t, ansi.StringWidth(line), width, "%dx%d: %q", width, height, line)
				}
			}
		}
	}
}

func TestDraw_TheLeastImportantGoesFirst(t *testing.T) {
	wide, _ := drawn(picture.View{}, 80, 24)
	for _, text := range []string{"a title, of little interest", "█████", "what matters, what does not", "may go", "timeline"} {
		assert.Contains(t, wide, text)
	}
	narrow, _ := drawn(picture.View{}, 26, 6)
	assert.Contains(t, narrow, "what matters")
	for _, text := range []string{"what does not", "of little", "█", "may go", "timeline"} {
		assert.NotContains(t, narrow, text)
	}
	text, _ := drawn(picture.View{}, 16, 24)
	assert.Contains(t, text, "what\n          matters", "what matters goes on in the next line")
}

func TestDraw_ScrollsNoFurtherThanThereIsSomething(t *testing.T) {
	text, v := drawn(picture.View{Top: 1 << 30}, 80, 12)
	assert.Contains(t, text, " of 30")
	assert.Equal(t, 30, v.Top+strings.Count(text, "what is said"))
	v, _ = v.Key("k", "", 2)
	again, v2 := drawn(v, 80, 12)
	assert.NotEqual(t, text, again, "one line up is one line up")
	v2, _ = v2.Key("pgup", "", 2)
	_, v2 = drawn(v2, 80, 12)
	assert.Less(t, v2.Top, v.Top-1)
}

func TestDraw_FilterThatMatchesNothingSaysSo(t *testing.T) {
	text, _ := drawn(picture.View{Filter: "22"}, 80, 24)
	assert.Contains(t, text, `no row matches "22": esc shows all`)
	text, _ = drawn(picture.View{Filter: "22"}, 0, 0)
	assert.Regexp(t, `no row matches "22"\n?$`, text, "a pipe has no keys")
}

func TestDraw_PipedHasNeitherBarsNorKeys(t *testing.T) {
	text, _ := drawn(picture.View{}, 0, 0)
	assert.NotRegexp(t, `[█░●─]|quit`, text)
	assert.Equal(t, 30, strings.Count(text, "what is said of it"))
}

func TestView_Keys(t *testing.T) {
	press := func(v picture.View, keys ...string) picture.View {
		for _, key := range keys {
			text := ""
			if len(key) == 1 {
				text = key
			}
			v, _ = v.Key(key, text, 3)
		}
		return v
	}
	assert.Equal(t, 1, press(picture.View{}, "s").Sort)
	assert.Zero(t, press(picture.View{}, "s", "s", "s").Sort)
	assert.Equal(t, 2, press(picture.View{}, "S").Sort)
	assert.Equal(t, picture.View{Filter: "q7"}, press(picture.View{}, "/", "q", "x", "backspace", "7", "enter"), "letters are no keys while a filter is typed")
	assert.Equal(t, picture.View{}, press(picture.View{}, "/", "w", "esc"))
	assert.Equal(t, picture.View{}, press(picture.View{Filter: "w", Top: 3}, "esc"))
	assert.True(t, press(picture.View{}, "p").Paused)
	assert.False(t, press(picture.View{}, "?", "esc").Help)
	assert.Equal(t, 2, press(picture.View{}, "j", "down").Top)
	assert.Zero(t, press(picture.View{}, "up").Top)
	for key, want := range map[string]picture.Act{"q": picture.Quit, "ctrl+c": picture.Interrupt, "ctrl+z": picture.Suspend, "x": picture.Nothing} {
		_, act := picture.View{}.Key(key, "", 3)
		assert.Equal(t, want, act, key)
	}
	_, act := picture.View{Typing: true}.Key("ctrl+c", "", 3)
	assert.Equal(t, picture.Interrupt, act)
}

func TestLater_ClosesForLess(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	before := gatewayqueue.Status{Time: now, Pods: []gatewayqueue.PodStatus{{Pod: "a", Lease: now.Add(time.Second)}, {Pod: "b", Lease: now.Add(-time.Second)}},
		Buckets: []gatewayqueue.BucketStatus{{Closed: 2 * time.Second}, {Closed: 9 * time.Second}, {Closed: time.Second, Waiting: 1}, {Waiting: 1}}}
	after := picture.Later(before, 3*time.Second)
	assert.Zero(t, after.Buckets[0].Closed)
	assert.Equal(t, 6*time.Second, after.Buckets[1].Closed)
	assert.Positive(t, after.Buckets[2].Closed, "somebody waits: who has it now is not known")
	assert.Zero(t, after.Buckets[3].Closed, "it was open, and somebody did wait")
	assert.Equal(t, 9*time.Second, before.Buckets[1].Closed, "the snapshot stays as it was")
	assert.Equal(t, map[string]time.Duration{"b": 4 * time.Second}, picture.Ended(after), "a lease is renewed, unless it was over")
	lines, _ := picture.Draw(picture.Screen{Table: picture.Buckets(after, 5*time.Second)}, picture.View{}, 0, 0)
	assert.Regexp(t, `^ +0  next +now`, ansi.Strip(lines[4]), "never open with somebody waiting, unless it was seen")
}

func TestDrained_IsTheLongestLine(t *testing.T) {
	step := 5 * time.Second
	waiting := func(b gatewayqueue.BucketStatus) int { return b.Waiting }
	s := gatewayqueue.Status{Buckets: []gatewayqueue.BucketStatus{
		{Closed: time.Second, Waiting: 3},
		{Closed: 30 * time.Second}, // nobody waits for it
	}}
	assert.Equal(t, 11*time.Second, s.Drained(step, waiting))
	s.Buckets[0].Closed, s.Buckets[0].Permit = 10*time.Second, true
	assert.Equal(t, 15*time.Second, s.Drained(step, waiting), "a permit's lease is no guide: its holder identifies soon")
	s.Buckets[0] = gatewayqueue.BucketStatus{Waiting: 1}
	assert.Zero(t, s.Drained(step, waiting))
}

func TestSeconds_AreReadable(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0.0 s", 4140 * time.Millisecond: "4.1 s", 59990 * time.Millisecond: "1 min 0 s",
		23*time.Hour + 59*time.Minute + 29*time.Second: "23 h 59 min", 90 * time.Second: "1 min 30 s",
	} {
		assert.Equal(t, want, picture.Seconds(d))
	}
}

func TestPlace_IsReadable(t *testing.T) {
	assert.Equal(t, "12@web-3", picture.Place("00012@web-3#44"))
	assert.Equal(t, "0@web-3", picture.Place("00000@web-3-0123cdef#1"))
	assert.Equal(t, "5", picture.Place("5@#7"), "a queue in memory has no pods")
	assert.Equal(t, "edited by hand", picture.Place("edited by hand"))
}

func TestTimeline_TellsWhatIsToCome(t *testing.T) {
	tl := picture.Timeline{Buckets: 1, Pods: []string{"a"}, From: 0, To: 20 * time.Second, Now: 10 * time.Second,
		Marks: []picture.Mark{{Shard: 7, Pod: "a", At: 8 * time.Second, Until: 13 * time.Second}}}
	lines := tl.Draw(49, 9)
	require.Len(t, lines, 3)
	assert.Equal(t, "      0                  ●7──│╌╌╌╌╌", strings.TrimRight(ansi.Strip(lines[1]), " "))
	assert.Nil(t, tl.Draw(20, 9), "too narrow")
	assert.Nil(t, tl.Draw(80, 2), "too low")
	from, to := picture.Whole(time.Second, 15*time.Second, 5*time.Second, 80)
	assert.Equal(t, []time.Duration{0, 15 * time.Second}, []time.Duration{from, to})
	from, to = picture.Whole(time.Hour, 2*time.Hour, 5*time.Second, 80)
	assert.Less(t, to-from, time.Minute, "what is too long for the width slides")
	assert.Greater(t, to, time.Hour)
}

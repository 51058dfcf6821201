// The history's contract. Its fields are named by the time of day, so that it has a
// table of its own beside that of the other scripts.

package lua_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
	"github.com/gatewayqueue/gatewayqueue/lua"
)

// recorded is one case. Minutes are counted back from the one that goes on: the last
// that is over is 1.
type recorded struct {
	name  string
	seed  state       // limits and remaining
	calls []telling   // one after the other
	want  minuteTexts // all of the history that is left, without the number of the minute
}

type minuteTexts map[int]string

// telling is one call of a pod: the numbers that it gives to its minutes, how many
// minutes ago each was, and its counts.
type telling struct {
	pod     string
	minutes []told
}

type told struct {
	number, ago int
	counts      string
}

func TestRecord(t *testing.T) {
	t.Parallel()
	limits := state{"limits": "total=1000 reset_at=@60000", "remaining": "985"}
	cases := []recorded{
		{
			name: "AMinute", seed: limits, calls: []telling{{"a", []told{{1, 1, "granted=2 returned=0 21=1 30=1"}}}},
			want: minuteTexts{1: "985/1000 granted=2 returned=0 21=1 30=1"},
		},
		{
			name: "AddsUpPods", seed: limits,
			calls: []telling{
				{"a", []told{{1, 1, "granted=2 returned=1 21=1 30=1"}}}, {"b", []told{{1, 1, "granted=4 returned=0 7=1 30=3"}}}, {"c", []told{{9, 1, "granted=0 returned=2"}}},
			},
			want: minuteTexts{1: "985/1000 granted=6 returned=3 21=1 30=4 7=1"},
		},
		{
			name: "CountsACallThatComesAgainOnce", seed: limits,
			calls: []telling{{"a", []told{{1, 1, "granted=2 returned=0 3=2"}}}, {"a", []told{{1, 1, "granted=2 returned=0 3=2"}}}},
			want:  minuteTexts{1: "985/1000 granted=2 returned=0 3=2"},
		},
		{
			name: "CountsOnlyWhatIsNewOfACallThatComesAgainWithMore", seed: limits,
			calls: []telling{{"a", []told{{1, 2, "granted=2 returned=0 3=2"}}}, {"a", []told{{1, 2, "granted=2 returned=0 3=2"}, {2, 1, "granted=1 returned=0 4=1"}}}},
			want:  minuteTexts{2: "985/1000 granted=2 returned=0 3=2", 1: "985/1000 granted=1 returned=0 4=1"},
		},
		{
			name: "DoesNotKnowTheBudgetOfAMinuteThatIsToldLate", seed: limits, calls: []telling{{"a", []told{{1, 4, "granted=2 returned=0 3=2"}}}},
			want: minuteTexts{4: "- granted=2 returned=0 3=2"},
		},
		{
			name: "NorWhereRedisHasNone", calls: []telling{{"a", []told{{1, 1, "granted=2 returned=0 3=2"}}}},
			want: minuteTexts{1: "- granted=2 returned=0 3=2"},
		},
		{
			name: "NorWhereItIsNoNumber", seed: state{"limits": "total=1000 reset_at=@60000", "remaining": "banana"},
			calls: []telling{{"a", []told{{1, 1, "granted=2 returned=0 3=2"}}}}, want: minuteTexts{1: "- granted=2 returned=0 3=2"},
		},
		{
			name: "IsFullWhereThePeriodIsOver", seed: state{"limits": "total=1000 reset_at=@-1000"},
			calls: []telling{{"a", []told{{1, 1, "granted=2 returned=0 3=2"}}}}, want: minuteTexts{1: "1000/1000 granted=2 returned=0 3=2"},
		},
		{
			name: "TakesTheMinuteOfTheDayAgainADayLater", seed: limits,
			calls: []telling{{"a", []told{{1, 1439, "granted=7 returned=0 3=7"}}}, {"a", []told{{2, -1, "granted=2 returned=0 4=2"}}}},
			want:  minuteTexts{-1: "985/1000 granted=2 returned=0 4=2"},
		},
		{
			name: "TakesNothingThatIsADayOld", seed: limits, calls: []telling{{"a", []told{{1, 1440, "granted=7 returned=0 3=7"}}}},
		},
		{
			name: "TakesWhatItCannotReadForNothing", seed: state{"history": "!banana"}, calls: []telling{{"a", []told{{1, 1, "granted=2 returned=0 3=2"}}}},
			want: minuteTexts{1: "- granted=2 returned=0 3=2"},
		},
	}
	on := func(t *testing.T, client redis.UniversalClient) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) { c.check(t, client) })
		}
	}
	t.Run("miniredis", func(t *testing.T) {
		server := miniredis.RunT(t)
		client := redis.NewClient(&redis.Options{Addr: server.Addr()})
		t.Cleanup(func() { require.NoError(t, client.Close()) })
		on(t, client)
	})
	redistest.Each(t, func(t *testing.T, b redistest.Binary) { on(t, b.Start(t).Client(t)) })
	t.Run("cluster", func(t *testing.T) { on(t, redistest.StartCluster(t, 1, 0).Client(t)) })
}

const (
	keepHistory  = 25 * time.Hour
	replayWithin = 10 * time.Minute
)

func (c recorded) check(t *testing.T, client redis.UniversalClient) {
	ctx := t.Context()
	require.NoError(t, client.FlushAll(ctx).Err())
	w := world{t: t, client: client, start: serverTime(t, client)}
	minute := w.start / 60_000
	field := func(ago int) string {
		at := (minute - int64(ago)) % 1440
		return fmt.Sprintf("%02d:%02d", at/60, at%60)
	}
	for key, text := range c.seed {
		if key == "history" {
			require.NoError(t, client.HSet(ctx, prefix+key, field(1), text).Err())
			continue
		}
		w.seed(key, text)
	}
	for _, call := range c.calls {
		require.NoError(t, tellHistory(t, client, call))
	}
	if serverTime(t, client)/60_000 != minute { // a minute has ended meanwhile
		c.check(t, client)
		return
	}

	got, err := client.HGetAll(ctx, prefix+"history").Result()
	require.NoError(t, err)
	want := make(map[string]string)
	for ago, text := range c.want {
		want[field(ago)] = fmt.Sprintf("%d %s", minute-int64(ago), text)
	}
	assert.Equal(t, want, got)
	if len(want) > 0 {
		assert.InDelta(t, keepHistory.Seconds(), client.PTTL(ctx, prefix+"history").Val().Seconds(), 60)
	}
	for _, call := range c.calls {
		left := client.PTTL(ctx, prefix+"recorded:"+call.pod).Val()
		assert.InDelta(t, replayWithin.Seconds(), left.Seconds(), 60, "it is known for a while what %s has told", call.pod)
	}
	raw, err := client.Eval(ctx, lua.History.Source, []string{prefix + "history"}).Result()
	require.NoError(t, err)
	reply := raw.([]any)
	require.Len(t, reply, 2)
	assert.Len(t, reply[1], 2*len(want), "what is returned")
}

// tellHistory makes one call. Minutes are told as from their middle, so that the test's
// clock may be half a minute late.
func tellHistory(t *testing.T, client redis.UniversalClient, call telling) error {
	t.Helper()
	now := serverTime(t, client)
	var each []any
	for _, m := range call.minutes {
		middle := (now/60_000-int64(m.ago))*60_000 + 30_000
		each = append(each, m.number, now-middle, m.counts)
	}
	var keys []string
	for _, key := range lua.Record.Keys {
		if key == "recorded" {
			key += ":" + call.pod
		}
		keys = append(keys, prefix+key)
	}
	args := lua.Record.Order(lua.Values{"keep": keepHistory, "replay": replayWithin}, each...)
	return client.Eval(t.Context(), lua.Record.Source, keys, args...).Err()
}

func TestRecord_IsStoppedByAKeyOfAnotherType(t *testing.T) {
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	require.NoError(t, client.Set(t.Context(), prefix+"history", "x", 0).Err())
	require.ErrorContains(t, tellHistory(t, client, telling{"a", []told{{1, 1, "granted=1 returned=0 3=1"}}}), "WRONGTYPE")
}

// The bounds that docs/operations.md and docs/sizing.md give.
const (
	mostHistory   = 1_400_000 // bytes: each minute of the day, and every class of waits in each
	commonHistory = 250_000   // bytes: each minute of the day, with up to eight classes
)

func TestRecord_TakesABoundedPartOfRedis(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Binary) {
		client := b.Start(t).Client(t)
		for name, c := range map[string]struct{ classes, count, most int }{
			"every class": {81, 9999, mostHistory}, "eight classes": {8, 12, commonHistory},
		} {
			require.NoError(t, client.FlushAll(t.Context()).Err())
			require.NoError(t, client.HSet(t.Context(), prefix+"limits", "total", 1000000).Err())
			require.NoError(t, client.Set(t.Context(), prefix+"remaining", 999999, 0).Err())
			var counts strings.Builder
			fmt.Fprintf(&counts, "granted=%d returned=%d", c.classes*c.count, c.count)
			for class := range c.classes {
				fmt.Fprintf(&counts, " %d=%d", class, c.count)
			}
			for round, from := range []int{1439, 1439} { // the second finds each minute there
				var call telling
				for ago := from; ago >= 0; ago-- {
					call.minutes = append(call.minutes, told{round*1440 + 1440 - ago, ago, counts.String()})
				}
				require.NoError(t, tellHistory(t, client, call))
			}
			fields := client.HLen(t.Context(), prefix+"history").Val()
			require.InDelta(t, 1440, fields, 1, "a minute may have begun between the two")
			require.LessOrEqual(t, fields, int64(1440))
			size := client.MemoryUsage(t.Context(), prefix+"history", 0).Val()
			t.Logf("%s: a day takes %d bytes", name, size)
			assert.LessOrEqual(t, size, int64(c.most), name)
		}
	})
}

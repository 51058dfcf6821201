package lua_test

// Pauses: what an operator orders, and what claims and beats make of it.

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/lua"
)

const endless = "253402300799000"

var (
	pause = script{
		Script: lua.Pause, state: state{"limits": "epoch=e seq=5"},
		args: `stop=1 lasts=0 who=alice why=maintenance order=,"what":"pause"} kept=2`,
	}
	pausedLimits = "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 paused_until="
)

func TestPause(t *testing.T) {
	endless := "epoch=e seq=5 paused_until=" + endless + " paused_at=@0 paused_by=alice paused_why=maintenance"
	for_ := strings.Replace(endless, "paused_until=253402300799000", "paused_until=@9000", 1)
	pause.run(t, []contract{
		{name: "StopsGrants", reply: "paused", after: state{"limits": endless, "audit": "1"}},
		{name: "ForAWhile", call: args{"lasts": "9000"}, reply: "paused", after: state{"limits": for_, "audit": "1"}},
		{name: "TakesThePlaceOfAnother", seed: state{"limits": endless}, call: args{"lasts": "9000"}, reply: "paused", after: state{"limits": for_, "audit": "1"}},
		{
			name: "BeforeThereIsAQueue", seed: state{"limits": ""}, reply: "paused",
			after: state{"limits": strings.TrimPrefix(endless, "epoch=e seq=5 "), "audit": "1"},
		},
		{name: "KeepsNoMoreOrdersThanItIsTold", times: 3, reply: "paused", after: state{"limits": endless, "audit": "2"}},
		{name: "IsResumed", seed: state{"limits": endless}, call: args{"stop": "0"}, reply: "resumed", after: state{"limits": "epoch=e seq=5 paused_until=@0", "audit": "1"}},
		{
			name: "IsResumedThoughItWasWrittenByHand", seed: state{"limits": "epoch=e seq=5 paused_until=forever"}, call: args{"stop": "0"},
			reply: "resumed", after: state{"limits": "epoch=e seq=5 paused_until=@0", "audit": "1"},
		},
		{name: "IsNotResumedWhereItIsOver", seed: state{"limits": "epoch=e seq=5 paused_until=@-1"}, call: args{"stop": "0"}, reply: "same"},
		{name: "IsNotResumedWhereThereWasNone", call: args{"stop": "0"}, reply: "same"},
		{name: "OfAWrongType", seed: state{"limits": "!string"}, reply: "WRONGTYPE"},
	})
}

func TestClaimUnderAPause(t *testing.T) {
	waits := state{"queue:0": "00001@a#1=@0", "pods": "a=@30000"}
	mine := state{
		"limits": pausedLimits + "@9000", "slot:0": "00001@a#1 ttl=4000", "opens": "0=@4000", "remaining": "9 ttl=60000",
		"spent": "1=1 ttl=60000", "paid:00001@a#1": "granted e 0 ttl=60000", "out": "00001@a#1/wait=@250 ttl=604800000",
	}
	permit := with(mine, state{"slot:0": "00003@b#1 permit ttl=4000", "paid:00001@a#1": "", "out": "00003@b#1=@4000 ttl=604800000", "pods": "b=@20000"})
	claim.run(t, []contract{
		{name: "GrantsNothing", seed: state{"limits": pausedLimits + "@9000"}, reply: "paused wait=~9000 ahead=0 shut=0 remaining=10", after: waits},
		{name: "AsksAgainInAMinuteAtMost", seed: state{"limits": pausedLimits + endless}, reply: "paused wait=60000 shut=0", after: waits},
		{name: "SaysWhenTheBucketOpensIfThatIsLater", seed: state{"limits": pausedLimits + "@900 closed_until=@9000"}, reply: "paused wait=~9000 shut=~9000", after: waits},
		{name: "GrantsNoPermit", seed: state{"limits": pausedLimits + "@9000"}, call: args{"permit": "1", "closes": "10000", "usable": "4950"}, reply: "paused", after: waits},
		{
			name: "GrantsNothingToWhomItHasGrantedBefore", seed: mine, call: args{"arrival": "@-9"},
			reply: "paused", after: with(state{"queue:0": "00001@a#1=@-9"}, state{"pods": "a=@30000"}),
		},
		{name: "AsksInAMinuteThoughAPermitIsOut", seed: permit, reply: "paused wait=~9000", replyOnly: true},
		{
			name: "SaysThatTheBudgetIsUsedUp", seed: state{"limits": pausedLimits + "@9000", "remaining": "0 ttl=60000"},
			reply: "exhausted wait=~60000", replyOnly: true,
		},
		{name: "NoNumberPausesUntilSomebodyResumes", seed: state{"limits": pausedLimits + "forever"}, reply: "paused wait=60000", after: waits},
		{name: "GrantsOnceItIsOver", seed: state{"limits": pausedLimits + "@-1"}, reply: "granted", after: with(granted, state{"limits": strings.Replace(pausedLimits, "seq=5", "seq=6", 1) + "@-1"})},
		{
			name:  "TheFirstInLineHasItsTimeAfterAPause", // nobody claimed for it while that would have been for nothing
			seed:  state{"limits": pausedLimits + "@-1000", "queue:0": "00003@b#1=@-99000 00001@a#1=@-50000", "pods": "b=@20000", "opens": "0=@-90000"},
			reply: "wait ahead=1 head=00003@b#1", replyOnly: true,
		},
		{
			name:  "AndNotForEver",
			seed:  state{"limits": pausedLimits + "@-16000", "queue:0": "00003@b#1=@-99000 00001@a#1=@-50000", "pods": "b=@20000", "opens": "0=@-90000"},
			reply: "granted", replyOnly: true,
		},
	})
}

func TestBeatTellsOfAPause(t *testing.T) {
	limits := func(until string) string {
		return "epoch=e seq=5 max_concurrency=3 total=10 reset_at=@60000 refresh_at=@-1 paused_until=" + until + " paused_by=alice paused_why=maintenance"
	}
	seed := func(until string) state { return state{"queue:0": "00000@a#1=@-9", "limits": limits(until)} }
	call := args{"buckets": "1", "others": "0 00000@a#1 0"}
	after := state{"pods": "a=@30000"}
	beat.run(t, []contract{
		{name: "WhoseAndWhy", seed: seed("@9000"), call: call, reply: "ok paused=@9000 paused_by=alice paused_why=maintenance wait=~9000 ahead=0", after: after},
		{name: "WithoutAnEnd", seed: seed(endless), call: call, reply: "ok paused=" + endless + " wait=60000 ahead=0", after: after},
		{name: "WrittenByHand", seed: seed("forever"), call: call, reply: "ok paused=" + endless + " wait=60000 ahead=0", after: after},
		{name: "NotOnceItIsOver", seed: seed("@-1"), call: call, reply: "ok paused= paused_by= paused_why= wait=0 ahead=0", after: after},
		{name: "AlsoIfThePodMustResync", seed: seed("@9000"), call: args{"known_epoch": "d"}, reply: "resync paused=@9000", after: after},
	})
}

func TestSyncTakesAPausedRedisForAFreshOne(t *testing.T) {
	sync.run(t, []contract{{
		name:  "IfNothingElseIsThere",
		seed:  state{"limits": "paused_until=@9000 paused_at=@-1 paused_by=a paused_why=b", "remaining": ""},
		call:  args{"fresh": "1"},
		reply: "seeded closed_until=0", replyOnly: true,
	}})
}

// The orders that are kept are lines of JSON, with the time as people write it.
func TestAudit(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	keys := []string{prefix + "limits", prefix + "audit"}
	order := func(what string) {
		values := lua.Values{
			"stop": what == "pause", "lasts": 0, "who": "alice", "why": "b", "kept": 100,
			"order": fmt.Sprintf(`,"what":%q,"who":"alice","why":"b"}`, what),
		}
		require.NoError(t, client.Eval(t.Context(), lua.Pause.Source, keys, lua.Pause.Order(values)...).Err())
	}
	server.SetTime(time.Date(2028, 2, 29, 23, 59, 59, 999e6, time.UTC))
	order("pause")
	server.SetTime(time.Date(2028, 3, 1, 0, 0, 0, 0, time.UTC))
	order("resume")
	got, err := client.Eval(t.Context(), lua.Audit.Source, keys[1:], lua.Audit.Order(lua.Values{"most": 2})...).Result()
	require.NoError(t, err)
	require.Equal(t, []any{"ok", []any{
		`{"time":"2028-03-01T00:00:00Z","what":"resume","who":"alice","why":"b"}`,
		`{"time":"2028-02-29T23:59:59Z","what":"pause","who":"alice","why":"b"}`,
	}}, got)
}

func TestDate_IsWhatTheCalendarSays(t *testing.T) {
	t.Parallel()
	source, err := lua.Files.ReadFile("lib/date.lua")
	require.NoError(t, err)
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	moments := []time.Time{
		time.Unix(0, 0), time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(2000, 2, 29, 12, 0, 0, 0, time.UTC),
		time.Date(2026, 11, 27, 6, 5, 4, 0, time.UTC), time.Date(2100, 3, 1, 0, 0, 0, 0, time.UTC),
	}
	for range 500 {
		moments = append(moments, time.UnixMilli(rand.Int64N(8_000_000_000_000)))
	}
	for _, at := range moments {
		got, err := client.Eval(t.Context(), string(source)+"return date(ARGV[1] + 0)", nil, at.UnixMilli()).Text()
		require.NoError(t, err)
		require.Equal(t, at.UTC().Format(time.RFC3339), got)
	}
}

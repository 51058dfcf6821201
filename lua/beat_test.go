package lua_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gatewayqueue/gatewayqueue/lua"
)

// beat as pod a sends it that has no lines.
var beat = script{
	Script: lua.Beat,
	each:   numbered("buckets"),
	args:   "pod=a pod_lease=30000 known_epoch=e known_seq=5 known_buckets=3 known_total=10 refresh_every=0 reserve=0",
	state: state{
		"limits":    "epoch=e seq=5 max_concurrency=3 total=10 reset_at=@60000 refresh_at=@-1",
		"remaining": "7 ttl=60000",
	},
}

// dead are places of a pod that is not known, or not any more.
func dead(n int) string {
	var places strings.Builder
	for i := range n {
		fmt.Fprintf(&places, "%05d@dead#1=@-900 ", i)
	}
	return places.String()
}

func TestBeat(t *testing.T) {
	alive := state{"pods": "a=@30000"}
	both := state{"pods": "a=@30000 b=@20000"}
	beat.run(t, []contract{
		{name: "RenewsTheLease", reply: "ok remaining=7 seq=5 reset=@60000 refresh=0 lapse=", after: alive},
		{name: "RenewsIt", seed: state{"pods": "a=@9 b=@20000"}, reply: "ok", after: both},
		{name: "ForgetsTheLongDead", seed: state{"pods": "old=@-60500 dead=@-50000"}, reply: "ok", after: state{"pods": "a=@30000 dead=@-50000"}},
		{name: "SaysThatTheBudgetIsMissing", seed: state{"remaining": ""}, reply: "resync remaining=", after: alive},
		{
			name:  "AndNotWhereItsPeriodIsOver",
			seed:  state{"remaining": "", "limits": "epoch=e seq=5 max_concurrency=3 total=10 reset_at=@-1"},
			reply: "ok remaining=", after: alive,
		},
		{name: "SaysThatLimitsAreMissing", seed: nothing, reply: "resync seq=0", after: alive},
		{name: "SaysThatTheEpochIsAnother", call: args{"known_epoch": "d"}, reply: "resync", after: alive},
		{name: "SaysThatSeqWentBack", call: args{"known_seq": "6"}, reply: "resync seq=5", after: alive},
		{name: "SaysThatMaxConcurrencyIsAnother", call: args{"known_buckets": "2"}, reply: "resync", after: alive},
		{name: "SaysThatTheTotalIsAnother", call: args{"known_total": "9"}, reply: "resync", after: alive},
		{
			name: "LetsOnePodAskTheSource", call: args{"refresh_every": "600000"}, reply: "ok refresh=1",
			after: with(alive, state{"limits": "epoch=e seq=5 max_concurrency=3 total=10 reset_at=@60000 refresh_at=@10000"}),
		},
		{
			name: "AndNotTheNext", call: args{"refresh_every": "600000"}, times: 2, reply: "ok refresh=0",
			after: with(alive, state{"limits": "epoch=e seq=5 max_concurrency=3 total=10 reset_at=@60000 refresh_at=@10000"}),
		},
		{
			name: "AndNoneBeforeTheSourceMayBeAsked", call: args{"refresh_every": "600000"}, reply: "ok refresh=0",
			seed:  state{"limits": "epoch=e seq=5 max_concurrency=3 total=10 reset_at=@60000 refresh_at=@-1 ask_after=@5000"},
			after: alive,
		},
		{
			name: "AndNoneBeforeItMustResync", call: args{"refresh_every": "600000", "known_epoch": "d"}, reply: "resync refresh=0", after: alive,
		},
		{
			name:  "TellsHowItsLinesStand", // first, second, has lost its place
			seed:  state{"queue:0": "00000@a#1=@-9", "queue:1": "00004@b#1=@-9 00001@a#2=@-8", "pods": "b=@20000"},
			call:  args{"buckets": "3", "others": "0 00000@a#1 0 1 00001@a#2 0 2 00002@a#3 0"},
			reply: "ok lapse=~20000 wait=0 ahead=0 each=0.000,1,0.000,",
			after: both,
		},
		{
			name:  "AndWhenTheirBucketsOpen",
			seed:  state{"queue:0": "00000@a#1=@-9", "slot:0": "00004@b#1 ttl=4000", "opens": "0=@4000"},
			call:  args{"buckets": "1", "others": "0 00000@a#1 0"},
			reply: "ok wait=~4000 ahead=0",
			after: alive,
		},
		{
			name:  "AndWhereTheirSlotIsDeleted",
			seed:  state{"queue:0": "00000@a#1=@-9", "opens": "0=@4000"},
			call:  args{"buckets": "1", "others": "0 00000@a#1 0"},
			reply: "ok wait=~4000 ahead=0",
			after: alive,
		},
		{
			name:  "OrMadeByHand",
			seed:  state{"queue:0": "00000@a#1=@-9", "slot:0": "maintenance ttl=4000"},
			call:  args{"buckets": "1", "others": "0 00000@a#1 0"},
			reply: "ok wait=~4000 ahead=0",
			after: alive,
		},
		{
			name: "ThoughEveryBucketIsClosed",
			seed: state{
				"queue:0": "00000@a#1=@-9", "slot:0": "00004@b#1 ttl=4000",
				"limits": "epoch=e seq=5 max_concurrency=3 total=10 reset_at=@60000 closed_until=@9000",
			},
			call:  args{"buckets": "1", "others": "0 00000@a#1 0"},
			reply: "ok wait=~9000 ahead=0",
			after: alive,
		},
		{
			name:  "UnlessAPermitIsOut", // nobody knows when its window begins
			seed:  state{"queue:0": "00000@a#1=@-9", "slot:0": "00003@b#1 permit ttl=4000"},
			call:  args{"buckets": "1", "others": "0 00000@a#1 0"},
			reply: "ok wait= ahead=0",
			after: alive,
		},
		{
			name:  "TakesPlaces",
			seed:  state{"queue:0": "00009@b#1=@-7", "pods": "b=@20000"},
			call:  args{"buckets": "2", "others": "0 00000@a#1 2 @-9 00000@a#1 '' 00003@a#3 1 00001@a#2 1 '' 00001@a#2"},
			reply: "ok lapse= wait=0 ahead=0 each=0.000,0",
			after: with(both, state{"queue:0": "00000@a#1=@-9 00009@b#1=@-7 00003@a#3=@0", "queue:1": "00001@a#2=@0"}),
		},
		{
			name:  "ButNotOfALineThatIsAnothersByNow",
			call:  args{"known_epoch": "d", "buckets": "1", "others": "0 00000@a#1 1 '' 00000@a#1"},
			reply: "resync", after: alive,
		},
		{
			name:  "PassesOverTheDead",
			seed:  state{"queue:0": "00003@dead#1=@-9 00006@dead#2=@-8 00000@a#1=@-7", "pods": "dead=@-1"},
			call:  args{"buckets": "1", "others": "0 00000@a#1 0"},
			reply: "ok lapse= wait=0 ahead=0",
			after: state{"queue:0": "00000@a#1=@-7", "pods": "a=@30000 dead=@-1"},
		},
		{
			name:  "AlsoThoseRightBeforeItsOwn",
			seed:  state{"queue:0": "00004@b#1=@-9 00003@dead#1=@-8 00006@never#2=@-7 00000@a#1=@-6", "pods": "b=@20000"},
			call:  args{"buckets": "1", "others": "0 00000@a#1 0"},
			reply: "ok lapse=~20000 more=0 wait=0 ahead=1",
			after: state{"queue:0": "00004@b#1=@-9 00000@a#1=@-6", "pods": "a=@30000 b=@20000"},
		},
		{
			name:  "ALotAtATime",
			seed:  state{"queue:0": dead(300) + "00000@a#1=@-6"},
			call:  args{"buckets": "1", "others": "0 00000@a#1 0"},
			reply: "ok more=1 wait=0 ahead=44",
			after: state{"queue:0": dead(300)[256*len("00000@dead#1=@-900 "):] + "00000@a#1=@-6", "pods": "a=@30000"},
		},
		{
			name:  "AndThoseThatNobodyClaimsFor",
			seed:  state{"queue:0": "00003@b#1=@-200000 00004@b#2=@-190000 00000@a#1=@-6", "pods": "b=@20000", "opens": "0=@-160000"},
			call:  args{"buckets": "1", "others": "0 00000@a#1 0"},
			reply: "ok wait=0 ahead=0",
			after: state{"queue:0": "00000@a#1=@-6", "pods": "a=@30000 b=@20000", "holds": "b:0=@60000 ttl=60000"},
		},
		{
			name:  "NotWhileNoUnitIsLeft",
			seed:  state{"queue:0": "00003@b#1=@-200000 00000@a#1=@-6", "pods": "b=@20000", "opens": "0=@-160000"},
			call:  args{"buckets": "1", "reserve": "7", "others": "0 00000@a#1 0"},
			reply: "ok wait=0 ahead=1",
			after: both,
		},
		{
			name:  "PassesByThoseWhoWantNoGrant",
			seed:  state{"queue:0": "00003@b#1=@-9 00004@b#2=@-8 00000@a#1=@-7", "pods": "b=@20000", "holds": "b=@3000 ttl=3000"},
			call:  args{"buckets": "1", "others": "0 00000@a#1 0"},
			reply: "ok lapse= hold=@3000 wait=0 ahead=0",
			after: both,
		},
		{name: "SaysOfNoHoldThatItIsEndless", seed: state{"holds": "b=9999999999999"}, reply: "ok hold=@600000", after: alive},
		{name: "SaysWhenALeaseHasEndedLast", seed: state{"pods": "x=@-500 y=@-20 b=@20000"}, reply: "ok died=@-20", after: state{"pods": "a=@30000 x=@-500 y=@-20 b=@20000"}},
		{name: "LimitsOfAWrongType", seed: state{"limits": "!string"}, reply: "WRONGTYPE"},
		{name: "PodsOfAWrongType", seed: state{"pods": "!string"}, reply: "WRONGTYPE"},
	})
}

// The usual call of status, and a queue with something of everything.
var (
	status = script{
		Script: lua.Status, bare: true,
		each:  func(args) []string { return []string{"0", "1"} },
		args:  "places=1 listed=2",
		state: state{},
	}
	filled = state{
		"limits": "epoch=e", "remaining": "7", "spent": "4=2 ttl=60000", "pods": "a=10", "opens": "0=77",
		"slot:1": "00001@a#1 permit", "queue:1": "00003@a#3=5 00005@a#4=6",
	}
)

func TestStatusReadsAllAndWritesNothing(t *testing.T) {
	status.run(t, []contract{
		{name: "NothingAtAll", reply: "@0 limits=[] remaining= ttl=-2 shards=0 spent=[] backoffs=[] pods=[] opens=[] bucket=[,-2,0] each=[,-2,0]"},
		{
			name: "AFullQueue", seed: filled,
			reply: "@0 limits=[epoch,e] remaining=7 ttl=-1 shards=1 spent=[4,2] backoffs=[] pods=[a,10] opens=[0,77] bucket=[,-2,0] each=[00001@a#1,permit,-1,2,00003@a#3,5]",
		},
		{
			name: "OnlyTheLengthOfLines", seed: filled, call: args{"places": "0"},
			reply: "@0 bucket=[,-2,0] each=[00001@a#1,permit,-1,2]",
		},
		{
			name: "OfMoreShardsOnlyThoseThatBackOff", seed: with(filled, state{"spent": "4=2 5=30 6=1", "backoffs": "5=99"}),
			reply: "@0 shards=3 spent=[5,30] backoffs=[5,99]",
		},
	})
}

func TestStatusTellsWhatClaimsAreRefusedFor(t *testing.T) {
	whole := with(filled, state{"limits": "epoch=e seq=1 total=9 max_concurrency=2 closed_until=0"})
	contracts := []contract{
		{name: "NothingIsRefused", seed: whole, reply: "@0 refused=[,,,] writes="},
		{name: "NoLimits", seed: state{"limits": "total=x"}, reply: "@0 refused=[,,,] writes="},
	}
	for key, kind := range map[string]string{
		"limits": "string", "remaining": "list", "spent": "string", "pods": "string", "opens": "string", "backoffs": "string", "holds": "string",
		"out": "string", "slot:0": "list", "queue:1": "string",
	} {
		contracts = append(contracts, contract{
			name: key + "OfAWrongType", seed: with(whole, state{key: "!" + kind}),
			reply: "@0 refused=[" + prefix + key + ",,,WRONGTYPE,Operation,against,a,key,holding,the,wrong,kind,of,value]",
		})
	}
	for _, c := range []struct{ key, field, value string }{
		{"limits", "max_concurrency", "0"}, {"limits", "seq", "x"}, {"limits", "reset_at", "-1"}, {"limits", "period", "x"},
		{"remaining", "", "1.5"}, {"spent", "4", "x"}, {"opens", "1", "inf"},
	} {
		seed := state{"limits": "epoch=e seq=1 total=9 max_concurrency=2 closed_until=0"}
		switch {
		case c.key == "limits":
			seed["limits"] = strings.Replace(seed["limits"]+" ", " "+c.field+"=", " old=", 1) + c.field + "=" + c.value
		case c.field == "":
			seed[c.key] = c.value
		default:
			seed[c.key] = c.field + "=" + c.value
		}
		contracts = append(contracts, contract{
			name: c.key + c.field + c.value, seed: seed, reply: "@0 refused=[" + prefix + c.key + "," + c.field + "," + c.value + ",]",
		})
	}
	status.run(t, contracts)
}

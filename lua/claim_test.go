package lua_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gatewayqueue/gatewayqueue/lua"
)

// claim as pod a calls it for shard 1, with 10 units left and nobody else there.
var claim = script{
	Script: lua.Claim,
	args: `ticket=00001@a#1 arrival= shard=1 bucket=0 pod=a pod_lease=30000
		known_epoch=e known_seq=5 known_buckets=1 known_total=10
		permit=0 closes=5250 usable=250 until_wanted=0 step=5250 reserve=0 period=86400000 paid_ttl=60000
		next_ticket= notice=0 backoff=0 own_window=5000 own_grace=250 own_pod_lease=3000 own_replicas=0 asks=0`,
	state: state{
		"limits":    "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000",
		"remaining": "10 ttl=60000",
	},
}

// What a grant to that call leaves behind.
var granted = state{
	"limits":         "epoch=e seq=6 max_concurrency=1 total=10 reset_at=@60000",
	"remaining":      "9 ttl=60000",
	"slot:0":         "00001@a#1 ttl=5250",
	"opens":          "0=@5250",
	"pods":           "a=@30000",
	"spent":          "1=1 ttl=60000",
	"paid:00001@a#1": "granted e 0 ttl=60000",
	"out":            "00001@a#1/wait=@250 ttl=604800000",
}

// with lays one state over another.
func with(s, over state) state {
	all := make(state)
	for _, from := range []state{s, over} {
		for key, text := range from {
			all[key] = text
		}
	}
	return all
}

func TestClaimGrants(t *testing.T) {
	claim.run(t, []contract{
		{
			name:  "TheFirstGetsTheSlot",
			reply: "granted wait=5250 ahead=0 remaining=9 seq=6 head= back=0 shut=5250 reset=@60000",
			after: granted,
		},
		{
			name:  "APermitIsMarkedInTheSlot",
			call:  args{"permit": "1", "closes": "10000", "usable": "4950"},
			reply: "granted wait=10000 remaining=9 shut=0",
			after: with(granted, state{"slot:0": "00001@a#1 permit ttl=10000", "opens": "0=@10000", "out": "00001@a#1=@4950 ttl=604800000"}),
		},
		{
			name:  "TheFirstGrantBeginsThePeriod",
			seed:  state{"limits": "epoch=e seq=5 max_concurrency=1 total=10", "remaining": "10"},
			reply: "granted remaining=9 reset=@86400250",
			after: with(granted, state{
				"limits":    "epoch=e seq=6 max_concurrency=1 total=10 reset_at=@86400250 slack=250 since=@0 first=00001@a#1",
				"remaining": "9 ttl=86400250", "spent": "1=1 ttl=86400250", "paid:00001@a#1": "granted e 0 ttl=86400250",
			}),
		},
		{ // its first grant was not used: its caller asks again
			name: "TheFirstThatIsGrantedAgainBeginsThePeriodAgain",
			seed: state{
				"limits":    "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 since=@-3600000 first=00001@a#1",
				"remaining": "9 ttl=60000", "spent": "1=1 ttl=60000", "paid:00001@a#1": "granted e 0 ttl=60000",
			},
			reply: "granted remaining=9 reset=@86400250",
			after: with(granted, state{
				"limits":    "epoch=e seq=6 max_concurrency=1 total=10 reset_at=@86400250 slack=250 since=@0 first=00001@a#1",
				"remaining": "9 ttl=86400250", "spent": "1=1 ttl=86400250", "paid:00001@a#1": "granted e 0 ttl=86400250",
			}),
		},
		{
			name: "ANewPeriodThatTheSourceIsToBeAskedFor",
			seed: state{"limits": "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@-1 ask_after=@-1", "remaining": ""}, call: args{"asks": "1"},
			reply: "resync",
		},
		{
			name: "ANewPeriodThatNobodyMayAskFor",
			seed: state{"limits": "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@-1 ask_after=@3600000", "remaining": ""}, call: args{"asks": "1"},
			reply: "granted remaining=9 reset=@86400250",
			after: with(granted, state{
				"limits":    "epoch=e seq=6 max_concurrency=1 total=10 reset_at=@86400250 slack=250 ask_after=@3600000 since=@0 first=00001@a#1 period=1",
				"remaining": "9 ttl=86400250", "spent": "1=1 ttl=86400250", "paid:00001@a#1": "granted e 1 ttl=86400250",
			}),
		},
		{
			name: "ANewPeriodIsFullAgain",
			seed: state{
				"limits":    "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@-1",
				"remaining": "", "spent": "4=7 1=2",
			},
			reply: "granted remaining=9 reset=@86400250",
			after: with(granted, state{
				"limits":    "epoch=e seq=6 max_concurrency=1 total=10 reset_at=@86400250 slack=250 since=@0 first=00001@a#1 period=1",
				"remaining": "9 ttl=86400250", "spent": "1=1 ttl=86400250", "paid:00001@a#1": "granted e 1 ttl=86400250",
			}),
		},
		{
			name:  "ItIsNotedThatOpensIsThere",
			reply: "granted",
			after: with(granted, state{"limits": "epoch=e seq=6 max_concurrency=1 total=10 reset_at=@60000 granted=1"}),
		},
		{
			name: "BothWitnessesOfEveryBucketAreGone",
			seed: state{
				"limits": "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 granted=1",
				"out":    "00003@b#1=@-9000 00002@b#1/wait=@-1000 00004@b#2=@400",
			},
			reply: "wait wait=~5650 shut=~5650",
			after: state{"queue:0": "00001@a#1=@0", "pods": "a=@30000", "opens": "0=@5650"}, // figures of Discord may take it out of out
		},
		{
			name: "AndFiguresHaveTakenSomeOutOfTheThird",
			seed: state{
				"limits": "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 granted=1 forgot=@-5000",
				"out":    "00004@b#2=@-4900",
			},
			reply: "wait wait=~5250 server=evicted shut=~5250",
			after: state{
				"limits":  "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 closed_until=@5250 forgot=@-5000",
				"queue:0": "00001@a#1=@0", "pods": "a=@30000", "opens": "0=@350",
			},
		},
		{
			name: "AndFiguresHaveTakenSomeOutOfTheThirdLongAgo",
			seed: state{
				"limits": "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 granted=1 forgot=@-5300",
				"out":    "00004@b#2=@-5300",
			},
			reply: "granted", replyOnly: true,
		},
		{
			name:  "AndSoIsTheThird",
			seed:  state{"limits": "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 granted=1"},
			reply: "wait wait=~5250 server=evicted shut=~5250",
			after: state{
				"limits":  "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 closed_until=@5250",
				"queue:0": "00001@a#1=@0", "pods": "a=@30000",
			},
		},
		{
			name:  "ABucketThatHadNoGrantYetIsOpen",
			seed:  state{"limits": "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 granted=1", "opens": "7=@900"},
			reply: "granted",
			after: with(granted, state{"limits": "epoch=e seq=6 max_concurrency=1 total=10 reset_at=@60000 granted=1", "opens": "7=@900 0=@5250"}),
		},
		{
			name: "ANewPeriodPaysForWhatLeftBetweenDiscordsResetAndOurs",
			seed: state{
				"limits":    "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@-100 slack=250",
				"remaining": "", "spent": "4=7 1=2", "out": "00004@b#1=@-200 00003@b#1=@-300 00002@b#1/wait=@-400",
			},
			reply: "granted remaining=7 reset=@86400250",
			after: with(granted, state{
				"limits":    "epoch=e seq=6 max_concurrency=1 total=10 reset_at=@86400250 slack=250 since=@0 first=00001@a#1 period=1",
				"remaining": "7 ttl=86400250", "spent": "1=1 3=1 4=1 ttl=86400250", "paid:00001@a#1": "granted e 1 ttl=86400250",
				"out": "00004@b#1=@-200 00003@b#1=@-300 00001@a#1/wait=@250 ttl=604800000",
			}),
		},
		{
			name: "ANewPeriodMindsNotWhatIsLeftOfTheOld",
			seed: state{
				"limits": "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@-1", "remaining": "0",
			},
			reply: "granted remaining=9 reset=@86400250",
			after: with(granted, state{
				"limits":    "epoch=e seq=6 max_concurrency=1 total=10 reset_at=@86400250 slack=250 since=@0 first=00001@a#1 period=1",
				"remaining": "9 ttl=86400250", "spent": "1=1 ttl=86400250", "paid:00001@a#1": "granted e 1 ttl=86400250",
			}),
		},
		{
			name:  "APermitBeginsNoPeriod",
			seed:  state{"limits": "epoch=e seq=5 max_concurrency=1 total=10", "remaining": "10"},
			call:  args{"permit": "1", "closes": "10000", "usable": "4950"},
			reply: "granted remaining=9 reset=0",
			after: with(granted, state{
				"limits": "epoch=e seq=6 max_concurrency=1 total=10", "remaining": "9", "spent": "1=1",
				"slot:0": "00001@a#1 permit ttl=10000", "opens": "0=@10000", "out": "00001@a#1=@4950 ttl=604800000", "paid:00001@a#1": "granted e 0 ttl=86400000",
			}),
		},
		{
			name:  "APermitThatLapsedMayHaveBegunOne",
			seed:  state{"limits": "epoch=e seq=5 max_concurrency=1 total=10", "remaining": "9", "spent": "2=1", "out": "00002@b#1=@-1000"},
			call:  args{"permit": "1", "closes": "10000", "usable": "4950"},
			reply: "granted remaining=8 reset=@86399000",
			after: with(granted, state{
				"limits":    "epoch=e seq=6 max_concurrency=1 total=10 reset_at=@86399000 since=@0 first=?",
				"remaining": "8 ttl=86399000", "spent": "1=1 2=1 ttl=86399000", "slot:0": "00001@a#1 permit ttl=10000", "opens": "0=@10000",
				"out": "00001@a#1=@4950 00002@b#1=@-1000 ttl=604800000", "paid:00001@a#1": "granted e 0 ttl=86399000",
			}),
		},
		{
			name: "ANewPeriodPaysForThoseThatAreOut",
			seed: state{
				"limits":    "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@-1000",
				"remaining": "", "out": "00002@b#1=@4000 00003@b#2=@-1500 00004@b#3/wait=@-900",
			},
			call:  args{"permit": "1", "closes": "10000", "usable": "4950"},
			reply: "granted remaining=7 reset=0",
			after: with(granted, state{
				"limits":    "epoch=e seq=6 max_concurrency=1 total=10 reset_at=0 since=@-1000 period=1",
				"remaining": "7", "spent": "1=1 2=1 4=1", "slot:0": "00001@a#1 permit ttl=10000", "opens": "0=@10000",
				"out": "00001@a#1=@4950 00002@b#1=@4000 00004@b#3/wait=@-900 ttl=604800000", "paid:00001@a#1": "granted e 1 ttl=86400000",
			}),
		},
		{
			name:  "ATicketOfTheLastPeriodPaysAgain",
			seed:  state{"limits": "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 period=3", "paid:00001@a#1": "granted e 2 ttl=60000"},
			reply: "granted remaining=9",
			after: with(granted, state{"limits": "epoch=e seq=6 max_concurrency=1 total=10 reset_at=@60000 period=3", "paid:00001@a#1": "granted e 3 ttl=60000"}),
		},
		{
			name: "NothingOfANewPeriodBeforeItsFiguresAreAskedFor", seed: state{"limits": "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@-1", "remaining": ""},
			call: args{"asks": "1"}, reply: "resync",
		},
		{
			name:  "RemainingWithoutATTLGetsItBack",
			seed:  state{"remaining": "4"},
			reply: "granted remaining=3",
			after: with(granted, state{"remaining": "3 ttl=60000"}),
		},
		{
			name:  "SpentCountsUp",
			seed:  state{"spent": "1=3 2=1 ttl=60000"},
			reply: "granted",
			after: with(granted, state{"spent": "1=4 2=1 ttl=60000"}),
		},
		{
			name:  "TheReplyLooksAheadForThePodsNext",
			seed:  state{"queue:0": "00009@b#1=@-3 00001@a#1=@-9 00002@a#2=@-2", "pods": "b=@30000"},
			call:  args{"arrival": "@-9", "next_ticket": "00002@a#2"},
			reply: "granted ahead=1 wait=10500 back=0",
			after: with(granted, state{"queue:0": "00009@b#1=@-3 00002@a#2=@-2", "pods": "a=@30000 b=@30000"}),
		},
		{
			name:  "APaidTicketNeedsNoUnit",
			seed:  state{"remaining": "0 ttl=60000", "paid:00001@a#1": "granted e 0 ttl=60000"},
			reply: "granted remaining=0 seq=6",
			after: with(granted, state{"remaining": "0 ttl=60000", "spent": ""}),
		},
		{
			name:  "TheOthersOfThePodTakeTheirPlaces",
			call:  args{"others": "@-7 00003@a#3 '' 00002@a#2", "arrival": "@-8"},
			reply: "granted ahead=0",
			after: with(granted, state{"queue:0": "00003@a#3=@-7 00002@a#2=@0"}),
		},
	})
}

func TestAClaimThatIsSentAgain(t *testing.T) {
	claim.run(t, []contract{
		{
			name: "SpendsOneUnit", times: 4,
			reply: "granted remaining=9 seq=9 reset=@60000",
			after: with(granted, state{"limits": "epoch=e seq=9 max_concurrency=1 total=10 reset_at=@60000"}),
		},
		{
			name: "SpendsOneUnitForAPermit", times: 3, call: args{"permit": "1", "closes": "10000", "usable": "4950"},
			reply: "granted remaining=9 seq=8",
			after: with(granted, state{
				"limits": "epoch=e seq=8 max_concurrency=1 total=10 reset_at=@60000",
				"slot:0": "00001@a#1 permit ttl=10000", "opens": "0=@10000", "out": "00001@a#1=@4950 ttl=604800000",
			}),
		},
		{
			name: "ClosesTheBucketForAWholeWindowAgain",
			seed: state{
				"slot:0": "00001@a#1 ttl=2000", "opens": "0=@2000", "paid:00001@a#1": "granted e @60000 ttl=30000",
				"remaining": "9 ttl=60000", "spent": "1=1 ttl=60000",
			},
			reply: "granted remaining=9 seq=6",
			after: granted,
		},
		{
			name: "ClosesItAgainWhileThePodWantsNoGrant", call: args{"until_wanted": "9000"}, // as after an outage
			seed: state{
				"slot:0": "00001@a#1 ttl=2000", "opens": "0=@2000", "paid:00001@a#1": "granted e @60000 ttl=30000",
				"remaining": "9 ttl=60000", "spent": "1=1 ttl=60000",
			},
			reply: "granted remaining=9 seq=6",
			after: with(granted, state{"holds": "a=@9000 ttl=9000"}),
		},
		{
			name: "EndsNoSlotSooner", // a late copy, from before its ticket asked for a longer margin
			seed: state{
				"slot:0": "00001@a#1 ttl=9000", "opens": "0=@9000", "paid:00001@a#1": "granted e @60000 ttl=30000",
				"remaining": "9 ttl=60000", "spent": "1=1 ttl=60000",
			},
			reply: "granted wait=~9000 shut=~9000 remaining=9 seq=6",
			after: with(granted, state{"slot:0": "00001@a#1 ttl=9000", "opens": "0=@9000"}),
		},
		{
			name: "IsWaitedForWhereItsSlotIsOverAndAnothersHasBegun",
			seed: state{
				"slot:0": "00002@b#1 ttl=20000", "opens": "0=@20000", "paid:00001@a#1": "granted e @60000 ttl=30000",
			},
			reply: "wait wait=~20000 ahead=0 head=00001@a#1 shut=~20000 seq=5",
			after: state{"queue:0": "00001@a#1=@0", "pods": "a=@30000"},
		},
		{
			name: "DoesNotOpenABucketThatIsHeldClosed", // by new limits, under which its window means nothing
			seed: state{
				"limits": "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 closed_until=@20000",
				"slot:0": "00001@a#1 ttl=10000", "opens": "0=@10000", "paid:00001@a#1": "granted e @60000 ttl=30000",
			},
			reply: "wait wait=~20000 shut=~20000 seq=5",
			after: state{"queue:0": "00001@a#1=@0", "pods": "a=@30000"},
		},
		{
			name:  "IsGoneAfterItLeft",
			seed:  state{"paid:00001@a#1": "left ttl=30000"},
			reply: "gone",
		},
		{
			name:  "IsGoneAfterItIdentified",
			seed:  state{"paid:00001@a#1": "identified ttl=30000", "slot:0": "00001@a#1 ttl=20000"},
			reply: "gone",
		},
		{
			name: "TakesItsPlaceOnce", times: 3,
			seed:  state{"slot:0": "00002@b#1 ttl=20000"},
			reply: "wait ahead=0 seq=5 back=0",
			after: state{"queue:0": "00001@a#1=@0", "pods": "a=@30000"},
		},
	})
}

func TestClaimWaits(t *testing.T) {
	claim.run(t, []contract{
		{
			name:  "ForTheSlot",
			seed:  state{"slot:0": "00002@b#1 ttl=20000", "opens": "0=@20000"},
			reply: "wait wait=~20000 ahead=0 remaining=10 seq=5 head=00001@a#1 back=0 shut=~20000 reset=@60000",
			after: state{"queue:0": "00001@a#1=@0", "pods": "a=@30000"},
		},
		{
			name:  "ForASlotWithoutATTLAWindow",
			seed:  state{"slot:0": "by-hand"},
			reply: "wait wait=5250 shut=5250",
			after: state{"slot:0": "by-hand ttl=5250", "queue:0": "00001@a#1=@0", "pods": "a=@30000"},
		},
		{
			name:  "ForASlotThatWasDeleted", // opens remembers it
			seed:  state{"opens": "0=@20000 1=@90000"},
			reply: "wait wait=~20000 shut=~20000",
			after: state{"queue:0": "00001@a#1=@0", "pods": "a=@30000"},
		},
		{
			name:  "ForTheLaterOfTheTwo",
			seed:  state{"slot:0": "00002@b#1 ttl=10000", "opens": "0=@20000"},
			reply: "wait wait=~20000 shut=~20000",
			after: state{"queue:0": "00001@a#1=@0", "pods": "a=@30000"},
		},
		{
			name:  "WhileEveryBucketIsClosed",
			seed:  state{"limits": "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 closed_until=@20000"},
			reply: "wait wait=~20000 shut=~20000",
			after: state{"queue:0": "00001@a#1=@0", "pods": "a=@30000"},
		},
		{
			name:  "WhileThePodWantsNoGrant",
			call:  args{"until_wanted": "2700"},
			reply: "wait wait=2700 shut=2700",
			after: state{"queue:0": "00001@a#1=@0", "pods": "a=@30000", "holds": "a=@2700 ttl=2700"},
		},
		{
			name:  "LettingThoseBehindPassMeanwhile",
			seed:  state{"queue:0": "00009@b#1=@-9 00008@b#2=@-8 00007@c#1=@-7", "pods": "b=@30000 c=@30000", "holds": "b=@2700 c=@1700 ttl=2700"},
			reply: "granted",
			after: with(granted, state{
				"queue:0": "00009@b#1=@-9 00008@b#2=@-8 00007@c#1=@-7", "pods": "a=@30000 b=@30000 c=@30000", "holds": "b=@2700 c=@1700 ttl=2700",
			}),
		},
		{
			name:  "ButNotThoseWhoseHoldIsOver",
			seed:  state{"queue:0": "00009@b#1=@-9 00008@c#1=@-8 00007@d#1=@-7", "pods": "b=@30000 c=@30000 d=@30000", "holds": "b=@2700 c=@-1 ttl=2700"},
			reply: "wait ahead=2 head=00008@c#1 wait=~10500",
			after: state{"queue:0": "00009@b#1=@-9 00008@c#1=@-8 00007@d#1=@-7 00001@a#1=@0", "pods": "a=@30000 b=@30000 c=@30000 d=@30000"},
		},
		{
			name:  "AskingOften,WhileAPermitIsOut",
			seed:  state{"slot:0": "00002@b#1 permit ttl=20000"},
			reply: "wait wait=1050 ahead=0 shut=0",
			after: state{"queue:0": "00001@a#1=@0", "pods": "a=@30000"},
		},
		{
			name:  "NotSoOften,FurtherBack",
			seed:  state{"slot:0": "00002@b#1 permit ttl=20000", "queue:0": "00003@b#2=@-5 00004@b#3=@-4", "pods": "b=@30000"},
			reply: "wait wait=10500 ahead=2 head=00003@b#2",
			after: state{"queue:0": "00003@b#2=@-5 00004@b#3=@-4 00001@a#1=@0", "pods": "a=@30000 b=@30000"},
		},
		{
			name:  "BehindTheFirstThoughTheSlotIsFree",
			seed:  state{"queue:0": "00009@b#1=@-1", "pods": "b=@30000"},
			reply: "wait wait=5250 ahead=1 head=00009@b#1",
			after: state{"queue:0": "00009@b#1=@-1 00001@a#1=@0", "pods": "a=@30000 b=@30000"},
		},
		{
			name:  "BehindTheLowerShardOfTheSameMillisecond",
			seed:  state{"queue:0": "00000@b#1=@0", "pods": "b=@30000"},
			call:  args{"arrival": "@0"},
			reply: "wait ahead=1 head=00000@b#1 back=1",
			after: state{"queue:0": "00000@b#1=@0 00001@a#1=@0", "pods": "a=@30000 b=@30000"},
		},
		{
			name:  "BeforeTheHigherShardOfTheSameMillisecond",
			seed:  state{"queue:0": "00010@b#1=@0 00002@b#2=@0", "pods": "b=@30000"},
			call:  args{"arrival": "@0"},
			reply: "granted",
			after: with(granted, state{"queue:0": "00010@b#1=@0 00002@b#2=@0", "pods": "a=@30000 b=@30000"}),
		},
		{
			name:  "ThatOneSaysItsRealHead", // after a restart that tells its places
			seed:  state{"slot:0": "00002@b#1 ttl=20000"},
			call:  args{"others": "@-9 00007@a#7"},
			reply: "wait ahead=1 head=00007@a#7 wait=~25250",
			after: state{"queue:0": "00007@a#7=@-9 00001@a#1=@0", "pods": "a=@30000"},
		},
		{
			name: "ThenClosesEveryBucketOfAServerThatDidNotKnowTheScript", on: "blind",
			call:  args{"notice": "1"},
			reply: "wait wait=~5250 shut=~5250",
			after: state{
				"limits":  "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 closed_until=@5250 refresh_at=0",
				"queue:0": "00001@a#1=@0", "pods": "a=@30000",
			},
		},
	})
}

func TestClaimPassesOverTheDead(t *testing.T) {
	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprintf("%05d@dead#1=@-900", i))
	}
	claim.run(t, []contract{
		{
			name:  "WhoseLeaseHasEnded",
			seed:  state{"queue:0": "00009@dead#1=@-900 00008@dead#2=@-800 00007@never#1=@-700", "pods": "dead=@-100"},
			reply: "granted",
			after: with(granted, state{"queue:0": "", "pods": "a=@30000 dead=@-100"}),
		},
		{
			name:  "AndNotTheLiving",
			seed:  state{"queue:0": "00009@dead#1=@-900 00008@b#2=@-800 00007@dead#3=@-700", "pods": "dead=@-100 b=@30000"},
			reply: "wait ahead=1 head=00008@b#2", // the third stands right before this one
			after: state{"queue:0": "00008@b#2=@-800 00001@a#1=@0", "pods": "a=@30000 b=@30000 dead=@-100"},
		},
		{
			name:  "AlsoBeforeThePodsNext",
			seed:  state{"queue:0": "00001@a#1=@-900 00007@dead#3=@-800 00006@dead#2=@-700 00002@a#2=@-600", "pods": "dead=@-100"},
			call:  args{"next_ticket": "00002@a#2"},
			reply: "granted ahead=0 wait=5250 back=0",
			after: with(granted, state{"queue:0": "00002@a#2=@-600", "pods": "a=@30000 dead=@-100"}),
		},
		{
			name:  "NorTicketsThatNobodyCanHaveWritten",
			seed:  state{"queue:0": "nonsense=@-900 00008@#2=@-800 5=@-700"},
			reply: "granted",
			after: with(granted, state{"queue:0": ""}),
		},
		{
			name:  "SomeAtATime",
			seed:  state{"queue:0": strings.Join(many, " ")},
			reply: "wait wait=1 head= ahead=44",
			after: state{"queue:0": strings.Join(many[256:], " ") + " 00001@a#1=@0", "pods": "a=@30000"},
		},
		{
			name:  "WhoGetTheirPlacesBack",
			seed:  state{"slot:0": "00002@b#1 ttl=20000", "queue:0": "00005@b#2=@-100", "pods": "b=@30000"},
			call:  args{"arrival": "@-500"},
			reply: "wait back=1 ahead=0 head=00001@a#1",
			after: state{"queue:0": "00001@a#1=@-500 00005@b#2=@-100", "pods": "a=@30000 b=@30000"},
		},
	})
}

func TestClaimMindsTheBudget(t *testing.T) {
	line := state{"queue:0": "00001@a#1=@0", "pods": "a=@30000"}
	claim.run(t, []contract{
		{
			name: "Exhausted", seed: state{"remaining": "0 ttl=60000"},
			reply: "exhausted wait=~60000 remaining=0 ahead=0 reset=@60000", after: line,
		},
		{
			name: "Overdrawn", seed: state{"remaining": "-5 ttl=60000"},
			reply: "exhausted wait=~60000 remaining=-5", after: line,
		},
		{
			name: "TheReserveIsNotGranted", seed: state{"remaining": "3 ttl=60000"}, call: args{"reserve": "3"},
			reply: "exhausted remaining=3", after: line,
		},
		{
			name: "AllAboveTheReserveIs", seed: state{"remaining": "4 ttl=60000"}, call: args{"reserve": "3"},
			reply: "granted remaining=3", after: with(granted, state{"remaining": "3 ttl=60000"}),
		},
		{
			name: "APermitThatIsOutMayGiveItsUnitBack", seed: state{"remaining": "0 ttl=60000", "slot:0": "00002@b#1 permit ttl=20000"},
			reply: "wait wait=1050", after: line,
		},
		{
			name: "APermitOfAnotherBucketMayGiveItsUnitBack", seed: state{"remaining": "3 ttl=60000", "out": "00002@b#1=@4000"},
			call: args{"reserve": "3"}, reply: "wait wait=1050 remaining=3", after: line,
		},
		{
			name: "AWaitDoesNot", seed: state{"remaining": "3 ttl=60000", "out": "00002@b#1/wait=@4000"},
			call: args{"reserve": "3"}, reply: "exhausted remaining=3", after: line,
		},
		{
			name: "ATotalOfNothing", seed: state{"remaining": "0", "limits": "epoch=e seq=5 max_concurrency=1 total=0"},
			call: args{"known_total": "0"}, reply: "exhausted wait=60000", after: line,
		},
	})
}

func TestClaimAsksToSyncFirst(t *testing.T) {
	claim.run(t, []contract{
		{name: "WithoutLimits", seed: state{"limits": ""}, reply: "resync"},
		{name: "WithoutTheBudget", seed: state{"remaining": ""}, reply: "resync"},
		{name: "WithoutABudgetThatNeverBegan", seed: state{"remaining": "", "limits": "epoch=e seq=5 max_concurrency=1 total=10"}, reply: "resync"},
		{name: "WithAnotherEpoch", call: args{"known_epoch": "d"}, reply: "resync"},
		{name: "WithNoEpochYet", call: args{"known_epoch": "", "known_buckets": "0", "known_seq": "0"}, reply: "resync"},
		{name: "WithASeqThatWentBack", call: args{"known_seq": "6"}, reply: "resync seq=5"},
		{name: "WithAnotherTotal", call: args{"known_total": "20"}, reply: "resync"},
		{name: "WithAnotherMaxConcurrency", call: args{"known_buckets": "2"}, reply: "resync"},
		{
			name: "AfterItClosedEveryBucketOfAServerThatDidNotKnowTheScript", on: "blind", call: args{"known_seq": "6", "notice": "1"}, reply: "resync seq=5",
			after: state{"limits": "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 closed_until=@5250 refresh_at=0"},
		},
		{name: "WithAPaidTicketToo", call: args{"known_seq": "6"}, seed: state{"paid:00001@a#1": "granted e @60000 ttl=9000", "slot:0": "00001@a#1 ttl=9000"}, reply: "resync"},
	})
}

func TestClaimRefusesWhatItCannotUseAndWritesNothing(t *testing.T) {
	limits := func(over string) state {
		fields := map[string]string{}
		for _, word := range strings.Fields("epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 " + over) {
			f, v := cut(word)
			fields[f] = v
		}
		var words []string
		for f, v := range fields {
			words = append(words, f+"="+v)
		}
		return state{"limits": strings.Join(words, " ")}
	}
	contracts := []contract{
		{name: "RemainingABC", seed: state{"remaining": "abc ttl=60000"}, reply: "BADVALUE remaining"},
		{name: "RemainingOneAndAHalf", seed: state{"remaining": "1.5 ttl=60000"}, reply: "BADVALUE remaining"},
		{name: "RemainingInHexadecimal", seed: state{"remaining": "0x10 ttl=60000"}, reply: "BADVALUE remaining"},
		{name: "RemainingTooLarge", seed: state{"remaining": "99999999999999999999 ttl=60000"}, reply: "BADVALUE remaining"},
		{name: "OpensABC", seed: state{"opens": "0=abc"}, reply: "BADVALUE opens 0"},
		{name: "OpensInMicroseconds", seed: state{"opens": "0=1795526652741000"}, reply: "BADVALUE opens 0"},
		{name: "OpensInfinite", seed: state{"opens": "0=inf"}, reply: "BADVALUE opens 0"},
		{name: "ClosedUntilInMicroseconds", seed: limits("closed_until=1795526652741000"), reply: "BADVALUE limits closed_until"},
		{name: "SpentABC", seed: state{"spent": "1=abc"}, reply: "BADVALUE spent 1"},
		{name: "LimitsOfAWrongType", seed: state{"limits": "!string"}, reply: "WRONGTYPE"},
		{name: "RemainingOfAWrongType", seed: state{"remaining": "!list"}, reply: "WRONGTYPE"},
		{name: "SlotOfAWrongType", seed: state{"slot:0": "!list"}, reply: "WRONGTYPE"},
		{name: "OpensOfAWrongType", seed: state{"opens": "!string"}, reply: "WRONGTYPE"},
		{name: "SpentOfAWrongType", seed: state{"spent": "!string"}, reply: "WRONGTYPE"},
		{name: "PodsOfAWrongType", seed: state{"pods": "!string"}, reply: "WRONGTYPE"},
		{name: "PaidOfAWrongType", seed: state{"paid:00001@a#1": "!list"}, reply: "WRONGTYPE"},
		{name: "QueueOfAWrongType", seed: state{"queue:0": "!string"}, reply: "WRONGTYPE"},
	}
	for _, bad := range []string{
		"seq=abc", "seq=", "seq=1.5", "seq=99999999999999999999", "max_concurrency=0", "max_concurrency=-1", "max_concurrency=x",
		"total=abc", "total=-1", "total=1.5", "reset_at=x", "reset_at=-1", "reset_at=99999999999999999999", "closed_until=soon",
		"period=x",
	} {
		field, _ := cut(bad)
		contracts = append(contracts, contract{name: "Limits" + bad, seed: limits(bad), reply: "BADVALUE limits " + field})
	}
	claim.run(t, contracts)
}

func TestAShardThatIdentifiesTooOftenRests(t *testing.T) {
	pods := "a=@30000"
	claim.run(t, []contract{
		{
			name: "BelowTheLimitItIsGranted", call: args{"backoff": "3"}, seed: state{"spent": "1=2 ttl=60000"},
			reply: "granted wait=5250 ahead=0 remaining=9 seq=6 head= back=0 shut=5250 reset=@60000",
			after: with(granted, state{"spent": "1=3 ttl=60000", "backoffs": "1=@5250 ttl=60000", "paid:00001@a#1": "granted e 0 @5250 ttl=60000"}),
		},
		{
			name: "ItBacksOffFromThatGrantOn", call: args{"backoff": "3"}, seed: state{"spent": "1=4 ttl=60000", "backoffs": "1=@7000 ttl=60000"},
			reply: "backoff wait=~7000", after: state{"pods": pods},
		},
		{
			name: "HoweverOftenItAsks", call: args{"backoff": "3"}, times: 5, seed: state{"spent": "1=4 ttl=60000", "backoffs": "1=@7000 ttl=60000"},
			reply: "backoff wait=~7000", after: state{"pods": pods},
		},
		{
			name: "AndIsGrantedThen", call: args{"backoff": "3"}, seed: state{"spent": "1=4 ttl=60000", "backoffs": "1=@0 2=@9000 ttl=60000"},
			reply: "granted remaining=9",
			after: with(granted, state{"spent": "1=5 ttl=60000", "backoffs": "1=@21000 2=@9000 ttl=60000", "paid:00001@a#1": "granted e 0 @21000 ttl=60000"}),
		},
		{
			name: "GrantedAgainItIsKnownWhichBackoffIsItsOwn", call: args{"backoff": "3"},
			seed:  state{"spent": "1=3 ttl=60000", "backoffs": "1=@5250 ttl=60000", "paid:00001@a#1": "granted e 0 @5250 ttl=60000", "remaining": "9 ttl=60000"},
			reply: "granted remaining=9",
			after: with(granted, state{"spent": "1=3 ttl=60000", "backoffs": "1=@5250 ttl=60000", "paid:00001@a#1": "granted e 0 @5250 ttl=60000"}),
		},
		{
			name: "WithoutALimitItNeverBacksOff", seed: state{"spent": "1=400 ttl=60000", "backoffs": "1=@9000 ttl=60000"},
			reply: "granted", after: with(granted, state{"spent": "1=401 ttl=60000"}),
		},
		{
			name: "ABackoffEndsWithItsPeriod", call: args{"backoff": "3"},
			seed: state{
				"spent": "1=40", "backoffs": "1=@900000", "remaining": "",
				"limits": "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@-1",
			},
			reply: "granted", after: with(granted, state{
				"spent": "1=1 ttl=86400250", "backoffs": "", "remaining": "9 ttl=86400250", "paid:00001@a#1": "granted e 1 ttl=86400250",
				"limits": "epoch=e seq=6 max_concurrency=1 total=10 reset_at=@86400250 slack=250 since=@0 first=00001@a#1 period=1",
			}),
		},
		{
			name: "FromNowOnWhereAnOlderPodHasGrantedIt", call: args{"backoff": "3"}, seed: state{"spent": "1=3 ttl=60000"},
			reply: "backoff wait=5250", after: state{"pods": pods, "backoffs": "1=@5250 ttl=60000"},
		},
		{
			name: "ThenTwiceAsLongEachTime", call: args{"backoff": "3"}, seed: state{"spent": "1=6 ttl=60000"},
			reply: "backoff wait=42000", after: state{"pods": pods, "backoffs": "1=@42000 ttl=60000"},
		},
		{
			name: "AtMostAnHour", call: args{"backoff": "3"}, seed: state{"spent": "1=900 ttl=60000"},
			reply: "backoff wait=3600000", after: state{"pods": pods, "backoffs": "1=@3600000 ttl=60000"},
		},
		{
			name: "AndGivesUpItsPlaceMeanwhile", call: args{"backoff": "3"}, seed: state{"spent": "1=3 ttl=60000", "queue:0": "00001@a#1=@-5"},
			reply: "backoff wait=5250", after: state{"pods": pods, "queue:0": "", "backoffs": "1=@5250 ttl=60000"},
		},
	})
}

func TestATicketThatNobodyClaimsForIsPassedOverInTheEnd(t *testing.T) {
	orphan := state{"pods": "b=@9000", "queue:0": "00002@b#1=@-200000"}
	claim.run(t, []contract{
		{
			name: "WhereItsBucketHasLongBeenOpen", seed: with(orphan, state{"opens": "0=@-160000"}),
			reply: "granted wait=5250 ahead=0 remaining=9 seq=6 head= back=0 shut=5250 reset=@60000",
			after: with(granted, state{"pods": "a=@30000 b=@9000", "queue:0": "", "holds": "b:0=@60000 ttl=60000"}),
		},
		{
			name: "ThenItsOthersAtOnce", seed: with(orphan, state{"opens": "0=@4000", "holds": "b:0=@40000 ttl=40000"}),
			reply: "wait ahead=0",
			after: state{"pods": "a=@30000 b=@9000", "queue:0": "00001@a#1=@0", "opens": "0=@4000", "holds": "b:0=@60000 ttl=60000"},
		},
		{
			name: "UntilItsPodClaimsThere", call: args{"pod": "b", "ticket": "00001@b#3"},
			seed:  with(orphan, state{"opens": "0=@4000", "holds": "b:0=@40000 other=@50000 ttl=50000"}),
			reply: "wait ahead=1 head=00002@b#1",
			after: state{"pods": "b=@30000", "queue:0": "00002@b#1=@-200000 00001@b#3=@0", "opens": "0=@4000", "holds": "other=@50000 ttl=50000"},
		},
		{
			name: "NotWhereItHasJustOpened", seed: with(orphan, state{"opens": "0=@-9000"}), reply: "wait ahead=1 head=00002@b#1",
			after: state{"pods": "a=@30000 b=@9000", "queue:0": "00002@b#1=@-200000 00001@a#1=@0", "opens": "0=@-9000"},
		},
		{
			name: "NotWhileNoUnitIsLeft", call: args{"reserve": "10"}, seed: with(orphan, state{"opens": "0=@-160000"}), reply: "exhausted",
			after: state{"pods": "a=@30000 b=@9000", "queue:0": "00002@b#1=@-200000 00001@a#1=@0", "opens": "0=@-160000"},
		},
	})
}

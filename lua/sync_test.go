package lua_test

import (
	"strings"
	"testing"

	"github.com/gatewayqueue/gatewayqueue/lua"
)

// sync as a pod calls it that meets a queue with the figures of its limit
// source.
var sync = script{
	Script: lua.Sync,
	each:   numbered("buckets"),
	args: `buckets=1 update=0 known_epoch= known_seq=0 known_left= known_reset=0 new_epoch=n lost_hold=5250 least_hold=3000 refresh_in=600000
		new_total=10 new_left=10 new_reset_after=0 new_buckets=1 asked= may_ask=1 asks=0 fresh=0 period=86400000`,
	state: state{
		"limits":    "epoch=e seq=5 max_concurrency=2 total=10 reset_at=@60000 closed_until=0",
		"remaining": "7 ttl=60000",
	},
}

// The call of a pod that has been there before.
func knows(over args) args {
	all := args{"known_epoch": "e", "known_seq": "5", "known_left": "7", "known_reset": "@60000"}
	for name, value := range over {
		all[name] = value
	}
	return all
}

var nothing = state{"limits": "", "remaining": ""}

// Whatever is left shows that a Redis is no new one, but has lost the rest.
func TestSyncTakesNoRemnantForAFreshOne(t *testing.T) {
	var contracts []contract
	for _, left := range []struct{ key, value string }{
		{"remaining", "7"}, {"opens", "0=5"}, {"spent", "1=1"}, {"out", "00001@a#1=5"}, {"pods", "a=5"}, {"backoffs", "1=5"}, {"holds", "a=5"},
		{"limits", "seq=5"}, {"limits", "max_concurrency=1"}, {"limits", "total=10"}, {"limits", "reset_at=0"}, {"limits", "closed_until=0"},
		{"limits", "run_id=a"}, {"limits", "master_replid=a"}, {"limits", "window=5000@5"}, {"limits", "grace=250@5"},
		{"limits", "pod_lease=3000@5"}, {"limits", "since=5"},
	} {
		seed := state{"limits": "", "remaining": ""}
		seed[left.key] = left.value
		contracts = append(contracts, contract{
			name: left.key + left.value, seed: seed, call: args{"fresh": "1"}, reply: "seeded closed_until=@5250", replyOnly: true,
		})
	}
	sync.run(t, contracts)
}

func TestSyncLearns(t *testing.T) {
	sync.run(t, []contract{
		{name: "WhatIsInForce", reply: "ok epoch=e seq=5 max_concurrency=2 total=10 remaining=7 reset_at=@60000 closed_until=0"},
		{name: "WhatIsInForceThoughItKnewAnotherEpoch", call: args{"known_epoch": "d", "known_seq": "99", "known_left": "9", "known_reset": "@60000"}, reply: "ok epoch=e seq=5 remaining=7"},
		{
			name: "NothingOfWhatAPodRemembersOfThePeriodBefore",
			seed: state{"limits": "epoch=e seq=5 max_concurrency=2 total=10 reset_at=@86400000 closed_until=0"},
			call: args{"known_epoch": "d", "known_seq": "99", "known_left": "3", "known_reset": "@90000"}, reply: "ok remaining=7",
		},
		{name: "WithoutFigures", call: args{"new_total": ""}, reply: "ok remaining=7"},
		{
			name:  "ThatAPeriodIsOver",
			seed:  state{"limits": "epoch=e seq=5 max_concurrency=2 total=10 reset_at=@-1 closed_until=0", "remaining": ""},
			reply: "ok remaining=10 seq=5",
		},
		{
			name:  "TheLowestThatAnyPodRemembers",
			call:  args{"known_epoch": "d", "known_seq": "99", "known_left": "3", "known_reset": "@90000"},
			reply: "changed epoch=e seq=5 remaining=3 reset_at=@90000",
			after: state{
				"limits":    "epoch=e seq=5 max_concurrency=2 total=10 reset_at=@90000 closed_until=0",
				"remaining": "3 ttl=90000",
			},
		},
		{
			name: "NothingFromAPeriodThatIsOver",
			call: args{"known_epoch": "d", "known_left": "3", "known_reset": "@-1"}, reply: "ok remaining=7",
		},
	})
}

func TestSyncSeedsWhatIsMissing(t *testing.T) {
	sync.run(t, []contract{
		{
			name: "ANewQueue", seed: nothing,
			reply: "seeded epoch=n seq=0 max_concurrency=1 total=10 remaining=10 reset_at=0 closed_until=@5250",
			after: state{
				"limits":    "epoch=n seq=0 max_concurrency=1 total=10 reset_at=0 closed_until=@5250 refresh_at=@600000",
				"remaining": "10",
			},
		},
		{
			name: "AFreshOneIsOpenAtOnce", seed: nothing, call: args{"fresh": "1"},
			reply: "seeded closed_until=0",
			after: state{"limits": "epoch=n seq=0 max_concurrency=1 total=10 reset_at=0 closed_until=0 blind:fresh_until=@5250 refresh_at=@600000", "remaining": "10"},
		},
		{
			name: "AFreshOneThoughAnotherPodAsksItsSource", seed: state{"limits": "ask_at=@-1 ask_after=@-1", "remaining": ""}, call: args{"fresh": "1"},
			reply: "seeded closed_until=0",
			after: state{"limits": "epoch=n seq=0 max_concurrency=1 total=10 reset_at=0 closed_until=0 ask_after=@-1 blind:fresh_until=@5250 refresh_at=@600000", "remaining": "10"},
		},
		{
			name: "ARunningPeriod", seed: nothing, call: args{"new_left": "4", "new_reset_after": "9000"},
			reply: "seeded remaining=4 reset_at=@9000",
			after: state{
				"limits":    "epoch=n seq=0 max_concurrency=1 total=10 reset_at=@9000 closed_until=@5250 refresh_at=@600000",
				"remaining": "4 ttl=9000",
			},
		},
		{
			name: "OnlyOnce", seed: nothing, times: 2,
			reply: "ok epoch=n",
			after: state{
				"limits":    "epoch=n seq=0 max_concurrency=1 total=10 reset_at=0 closed_until=@5250 refresh_at=@600000",
				"remaining": "10",
			},
		},
		{
			name: "NotByALateCopyOfTheCallThatSeededIt", seed: state{"limits": "epoch=n seq=5 max_concurrency=1 total=10 reset_at=@60000", "remaining": ""},
			reply: "busy",
		},
		{
			name: "NoHigherThanThePodRemembers", seed: nothing, call: knows(args{"known_left": "3"}),
			reply: "seeded epoch=n seq=5 remaining=3 reset_at=@60000 closed_until=@5250",
			after: state{
				"limits":    "epoch=n seq=5 max_concurrency=1 total=10 reset_at=@60000 closed_until=@5250 refresh_at=@600000",
				"remaining": "3 ttl=60000",
			},
		},
		{
			name: "FullAfterAPeriodThatIsOver", seed: nothing, call: knows(args{"known_left": "3", "known_reset": "@-1"}),
			reply: "seeded remaining=10 reset_at=0",
			after: state{
				"limits":    "epoch=n seq=5 max_concurrency=1 total=10 reset_at=0 closed_until=@5250 refresh_at=@600000",
				"remaining": "10",
			},
		},
		{
			name: "LimitsButNotTheBudgetThatIsLeft", seed: state{"limits": ""},
			reply: "seeded epoch=n remaining=7 reset_at=@60000",
			after: state{
				"limits":    "epoch=n seq=0 max_concurrency=1 total=10 reset_at=@60000 closed_until=@5250 refresh_at=@600000",
				"remaining": "7 ttl=60000",
			},
		},
		{
			name: "TheBudgetInARunningPeriod", seed: state{"remaining": ""}, call: args{"new_left": "6", "new_reset_after": "50000"},
			reply: "seeded epoch=n seq=5 remaining=6 reset_at=@60000",
			after: state{
				"limits":    "epoch=n seq=5 max_concurrency=2 total=10 reset_at=@60000 closed_until=@5250 refresh_at=@600000",
				"remaining": "6 ttl=60000",
			},
		},
		{ // the pod's own may be older, or a mistake; another bot's buckets would open too soon
			name: "NotTheLimitsThatAreThere", seed: state{"remaining": ""}, call: args{"new_buckets": "16", "new_total": "20", "new_left": "20"},
			reply: "seeded max_concurrency=2 total=10 remaining=10",
			after: state{
				"limits":    "epoch=n seq=5 max_concurrency=2 total=10 reset_at=@60000 closed_until=@5250 refresh_at=@600000",
				"remaining": "10 ttl=60000",
			},
		},
		{
			name: "TheLimitsThatDiscordSays", seed: state{"remaining": ""}, call: args{"new_buckets": "16", "new_total": "20", "new_left": "9", "new_reset_after": "50000", "asked": "@0"},
			reply: "seeded max_concurrency=16 total=20 remaining=9",
			after: state{
				"limits":    "epoch=n seq=5 max_concurrency=16 total=20 reset_at=@60000 closed_until=@5250 refresh_at=@600000",
				"remaining": "9 ttl=60000",
			},
		},
		{
			name: "AnewWhereTheSeqWentBack", call: knows(args{"known_seq": "9", "known_left": "4"}), // a replica that lagged
			reply: "seeded epoch=n seq=9 remaining=4 closed_until=@5250 max_concurrency=1",
			after: state{
				"limits":    "epoch=n seq=9 max_concurrency=1 total=10 reset_at=@60000 closed_until=@5250 refresh_at=@600000",
				"remaining": "4 ttl=60000",
			},
		},
	})
}

func TestSyncAsksForFigures(t *testing.T) {
	sync.run(t, []contract{
		{
			name: "OnePod", seed: nothing, call: args{"new_total": ""},
			reply: "ask", after: state{"limits": "ask_at=@3000"},
		},
		{
			name: "AndLetsTheOthersWait", seed: nothing, call: args{"new_total": ""}, times: 2,
			reply: "busy", after: state{"limits": "ask_at=@3000"},
		},
		{
			name: "TheNextIfThatOneDied", seed: state{"limits": "ask_at=@-1", "remaining": ""}, call: args{"new_total": ""},
			reply: "ask", after: state{"limits": "ask_at=@3000"},
		},
		{
			name: "NoneBeforeTheSourceMayBeAsked", seed: state{"limits": "ask_after=@5000 source_error=429", "remaining": ""}, call: args{"new_total": ""},
			reply: "busy", after: state{"limits": "ask_after=@5000 source_error=429"},
		},
		{
			name: "ButThen", seed: state{"limits": "ask_after=@-1 source_error=429", "remaining": ""}, call: args{"new_total": ""},
			reply: "ask", after: state{"limits": "ask_after=@-1 source_error=429 ask_at=@3000"},
		},
		{
			name: "AndNoneThatMustNotForNow", seed: nothing, call: args{"new_total": "", "may_ask": "0"},
			reply: "busy",
		},
		{
			name: "AndFiguresEndTheTrouble", seed: state{"limits": "ask_after=@-1 ask_at=@1 source_error=429", "remaining": ""},
			reply: "seeded",
			after: state{
				"limits":    "epoch=n seq=0 max_concurrency=1 total=10 reset_at=0 closed_until=@5250 refresh_at=@600000 ask_after=@-1",
				"remaining": "10",
			},
		},
		{
			name: "ForALostBudget", seed: state{"remaining": ""}, call: knows(args{"new_total": ""}),
			reply: "ask", after: state{"limits": "epoch=e seq=5 max_concurrency=2 total=10 reset_at=@60000 closed_until=0 ask_at=@3000"},
		},
	})
}

func TestSyncUpdates(t *testing.T) {
	update := func(over args) args {
		all := knows(args{"update": "1", "buckets": "2", "new_buckets": "2", "new_left": "7", "new_reset_after": "60000"})
		for name, value := range over {
			all[name] = value
		}
		return all
	}
	limits := func(over string) string {
		return "epoch=e seq=6 max_concurrency=2 total=10 reset_at=@60000 closed_until=0 refresh_at=@600000 period=1" + over
	}
	kept := strings.Replace(limits(""), " period=1", "", 1) // what ours has paid is paid in what is left
	sync.run(t, []contract{
		{
			name: "LowersWhatIsLeft", call: update(args{"new_left": "2", "asked": "@0"}),
			reply: "changed epoch=e seq=6 remaining=2 reset_at=@60000",
			after: state{"limits": limits(" counted=0"), "remaining": "2 ttl=60000"},
		},
		{
			name: "NotesThatItHasTakenGrantsOutOfOut", call: update(args{"new_left": "2", "asked": "@0"}),
			seed:  state{"out": "00003@b#1/wait=@-4000 00004@b#2=@-500"},
			reply: "changed epoch=e seq=6 remaining=1 reset_at=@60000",
			after: state{"limits": limits(" counted=0 forgot=@0"), "remaining": "1 ttl=60000", "out": "00004@b#2=@-500"},
		},
		{
			name: "LowersItAgain", call: update(args{"new_left": "2", "asked": "@0"}),
			seed:  state{"limits": "epoch=e seq=5 max_concurrency=2 total=10 reset_at=@60000 closed_until=0 period=4 counted=3"},
			reply: "changed remaining=2",
			after: state{"limits": strings.Replace(limits(" counted=3"), "period=1", "period=5", 1), "remaining": "2 ttl=60000"},
		},
		{
			name: "CountsOnlyThePeriodThatDiscordHasBegunSince", call: update(args{"new_left": "4", "new_reset_after": "86400000", "asked": "@0"}),
			seed:  state{"limits": "epoch=e seq=5 max_concurrency=2 total=10 reset_at=@60000 closed_until=0 period=4 counted=3", "spent": "1=3 ttl=60000"},
			reply: "changed remaining=4 reset_at=@86400000",
			after: state{
				"limits":    "epoch=e seq=6 max_concurrency=2 total=10 reset_at=@86400000 closed_until=0 refresh_at=@600000 period=5",
				"remaining": "4 ttl=86400000", "spent": "",
			},
		},
		{
			name: "DoesNotRaiseItWithinAPeriod", call: update(args{"new_left": "9", "new_reset_after": "50000", "asked": "@0"}),
			reply: "changed seq=6 remaining=7", after: state{"limits": kept},
		},
		{
			name: "NorAfterADeletedTTL", seed: state{"remaining": "7"}, call: update(args{"new_left": "9", "new_reset_after": "50000", "asked": "@0"}),
			reply: "changed remaining=7", after: state{"limits": kept, "remaining": "7 ttl=60000"},
		},
		{
			name: "BelievesDiscordThatThePeriodEndsSooner", call: update(args{"new_left": "4", "new_reset_after": "30000"}),
			seed:  state{"limits": "epoch=e seq=5 max_concurrency=2 total=10 reset_at=@86400000 closed_until=0", "remaining": "7 ttl=86400000"},
			reply: "changed remaining=4 reset_at=@30000",
			after: state{"limits": "epoch=e seq=6 max_concurrency=2 total=10 reset_at=@30000 closed_until=0 refresh_at=@600000 period=1 updates=n", "remaining": "4 ttl=30000"},
		},
		{
			name: "BelievesDiscordThatItHasBegunTheNext", call: update(args{"new_left": "4", "new_reset_after": "86400000", "asked": "@0"}),
			reply: "changed remaining=4 reset_at=@86400000",
			after: state{"limits": "epoch=e seq=6 max_concurrency=2 total=10 reset_at=@86400000 closed_until=0 refresh_at=@600000 period=1", "remaining": "4 ttl=86400000"},
		},
		{
			name: "RaisesItInANewPeriod",
			seed: state{"limits": "epoch=e seq=5 max_concurrency=2 total=10 reset_at=@-1 closed_until=0", "remaining": "0"},
			call: update(args{"new_left": "9", "new_reset_after": "50000"}), reply: "changed remaining=9 reset_at=@50000",
			after: state{
				"limits":    "epoch=e seq=6 max_concurrency=2 total=10 reset_at=@50000 closed_until=0 refresh_at=@600000 period=1 since=@-1 updates=n",
				"remaining": "9 ttl=50000",
			},
		},
		{
			name: "ChangesTheTotal", call: update(args{"new_total": "5", "new_left": "5", "new_reset_after": "60000", "asked": "@0"}),
			reply: "changed total=5 remaining=5",
			after: state{
				"limits":    "epoch=e seq=6 max_concurrency=2 total=5 reset_at=@60000 closed_until=0 refresh_at=@600000 period=1 counted=0",
				"remaining": "5 ttl=60000",
			},
		},
		{
			name: "NeedsTheKeysOfAllBucketsToChangeTheirNumber", call: update(args{"new_buckets": "3", "buckets": "1"}),
			reply: "buckets max_concurrency=2",
		},
		{
			name: "NeedsNoneToKeepIt", call: update(args{"buckets": "1"}), reply: "changed", after: state{"limits": limits(" updates=n")},
		},
		{
			name: "ClosesAllUntilTheOldWindowsAreOver",
			seed: state{
				"slot:0": "00000@a#1 permit ttl=9000", "slot:1": "00001@a#2 ttl=4000", "opens": "0=@9000 1=@20000",
				"queue:0": "00002@a#3=@-5", "queue:1": "00003@a#4=@-4",
			},
			call: update(args{"new_buckets": "3"}), reply: "changed max_concurrency=3 closed_until=@20000",
			after: state{
				"limits":  "epoch=e seq=6 max_concurrency=3 total=10 reset_at=@60000 closed_until=@20000 refresh_at=@600000 period=1 updates=n",
				"queue:0": "", "queue:1": "",
			},
		},
		{
			name: "ClosesAllForAMoment", // until the pods have told their places
			call: update(args{"new_buckets": "1"}), reply: "changed closed_until=@3000",
			after: state{"limits": "epoch=e seq=6 max_concurrency=1 total=10 reset_at=@60000 closed_until=@3000 refresh_at=@600000 period=1 updates=n"},
		},
		{
			name: "SeedsWhereThereIsNothing", seed: nothing, call: args{"update": "1", "new_left": "4", "new_reset_after": "9000"},
			reply: "seeded epoch=n remaining=4 reset_at=@9000",
			after: state{
				"limits":    "epoch=n seq=0 max_concurrency=1 total=10 reset_at=@9000 closed_until=@5250 refresh_at=@600000 updates=n",
				"remaining": "4 ttl=9000",
			},
		},
		{
			name: "RepairsLimitsThatWereEdited",
			seed: state{"limits": "epoch=e seq=x max_concurrency=0 total=? reset_at=never", "remaining": "7 ttl=60000"},
			call: update(nil), reply: "seeded epoch=n seq=5 max_concurrency=2 total=10 remaining=7",
			after: state{
				"limits":    "epoch=n seq=5 max_concurrency=2 total=10 reset_at=@60000 closed_until=@5250 refresh_at=@600000 updates=n",
				"remaining": "7 ttl=60000",
			},
		},
		{
			name: "RepairsABudgetThatWasEdited", seed: state{"remaining": "abc ttl=60000"}, call: update(args{"known_left": "", "new_left": "10", "new_reset_after": "0"}),
			reply: "seeded remaining=10",
			after: state{
				"limits":    "epoch=n seq=5 max_concurrency=2 total=10 reset_at=@60000 closed_until=@5250 refresh_at=@600000 updates=n",
				"remaining": "10 ttl=60000",
			},
		},
		{
			name: "NotByALateCopyOfAnUpdateByHand", call: update(args{"new_left": "9", "new_reset_after": "9000", "new_buckets": "1", "buckets": "1"}),
			seed:  state{"limits": "epoch=e seq=5 max_concurrency=2 total=10 reset_at=@60000 closed_until=0 updates=n"},
			reply: "ok epoch=e seq=5 remaining=7 max_concurrency=2 reset_at=@60000",
		},
		{
			name: "NorByOneThatSeededTheStateWhichWasLost", call: update(args{"new_left": "9"}),
			seed: state{"limits": "epoch=e seq=5 max_concurrency=2 total=10 reset_at=@60000 closed_until=0 updates=n", "remaining": ""}, reply: "busy",
		},
		{
			name: "AsOftenAsDiscordIsAsked", call: update(args{"new_left": "2", "asked": "@0"}), // what was granted since is not in its figures
			seed:  state{"limits": "epoch=e seq=5 max_concurrency=2 total=10 reset_at=@60000 closed_until=0 updates=n"},
			reply: "changed remaining=2", replyOnly: true,
		},
	})
}

func TestSyncRefusesWhatItCannotUse(t *testing.T) {
	contracts := []contract{
		{name: "RemainingABC", seed: state{"remaining": "abc ttl=60000"}, reply: "BADVALUE remaining"},
		{name: "RemainingOneAndAHalf", seed: state{"remaining": "1.5 ttl=60000"}, reply: "BADVALUE remaining"},
		{name: "LimitsOfAWrongType", seed: state{"limits": "!string"}, reply: "WRONGTYPE"},
		{name: "RemainingOfAWrongType", seed: state{"remaining": "!list"}, reply: "WRONGTYPE"},
	}
	usual := map[string]string{"epoch": "e", "seq": "5", "max_concurrency": "2", "total": "10", "reset_at": "@60000", "closed_until": "0"}
	for _, bad := range []string{
		"seq=abc", "seq=1.5", "max_concurrency=0", "max_concurrency=-1", "max_concurrency=1.5", "max_concurrency=99999", "max_concurrency=x",
		"total=abc", "total=-1", "total=1.5", "reset_at=x", "closed_until=soon",
	} {
		field, value := cut(bad)
		var words []string
		for f, v := range usual {
			if f == field {
				v = value
			}
			words = append(words, f+"="+v)
		}
		contracts = append(contracts, contract{name: "Limits" + bad, seed: state{"limits": strings.Join(words, " ")}, reply: "BADVALUE limits " + field})
	}
	sync.run(t, contracts)
}

// postpone as a pod sends it whose limit source has failed.
var postpone = script{
	Script: lua.Postpone,
	args:   "wait=5000 trouble=429",
	state:  state{"limits": "epoch=e seq=5"},
}

func TestPostpone(t *testing.T) {
	postpone.run(t, []contract{
		{name: "TellsAllUntilWhen", reply: "ok ask_after=@5000", after: state{"limits": "epoch=e seq=5 source_error=429 ask_after=@5000"}},
		{
			name: "NeverBringsItForward", seed: state{"limits": "epoch=e seq=5 ask_after=@60000"}, reply: "ok ask_after=@60000",
			after: state{"limits": "epoch=e seq=5 source_error=429 ask_after=@60000"},
		},
		{
			name: "MayOnlySayWhy", call: args{"wait": "0"}, reply: "ok ask_after=0",
			after: state{"limits": "epoch=e seq=5 source_error=429 ask_after=0"},
		},
		{
			name: "AlsoWhereThereIsNoQueueYet", seed: nothing, reply: "ok ask_after=@5000",
			after: state{"limits": "source_error=429 ask_after=@5000"},
		},
	})
}

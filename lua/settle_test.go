package lua_test

import (
	"strings"
	"testing"

	"github.com/gatewayqueue/gatewayqueue/lua"
)

var (
	// A permit of shard 1, as its claim left it.
	held = state{
		"limits":         "epoch=e seq=6 max_concurrency=1 total=10 reset_at=@60000",
		"remaining":      "9 ttl=60000",
		"slot:0":         "00001@a#1 permit ttl=10000",
		"opens":          "0=@10000",
		"paid:00001@a#1": "granted e 0 ttl=60000",
		"out":            "00001@a#1=@4950 ttl=604800000",
		"spent":          "1=1 ttl=60000",
	}

	identified = script{
		Script: lua.Identified, state: held,
		args: "ticket=00001@a#1 bucket=0 closes=5050 granted_buckets=1 paid_ttl=60000 own_window=5000 period=86400000 nth=0 usable=0",
	}
	announce = script{ // the same, before IDENTIFY leaves
		Script: lua.Identified, state: held,
		args: "ticket=00001@a#1 bucket=0 closes=5050 granted_buckets=1 paid_ttl=60000 own_window=5000 period=86400000 nth=1 usable=25",
	}
	renew = script{
		Script: lua.Renew, state: held,
		args: `ticket=00001@a#1 bucket=0 permit_lease=10000 granted_buckets=1 paid_ttl=60000 in_time=1 latest=@125000 own_window=5000
			usable=4950 period=86400000`,
	}
	abandon = script{
		Script: lua.Abandon, state: held,
		each: func(call args) []string { return strings.Fields(call["others"]) },
		args: "bucket=0 paid_ttl=60000 places_only=0 goes_on=0 leaving_pod=",
	}
)

func limitsWith(fields string) string {
	return "epoch=e max_concurrency=1 total=10 reset_at=@60000 " + fields
}

func TestIdentified(t *testing.T) {
	told := state{
		"slot:0": "00001@a#1 ttl=5050", "opens": "0=@5050", "paid:00001@a#1": "identified ttl=60000",
		"limits": limitsWith("seq=7"), "out": "00001@a#1=@0 ttl=604800000",
	}
	others := state{
		"limits": limitsWith("seq=7 closed_until=@5050"), "paid:00001@a#1": "identified ttl=60000", "out": "00001@a#1=@0 ttl=604800000",
	}
	identified.run(t, []contract{
		{name: "StartsTheWindow", reply: "identified seq=7", after: told},
		{
			name:  "UnderOtherLimitsWhereTheEndOfAHoldIsMissing",
			seed:  state{"limits": "epoch=e seq=6 max_concurrency=2 total=10 reset_at=@60000 closed_until=none"},
			reply: "late", after: with(told, state{"limits": "epoch=e seq=7 max_concurrency=2 total=10 reset_at=@60000 closed_until=none"}),
		},
		{name: "StartsItOnce", times: 3, reply: "identified seq=7", after: told},
		{
			name: "SentAgainLaterStartsNoOther", call: args{"closes": "50000"}, // both must outlast a look on a busy machine
			seed:  state{"slot:0": "00001@a#1 ttl=20000", "opens": "0=@20000", "paid:00001@a#1": "identified ttl=30000"},
			reply: "identified seq=6",
		},
		{name: "ThoughTheLeaseHasEnded", seed: state{"slot:0": "", "opens": "0=@-9"}, reply: "identified seq=7", after: told},
		{
			name: "TooLateClosesEveryBucket", seed: state{"slot:0": "00002@b#1 ttl=4000", "opens": "0=@4000"},
			reply: "late seq=7", after: others,
		},
		{
			name:  "TooLateOpensNoneThatIsClosedForLonger",
			seed:  state{"slot:0": "00002@b#1 ttl=4000", "opens": "0=@4000", "limits": limitsWith("seq=6 closed_until=@9000")},
			reply: "late seq=7", after: with(others, state{"limits": limitsWith("seq=7 closed_until=@9000")}),
		},
		{
			name: "UnderOtherLimitsClosesEveryBucket", call: args{"granted_buckets": "2"},
			reply: "late seq=7", after: with(told, state{"limits": limitsWith("seq=7 closed_until=@5050")}),
		},
		{
			name: "WhereAllStateWasLost", seed: state{"limits": "", "remaining": "", "slot:0": "", "opens": "", "paid:00001@a#1": "", "spent": ""},
			reply: "identified seq=0", after: with(told, state{"limits": ""}),
		},
		{
			name: "BeginsThePeriod", seed: state{"limits": "epoch=e seq=6 max_concurrency=1 total=10", "remaining": "9", "spent": "1=1"},
			reply: "identified seq=7",
			after: with(told, state{
				"limits":    "epoch=e seq=7 max_concurrency=1 total=10 reset_at=@86400000 since=@0",
				"remaining": "9 ttl=86400000", "spent": "1=1 ttl=86400000", "paid:00001@a#1": "identified ttl=86400000",
			}),
		},
		{
			name: "MovesTheResetOfAPeriodThatMayNotHaveBegun", seed: state{"limits": limitsWith("seq=6 first=?")},
			reply: "identified seq=7",
			after: with(told, state{
				"limits":    "epoch=e seq=7 max_concurrency=1 total=10 reset_at=@86400000 since=@0",
				"remaining": "9 ttl=86400000", "spent": "1=1 ttl=86400000", "paid:00001@a#1": "identified ttl=86400000",
			}),
		},
		{
			name: "IsPaidByThePeriodInWhichItIs", // that of the grant is over, and so is another's lease
			seed: state{
				"limits": "epoch=e seq=6 max_concurrency=1 total=10 reset_at=@-500", "remaining": "", "spent": "",
				"out": "00001@a#1=@4950 00003@a#3=@-600 00002@a#2=@900 ttl=604800000",
			},
			reply: "identified seq=7",
			after: with(told, state{
				"limits":    "epoch=e seq=7 max_concurrency=1 total=10 reset_at=@86400000 since=@0 period=1",
				"remaining": "8 ttl=86400000", "spent": "1=1 2=1 ttl=86400000", "paid:00001@a#1": "identified ttl=86400000",
				"out": "00001@a#1=@0 00002@a#2=@900 ttl=604800000",
			}),
		},
		{
			name: "IsPaidThoughItHadLapsedInTheLastPeriod", seed: state{"out": "", "paid:00001@a#1": "granted e 7 ttl=30000"},
			reply: "identified seq=7", after: with(told, state{"remaining": "8 ttl=60000", "spent": "1=2 ttl=60000"}),
		},
		{name: "ASlotOfAWrongType", seed: state{"slot:0": "!list"}, reply: "WRONGTYPE"},
		{name: "LimitsOfAWrongType", seed: state{"limits": "!string"}, reply: "WRONGTYPE"},
		{name: "WhateverTheLimitsSay", seed: state{"limits": limitsWith("seq=abc closed_until=x")}, reply: "identified seq=0", after: with(told, state{"limits": limitsWith("seq=abc closed_until=x")})},
	})
}

var (
	announcedNow = state{
		"slot:0": "00001@a#1 ttl=5050", "opens": "0=@5050", "paid:00001@a#1": "announced e 0 1 ttl=60000",
		"limits": limitsWith("seq=7"), "out": "00001@a#1=@25 ttl=604800000",
	}
	said = state{ // as the announcement left it, 3 s ago
		"slot:0": "00001@a#1 ttl=20000", "opens": "0=@20000", "paid:00001@a#1": "announced e 0 1 ttl=57000", "out": "00001@a#1=@-2975 ttl=604800000",
	}
	lapsed = state{"slot:0": "", "opens": "0=@-9"}
)

// What a pod hears that is about to send IDENTIFY, and whose clocks may have stood
// still for any time.
func TestAnnounced(t *testing.T) {
	announce.run(t, []contract{
		{name: "StartsTheWindow", reply: "identified seq=7", after: announcedNow},
		{name: "StartsItOnce", times: 3, reply: "identified seq=7", after: announcedNow},
		{name: "ALateCopyStartsNoOther", seed: said, reply: "identified seq=6"},
		{name: "ALateCopyIsHarmlessAlsoOnceAnotherHasTheBucket", seed: with(said, state{"slot:0": "00002@b#1 ttl=4000"}), reply: "identified seq=6"},
		{name: "ALateCopyIsHarmlessOnceItIdentified", seed: with(said, state{"paid:00001@a#1": "identified ttl=30000"}), reply: "identified seq=6"},
		{
			name: "StartsAgainWhereTheAnswerCameTooLate", call: args{"nth": "2", "closes": "5500", "usable": "475"}, seed: said, reply: "identified seq=7",
			after: with(announcedNow, state{
				"slot:0": "00001@a#1 ttl=5500", "opens": "0=@5500", "paid:00001@a#1": "announced e 0 2 ttl=60000", "out": "00001@a#1=@475 ttl=604800000",
			}),
		},
		{name: "IsGoneOnceAnotherHasTheBucket", seed: state{"slot:0": "00002@b#1 ttl=4000", "opens": "0=@4000"}, reply: "gone seq=6"},
		{name: "IsGoneOnceAnotherHasAPermit", seed: state{"slot:0": "00002@b#1 permit ttl=4000", "opens": "0=@4000"}, reply: "gone seq=6"},
		{name: "IsGoneOnceAnotherHasHadItSinceTheLast", call: args{"nth": "2"}, seed: with(said, state{"slot:0": "00002@b#1 ttl=4000"}), reply: "gone seq=6"},
		{name: "IsGoneOnceItWasAbandoned", seed: state{"paid:00001@a#1": "left ttl=30000", "slot:0": "", "opens": "0=@-9"}, reply: "gone seq=6"},
		{
			name: "WhereTheLeaseHasEndedAndTheBucketIsOpen", seed: lapsed, reply: "identified seq=7", after: announcedNow,
		},
		{ // a replica that was promoted may have missed a grant, and claim has not looked yet
			name: "IsGoneWhereTheServerIsAnother", on: "told", seed: with(lapsed, state{"limits": limitsWith("seq=6" + elsewhere)}), reply: "gone seq=6",
		},
		{name: "IsGoneWhereTheBucketIsClosedByWhatWasDeleted", seed: state{"slot:0": "", "opens": "0=@30000"}, reply: "gone seq=6"},
		{name: "IsGoneWhereNobodyKnowsWhenTheBucketOpens", seed: state{"slot:0": "", "opens": ""}, reply: "gone seq=6"},
		{name: "IsGoneWhereThatIsNoTime", seed: state{"slot:0": "", "opens": "0=soon"}, reply: "gone seq=6"},
		{name: "IsGoneWhereEveryBucketIsClosed", seed: with(lapsed, state{"limits": limitsWith("seq=6 closed_until=@90000")}), reply: "gone seq=6"},
		{name: "IsGoneWhereItsBucketBelongsToOtherLimits", call: args{"granted_buckets": "2"}, seed: lapsed, reply: "gone seq=6"},
		{name: "IsGoneWhereItsTicketIsForgotten", seed: with(lapsed, state{"paid:00001@a#1": ""}), reply: "gone seq=6"},
		{
			name:  "IsGoneWhereAllStateWasLost",
			seed:  state{"limits": "", "remaining": "", "slot:0": "", "opens": "", "paid:00001@a#1": "", "spent": "", "out": ""},
			reply: "gone seq=0",
		},
		{
			name:  "StandsWhereAllStateWasLostAndItWasRenewedSince",
			seed:  state{"limits": "", "remaining": "", "paid:00001@a#1": "granted ttl=60000", "spent": "", "out": "00001@a#1=@4950 ttl=604800000"},
			reply: "identified seq=0",
			after: with(announcedNow, state{"limits": "", "paid:00001@a#1": "announced - 0 1 ttl=60000"}),
		},
		{
			name:  "StandsThoughEveryBucketIsClosed", // by others: its slot says that this one is its own
			seed:  state{"limits": limitsWith("seq=6 closed_until=@9000")},
			reply: "identified seq=7", after: with(announcedNow, state{"limits": limitsWith("seq=7 closed_until=@9000")}),
		},
		{
			name: "UnderOtherLimitsClosesEveryBucket", call: args{"granted_buckets": "2"},
			reply: "late seq=7", after: with(announcedNow, state{"limits": limitsWith("seq=7 closed_until=@5050")}),
		},
		{
			name: "IsPaidByTheStateThatHasLostIt", seed: state{"out": "", "paid:00001@a#1": "granted d 0 ttl=30000"}, reply: "identified seq=7",
			after: with(announcedNow, state{"remaining": "8 ttl=60000", "spent": "1=2 ttl=60000"}),
		},
		{
			name: "IsGoneWhereNothingIsLeftToPayWith",
			seed: state{"out": "", "paid:00001@a#1": "granted d 0 ttl=30000", "remaining": "0 ttl=60000"}, reply: "gone seq=6",
		},
		{
			name: "BeginsThePeriod", seed: state{"limits": "epoch=e seq=6 max_concurrency=1 total=10", "remaining": "9", "spent": "1=1"},
			reply: "identified seq=7",
			after: with(announcedNow, state{
				"limits":    "epoch=e seq=7 max_concurrency=1 total=10 reset_at=@86400025 slack=25 since=@0 first=00001@a#1",
				"remaining": "9 ttl=86400025", "spent": "1=1 ttl=86400025", "paid:00001@a#1": "announced e 0 1 ttl=86400025",
			}),
		},
		{
			name: "IsPaidByThePeriodInWhichItIs",
			seed: state{
				"limits":    "epoch=e seq=6 max_concurrency=1 total=10 reset_at=@-500",
				"remaining": "", "spent": "",
			},
			reply: "identified seq=7",
			after: with(announcedNow, state{
				"limits":    "epoch=e seq=7 max_concurrency=1 total=10 reset_at=@86400025 slack=25 since=@0 period=1 first=00001@a#1",
				"remaining": "9 ttl=86400025", "spent": "1=1 ttl=86400025", "paid:00001@a#1": "announced e 1 1 ttl=86400025",
			}),
		},
	})
}

// What comes after an announcement.
func TestAnnouncedThenIdentified(t *testing.T) {
	identified.run(t, []contract{
		{
			name: "LaterThanAnnouncedStartsTheWindowAgain", seed: said, reply: "identified seq=7",
			after: with(announcedNow, state{"paid:00001@a#1": "identified ttl=60000", "out": "00001@a#1=@0 ttl=604800000"}),
		},
		{
			name: "LaterThanAnnouncedMakesThePeriodCertain", seed: with(said, state{"limits": limitsWith("seq=6 first=00001@a#1")}), reply: "identified seq=7",
			after: with(announcedNow, state{
				"limits":    "epoch=e seq=7 max_concurrency=1 total=10 reset_at=@86400000 since=@0",
				"remaining": "9 ttl=86400000", "spent": "1=1 ttl=86400000", "paid:00001@a#1": "identified ttl=86400000", "out": "00001@a#1=@0 ttl=604800000",
			}),
		},
		{
			name: "AWindowLaterThanAnnouncedClosesEveryBucket", seed: with(said, lapsed), reply: "late seq=7",
			after: state{"limits": limitsWith("seq=7 closed_until=@5050"), "paid:00001@a#1": "identified ttl=60000", "out": "00001@a#1=@0 ttl=604800000"},
		},
		{
			name: "LaterThanAnnouncedInAnothersWindowClosesEveryBucket",
			seed: with(said, state{"slot:0": "00002@b#1 ttl=4000", "opens": "0=@4000"}), reply: "late seq=7",
			after: state{"limits": limitsWith("seq=7 closed_until=@5050"), "paid:00001@a#1": "identified ttl=60000", "out": "00001@a#1=@0 ttl=604800000"},
		},
	})
}

func TestAnnouncedThenRenewed(t *testing.T) {
	renew.run(t, []contract{
		{name: "IsGoneOnceItWasAnnounced", seed: said, reply: "gone seq=6"},
	})
}

func TestAnnouncedThenAbandoned(t *testing.T) {
	abandon.run(t, []contract{
		{
			name: "GivesBackWhatWasAnnouncedAndNotSent", call: args{"others": "00001@a#1"}, seed: said, reply: "left units=1",
			after: state{"slot:0": "", "opens": "0=@0", "paid:00001@a#1": "left ttl=60000", "remaining": "10 ttl=60000", "spent": "1=0 ttl=60000", "out": ""},
		},
		{
			name: "GivesTheUnitBackAlsoOnceItsWindowIsOver", call: args{"others": "00001@a#1"},
			seed: with(said, state{"slot:0": "00002@b#1 ttl=4000", "out": ""}), reply: "left units=1",
			after: state{"paid:00001@a#1": "left ttl=60000", "remaining": "10 ttl=60000", "spent": "1=0 ttl=60000"},
		},
	})
}

func TestRenew(t *testing.T) {
	lease := state{"limits": limitsWith("seq=7")}
	renew.run(t, []contract{
		{
			name:  "UnderOtherLimitsWhereTheEndOfAHoldIsMissing",
			seed:  state{"limits": "epoch=e seq=6 max_concurrency=2 total=10 reset_at=@60000 closed_until=none"},
			reply: "renewed", after: with(held, state{"limits": "epoch=e seq=7 max_concurrency=2 total=10 reset_at=@60000 closed_until=none"}),
		},
		{name: "KeepsTheBucketClosed", seed: state{"slot:0": "00001@a#1 permit ttl=3000", "opens": "0=@3000"}, reply: "renewed seq=7", after: with(held, lease)},
		{
			name:  "WhereAllStateWasLost",
			seed:  state{"limits": "", "remaining": "", "slot:0": "", "opens": "", "paid:00001@a#1": "", "spent": ""},
			reply: "renewed seq=0",
			after: state{"slot:0": "00001@a#1 permit ttl=10000", "opens": "0=@10000", "paid:00001@a#1": "granted ttl=60000"},
		},
		{
			name: "IsPaidByTheStateThatHasLostIt", seed: state{"paid:00001@a#1": "granted d 0 ttl=30000", "out": ""}, reply: "renewed seq=7",
			after: with(lease, state{"remaining": "8 ttl=60000", "spent": "1=2 ttl=60000", "out": "00001@a#1=@4950 ttl=604800000", "paid:00001@a#1": "granted e 0 ttl=60000"}),
		},
		{name: "IsGoneOnceAnotherHasTheBucket", seed: state{"slot:0": "00002@b#1 ttl=4000"}, reply: "gone seq=6"},
		{name: "IsGoneOnceAnotherHasAPermit", seed: state{"slot:0": "00002@b#1 permit ttl=4000"}, reply: "gone seq=6"},
		{name: "BringsALostSlotBack", seed: state{"slot:0": ""}, reply: "renewed seq=7", after: with(held, lease)},
		{name: "IsGoneOnceAnotherMayHaveHadTheBucket", seed: state{"slot:0": ""}, call: args{"in_time": "0"}, reply: "gone seq=6"},
		{name: "ButNotWhileTheSlotSaysOtherwise", call: args{"in_time": "0"}, reply: "renewed seq=7", after: with(held, lease)},
		{name: "IsGoneOnceItWasAbandoned", seed: state{"paid:00001@a#1": "left ttl=30000", "slot:0": ""}, reply: "gone seq=6"},
		{name: "IsGoneOnceItIdentified", seed: state{"paid:00001@a#1": "identified ttl=30000", "slot:0": "00001@a#1 ttl=4000"}, reply: "gone seq=6"},
		{
			name: "ClosesEveryBucketUnderOtherLimits", call: args{"granted_buckets": "2"}, reply: "renewed seq=7",
			after: state{"limits": limitsWith("seq=7 closed_until=@10000")},
		},
		{
			name: "ForNoLongerThanItMayBeHeld", call: args{"latest": "@6000"}, reply: "renewed seq=7",
			after: with(lease, state{"slot:0": "00001@a#1 permit ttl=6000", "opens": "0=@6000"}),
		},
		{name: "IsGoneOnceItIsTooOld", call: args{"latest": "@0"}, reply: "gone seq=6"},
		{name: "LimitsOfAWrongType", seed: state{"limits": "!string"}, reply: "WRONGTYPE"},
	})
}

// A shard backs off from its last identify: not from a grant that was given back.
func TestAbandonedGrantsLeaveNoRest(t *testing.T) {
	one := args{"others": "00001@a#1"}
	after := func(paid, ends string) state {
		return with(held, state{"paid:00001@a#1": paid + " ttl=60000", "backoffs": ends + " ttl=60000", "spent": "1=4 ttl=60000"})
	}
	over, stays := state{"backoffs": "1=@0 2=@9000 ttl=60000"}, func(ends string) state { return state{"backoffs": ends + " ttl=60000"} }
	left := state{
		"slot:0": "", "opens": "0=@0", "remaining": "10 ttl=60000", "spent": "1=3 ttl=60000", "paid:00001@a#1": "left ttl=60000", "out": "",
	}
	abandon.run(t, []contract{
		{
			name: "TheBackoffOfItsGrantIsOver", call: one, seed: after("granted e 0 @7000", "1=@7000 2=@9000"),
			reply: "left units=1", after: with(left, over),
		},
		{
			name: "ThatOfALaterGrantStays", call: one, seed: after("granted e 0 @7000", "1=@12000"),
			reply: "left units=1", after: with(left, stays("1=@12000")),
		},
		{
			name: "AndOneThatAnotherSaidStays", call: one, seed: after("granted e 0", "1=@7000"),
			reply: "left units=1", after: with(left, stays("1=@7000")),
		},
		{
			name: "AndThatOfWhatMayHaveLeft", call: one, seed: after("announced e 0 1", "1=@7000"),
			reply: "left units=1", after: with(left, stays("1=@7000")),
		},
		{
			name: "AndThatOfWhatIdentified", call: one, seed: after("identified", "1=@7000"),
			reply: "left units=0", after: stays("1=@7000"),
		},
		{
			name: "AlsoWhereItsWaitGoesOn", call: args{"others": "00001@a#1", "goes_on": "1"}, seed: after("granted e 0 @7000", "1=@7000 2=@9000"),
			reply: "left units=1", after: with(with(left, over), state{"paid:00001@a#1": ""}),
		},
		{
			name: "APlaceAloneEndsNoBackoff", call: args{"others": "00001@a#1", "places_only": "1"}, seed: after("granted e 0 @7000", "1=@7000"),
			reply: "left units=0", after: stays("1=@7000"),
		},
	})
}

func TestAbandon(t *testing.T) {
	back := state{
		"slot:0": "", "opens": "0=@0", "remaining": "10 ttl=60000", "spent": "1=0 ttl=60000", "paid:00001@a#1": "left ttl=60000",
		"out": "",
	}
	one := args{"others": "00001@a#1"}
	abandon.run(t, []contract{
		{name: "GivesSlotAndUnitBack", call: one, reply: "left units=1", after: back},
		{name: "GivesThemBackOnce", call: one, times: 3, reply: "left units=0", after: back},
		{name: "AlsoThoseOfAGrantNobodyTook", call: one, seed: state{"slot:0": "00001@a#1 ttl=5250"}, reply: "left units=1", after: back},
		{
			name: "GivesUpPlaces", call: args{"others": "00002@a#2 00003@a#3"},
			seed:  state{"queue:0": "00002@a#2=@-9 00003@a#3=@-8 00004@b#1=@-7"},
			reply: "left units=0",
			after: state{"queue:0": "00004@b#1=@-7", "paid:00002@a#2": "left ttl=60000", "paid:00003@a#3": "left ttl=60000"},
		},
		{
			name: "LeavesNoPeriodBehind", call: one, seed: state{"limits": limitsWith("seq=6 first=00001@a#1")},
			reply: "left units=1",
			after: with(back, state{"limits": "epoch=e max_concurrency=1 total=10 reset_at=0 seq=6", "remaining": "10", "spent": ""}),
		},
		{
			name: "LeavesADoubtWhereOthersHaveSpent", call: one, seed: state{"limits": limitsWith("seq=6 first=00001@a#1"), "remaining": "5 ttl=60000"},
			reply: "left units=1",
			after: with(back, state{"limits": limitsWith("seq=6 first=?"), "remaining": "6 ttl=60000"}),
		},
		{
			name: "LeavesTheSlotOfAnother", call: one, seed: state{"slot:0": "00002@b#1 ttl=5000"},
			reply: "left units=1", after: with(back, state{"slot:0": "00002@b#1 ttl=5000", "opens": "0=@10000"}),
		},
		{
			name: "GivesNothingBackAfterIdentified", call: one, seed: state{"paid:00001@a#1": "identified ttl=30000", "slot:0": "00001@a#1 ttl=5000"},
			reply: "left units=0",
		},
		{
			name: "GivesNoUnitBackInAnotherPeriod", call: one,
			seed: state{"paid:00001@a#1": "granted e 7 ttl=30000", "out": ""}, reply: "left units=0",
			after: with(back, state{"remaining": "9 ttl=60000", "spent": "1=1 ttl=60000"}),
		},
		{
			name: "GivesNoUnitBackInAnotherEpoch", call: one,
			seed: state{"paid:00001@a#1": "granted d 0 ttl=30000", "out": ""}, reply: "left units=0",
			after: with(back, state{"remaining": "9 ttl=60000", "spent": "1=1 ttl=60000"}),
		},
		{
			name: "GivesBackWhatAFormerVersionHasGranted", call: one,
			seed:  state{"paid:00001@a#1": "granted e @59000 ttl=30000", "out": ""},
			reply: "left units=1", after: back,
		},
		{
			name: "GivesNoMoreBackThanTheTotal", call: one, seed: state{"remaining": "10 ttl=60000"},
			reply: "left units=0", after: with(back, state{"spent": "1=1 ttl=60000"}),
		},
		{
			name: "CreatesNoBudget", call: one, seed: state{"remaining": ""},
			reply: "left units=0", after: with(back, state{"remaining": "", "spent": "1=1 ttl=60000"}),
		},
		{
			name: "OrPlacesOnly", call: args{"others": "00001@a#1", "places_only": "1"}, seed: state{"queue:0": "00001@a#1=@-9"},
			reply: "left units=0", after: state{"queue:0": ""},
		},
		{
			name: "CreatesNoSpent", call: one, seed: state{"spent": ""}, reply: "left units=1", after: with(back, state{"spent": ""}),
		},
		{
			name: "TakesThePodAlong", call: args{"leaving_pod": "a"}, seed: state{"pods": "a=@30000 b=@30000"},
			reply: "left units=0", after: state{"pods": "b=@30000"},
		},
		{name: "LimitsOfAWrongType", seed: state{"limits": "!string"}, call: one, reply: "WRONGTYPE"},
		{name: "QueueOfAWrongType", seed: state{"queue:0": "!string"}, call: one, reply: "WRONGTYPE"},
		{name: "ABudgetThatIsNone", seed: state{"remaining": "1.5 ttl=60000"}, call: one, reply: "left units=0", after: with(back, state{"remaining": "1.5 ttl=60000", "spent": "1=1 ttl=60000"})},
	})
}

// A permit that was granted before a figure of Discord's that was below ours, and
// is in neither since: `remaining` pays for it again, but it is one identify.
var lowered = with(held, state{"limits": limitsWith("seq=6 period=1 counted=0"), "out": ""})

func TestATicketOfBeforeALowerFigureCountsOnceForItsShard(t *testing.T) {
	t.Run("Identified", func(t *testing.T) {
		identified.run(t, []contract{
			{
				name: "IsSpentOnce", seed: lowered, reply: "identified seq=7",
				after: with(lowered, state{
					"slot:0": "00001@a#1 ttl=5050", "opens": "0=@5050", "paid:00001@a#1": "identified ttl=60000", "remaining": "8 ttl=60000",
					"limits": limitsWith("seq=7 period=1 counted=0"), "out": "00001@a#1=@0 ttl=604800000",
				}),
			},
			{
				name: "AndAgainWhereWhatTheShardSpentWasLost", seed: with(lowered, state{"spent": ""}), reply: "identified seq=7",
				after: with(lowered, state{
					"slot:0": "00001@a#1 ttl=5050", "opens": "0=@5050", "paid:00001@a#1": "identified ttl=60000", "remaining": "8 ttl=60000",
					"limits": limitsWith("seq=7 period=1 counted=0"), "out": "00001@a#1=@0 ttl=604800000", "spent": "1=1",
				}),
			},
			{
				name: "AndAgainIfAnotherPeriodHasBegunSinceItsOwn",
				seed: with(lowered, state{"limits": limitsWith("seq=6 period=3 counted=2")}), reply: "identified seq=7",
				after: with(lowered, state{
					"slot:0": "00001@a#1 ttl=5050", "opens": "0=@5050", "paid:00001@a#1": "identified ttl=60000", "remaining": "8 ttl=60000",
					"limits": limitsWith("seq=7 period=3 counted=2"), "out": "00001@a#1=@0 ttl=604800000", "spent": "1=2 ttl=60000",
				}),
			},
			{
				name:  "AndByThePeriodThatHasBegunSince",
				seed:  with(lowered, state{"limits": "epoch=e seq=6 max_concurrency=1 total=10 reset_at=@-500 period=1 counted=0"}),
				reply: "identified seq=7",
				after: with(lowered, state{
					"slot:0": "00001@a#1 ttl=5050", "opens": "0=@5050", "paid:00001@a#1": "identified ttl=86400000", "remaining": "9 ttl=86400000",
					"limits": "epoch=e seq=7 max_concurrency=1 total=10 reset_at=@86400000 since=@0 period=2",
					"out":    "00001@a#1=@0 ttl=604800000", "spent": "1=1 ttl=86400000",
				}),
			},
		})
	})
	t.Run("Renewed", func(t *testing.T) {
		renew.run(t, []contract{{
			name: "IsSpentOnce", seed: lowered, reply: "renewed seq=7",
			after: with(lowered, state{
				"paid:00001@a#1": "granted e 1 ttl=60000", "remaining": "8 ttl=60000",
				"limits": limitsWith("seq=7 period=1 counted=0"), "out": "00001@a#1=@4950 ttl=604800000",
			}),
		}})
	})
	t.Run("Abandoned", func(t *testing.T) {
		abandon.run(t, []contract{{
			name: "WasNotSpentAtAll", call: args{"others": "00001@a#1"}, seed: lowered, times: 2, reply: "left units=0",
			after: with(lowered, state{"slot:0": "", "opens": "0=@0", "paid:00001@a#1": "left ttl=60000", "spent": "1=0 ttl=60000"}),
		}})
	})
	t.Run("ClaimedAgain", func(t *testing.T) {
		claim.run(t, []contract{{
			name: "IsSpentOnce", reply: "granted remaining=8 seq=6",
			seed: state{
				"limits":         "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 period=1 counted=0",
				"paid:00001@a#1": "granted e 0 ttl=60000", "remaining": "9 ttl=60000", "spent": "1=1 ttl=60000",
			},
			after: with(granted, state{
				"limits":         "epoch=e seq=6 max_concurrency=1 total=10 reset_at=@60000 period=1 counted=0",
				"paid:00001@a#1": "granted e 1 ttl=60000", "remaining": "8 ttl=60000",
			}),
		}})
	})
}

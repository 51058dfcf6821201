package lua_test

// The identity of the server, and what pods must agree on: the parts of lib/server.lua at
// work in the scripts that use them.

import "testing"

const elsewhere = " run_id=0123456789012345678901234567890123456789 master_replid=9876543210987654321098765432109876543210"

// lostBy is the usual limits as another server left them.
func lostBy(identity string) state {
	return state{"limits": "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000" + identity}
}

func TestClaimNoticesThatTheServerIsAnother(t *testing.T) {
	closed := func(more string) state {
		return state{
			"limits":  "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 closed_until=@5250 refresh_at=0" + more,
			"queue:0": "00001@a#1=@0", "pods": "a=@30000",
		}
	}
	claim.run(t, []contract{
		{name: "ItIsTheSame", on: "told", reply: "granted server=same", after: granted},
		{name: "ItIsTheSameThoughItDidNotKnowTheScript", on: "told", call: args{"notice": "1"}, reply: "granted server=same", after: granted},
		{name: "AnotherProcess", on: "told", seed: lostBy(elsewhere), reply: "wait wait=~5250 shut=~5250 server=process", after: closed("")},
		{name: "AnotherProcessAndOnlyOnce", on: "told", seed: lostBy(elsewhere), times: 2, reply: "wait wait=~5250 server=same", after: closed("")},
		{name: "NoneIsStored", on: "told", seed: lostBy(" run_id= master_replid="), reply: "wait wait=~5250 server=new", after: closed("")},
		{
			name: "WhateverElseIsWrong", on: "told", seed: lostBy(elsewhere), call: args{"known_seq": "6"}, reply: "resync server=process",
			after: state{"limits": "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 closed_until=@5250 refresh_at=0"},
		},
		{
			name: "ForAsLongAsTheLongestGrantOfAnyPod", on: "told", seed: lostBy(elsewhere + " grace=9000@9999999999999 window=6000@9999999999999"),
			reply: "wait wait=~15000 server=process window=6000 grace=9000",
			after: state{
				"limits": "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 closed_until=@15000 refresh_at=0" +
					" grace=9000@9999999999999 window=6000@9999999999999",
				"queue:0": "00001@a#1=@0", "pods": "a=@30000",
			},
		},
		{
			name: "NotIfItIsOnlyHeardOfElsewhere", on: "blind", reply: "granted", after: granted,
		},
		{
			name: "NotAfterAFreshStart", on: "blind", call: args{"notice": "1"},
			seed:  lostBy(" fresh_until=@5000"),
			reply: "granted",
			after: with(granted, state{"limits": "epoch=e seq=6 max_concurrency=1 total=10 reset_at=@60000 fresh_until=@5000"}),
		},
		{
			name: "ButLongAfterIt", on: "blind", call: args{"notice": "1"},
			seed:  lostBy(" fresh_until=@-1"),
			reply: "wait",
			after: closed(" fresh_until=@-1"),
		},
	})
}

// Absent is not zero: where the end of a hold was deleted nobody knows it.
func TestClaimMissesTheEndOfAHold(t *testing.T) {
	claim.run(t, []contract{
		{
			name: "ClosesEveryBucket", seed: lostBy(" closed_until=none"), reply: "wait wait=~5250 shut=~5250 server=edited",
			after: state{
				"limits":  "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 closed_until=@5250 refresh_at=0",
				"queue:0": "00001@a#1=@0", "pods": "a=@30000",
			},
		},
		{name: "AndOnlyOnce", seed: lostBy(" closed_until=none"), times: 2, reply: "wait wait=~5250", after: state{
			"limits":  "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 closed_until=@5250 refresh_at=0",
			"queue:0": "00001@a#1=@0", "pods": "a=@30000",
		}},
	})
}

func TestSyncMissesTheEndOfAHold(t *testing.T) {
	sync.run(t, []contract{
		{
			name: "ClosesEveryBucket", seed: state{"limits": "epoch=e seq=5 max_concurrency=2 total=10 reset_at=@60000 closed_until=none"},
			reply: "ok server=edited closed_until=@5250",
			after: state{"limits": "epoch=e seq=5 max_concurrency=2 total=10 reset_at=@60000 closed_until=@5250 refresh_at=0"},
		},
	})
}

func TestSyncNoticesThatTheServerIsAnother(t *testing.T) {
	as := func(more string) state {
		return state{"limits": "epoch=e seq=5 max_concurrency=2 total=10 reset_at=@60000" + more}
	}
	sync.run(t, []contract{
		{name: "ItIsTheSame", reply: "ok closed_until=0"},
		{
			name: "AnotherProcess", on: "told", seed: as(elsewhere), reply: "ok server=process closed_until=@5250",
			after: as(" closed_until=@5250 refresh_at=0"),
		},
		{
			name: "AnotherProcessAndNewLimits", on: "told", seed: as(elsewhere), call: knows(args{"update": "1", "buckets": "2", "new_buckets": "2"}),
			reply: "changed server=process closed_until=@5250",
			after: state{"limits": "epoch=e seq=6 max_concurrency=2 total=10 reset_at=@60000 closed_until=@5250 refresh_at=@600000 updates=n"},
		},
		{name: "SomethingIsLeftOfWhatWasThere", seed: with(nothing, state{"opens": "0=@4000"}), call: args{"fresh": "1"}, reply: "seeded closed_until=@5250",
			after: state{
				"limits": "epoch=n seq=0 max_concurrency=1 total=10 reset_at=0 closed_until=@5250 refresh_at=@600000", "remaining": "10",
			}},
		{name: "OnlyWhatWasSpentIsLeft", seed: with(nothing, state{"spent": "1=3"}), call: args{"fresh": "1"}, reply: "seeded remaining=7 closed_until=@5250",
			after: state{
				"limits": "epoch=n seq=0 max_concurrency=1 total=10 reset_at=0 closed_until=@5250 refresh_at=@600000", "remaining": "7",
			}},
		{name: "OnlyPermitsAreLeft", seed: with(nothing, state{"out": "00001@a#1=@4000"}), call: args{"fresh": "1"}, reply: "seeded remaining=9 closed_until=@5250",
			after: state{
				"limits": "epoch=n seq=0 max_concurrency=1 total=10 reset_at=0 closed_until=@5250 refresh_at=@600000", "remaining": "9",
			}},
		{name: "OnlyTheBudgetIsLeft", seed: state{"limits": ""}, call: args{"fresh": "1"}, reply: "seeded remaining=7 closed_until=@5250",
			after: state{
				"limits":    "epoch=n seq=0 max_concurrency=1 total=10 reset_at=@60000 closed_until=@5250 refresh_at=@600000",
				"remaining": "7 ttl=60000",
			}},
		{name: "OnlyTheLimitsAreLeft", seed: state{"remaining": ""}, call: args{"fresh": "1"}, reply: "seeded closed_until=@5250",
			after: state{
				"limits":    "epoch=n seq=5 max_concurrency=2 total=10 reset_at=@60000 closed_until=@5250 refresh_at=@600000",
				"remaining": "10 ttl=60000",
			}},
	})
}

func TestClaimAgreesOnTheLongest(t *testing.T) {
	limits := func(more string) string { return "epoch=e seq=6 max_concurrency=1 total=10 reset_at=@60000" + more }
	claim.run(t, []contract{
		{
			name: "WhereNobodySaidSoBefore",
			seed: state{"limits": "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 window=? grace=? pod_lease=?"},
			call: args{"own_window": "6000"}, reply: "granted wait=5250 window=6000 grace=250",
			after: with(granted, state{"limits": limits(" window=6000@NOW grace=250@NOW pod_lease=3000@NOW")}),
		},
		{
			name:  "AnothersWindowIsAddedToEveryGrant",
			seed:  state{"limits": "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 window=6000@NOW"},
			reply: "granted wait=6250 shut=6250 window=6000",
			after: with(granted, state{"limits": limits(" window=6000@NOW"), "slot:0": "00001@a#1 ttl=6250", "opens": "0=@6250"}),
		},
		{
			name:  "AndToAPermitsLease",
			call:  args{"permit": "1", "closes": "10000", "usable": "4950"},
			seed:  state{"limits": "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 window=6000@NOW"},
			reply: "granted wait=11000",
			after: with(granted, state{"limits": limits(" window=6000@NOW"), "slot:0": "00001@a#1 permit ttl=11000", "opens": "0=@11000", "out": "00001@a#1=@4950 ttl=604800000"}),
		},
		{
			name:  "ALongerOneClosesEveryBucketForThoseOfBefore",
			call:  args{"own_window": "6000"},
			reply: "wait wait=~6250 window=6000",
			after: state{
				"limits":  "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 closed_until=@6250 refresh_at=0 window=6000@NOW",
				"queue:0": "00001@a#1=@0", "pods": "a=@30000",
			},
		},
		{
			name: "ALongerGraceClosesNone", call: args{"own_grace": "900", "own_pod_lease": "4000"}, reply: "granted grace=900",
			after: with(granted, state{"limits": limits(" grace=900@NOW pod_lease=4000@NOW")}),
		},
		{
			name:  "OnesOfPodsThatAreGoneCountNoMore",
			seed:  state{"limits": "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 window=6000@LONGAGO"},
			reply: "granted wait=5250 window=5000",
			after: with(granted, state{"limits": limits("")}),
		},
		{
			name: "MoreReplicas", call: args{"own_replicas": "1"}, reply: "granted replicas=1",
			after: with(granted, state{"limits": limits(" replicas=1@NOW")}),
		},
		{
			name:  "MoreReplicasOfOthers",
			seed:  state{"limits": "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 replicas=2@NOW"},
			reply: "granted replicas=2",
			after: with(granted, state{"limits": limits(" replicas=2@NOW")}),
		},
		{
			name:  "ReplicasOfPodsThatAreGone",
			seed:  state{"limits": "epoch=e seq=5 max_concurrency=1 total=10 reset_at=@60000 replicas=2@LONGAGO"},
			reply: "granted replicas=0",
			after: with(granted, state{"limits": limits(" replicas=0@NOW")}),
		},
	})
}

func TestPermitsAgreeOnTheLongestWindow(t *testing.T) {
	longer := state{"limits": "epoch=e seq=6 max_concurrency=1 total=10 reset_at=@60000 window=6000@NOW"}
	after := state{"limits": "epoch=e seq=7 max_concurrency=1 total=10 reset_at=@60000 window=6000@NOW"}
	t.Run("Identified", func(t *testing.T) {
		identified.run(t, []contract{{
			name: "TheWindowIsThatOfAll", seed: longer, reply: "identified",
			after: with(after, state{"slot:0": "00001@a#1 ttl=6050", "opens": "0=@6050", "paid:00001@a#1": "identified ttl=60000", "out": "00001@a#1=@0 ttl=604800000"}),
		}})
	})
	t.Run("Renew", func(t *testing.T) {
		renew.run(t, []contract{
			{
				name: "TheLeaseCoversTheWindowOfAll", seed: longer, reply: "renewed",
				after: with(after, state{"slot:0": "00001@a#1 permit ttl=11000", "opens": "0=@11000"}),
			},
			{
				name: "AndGrowsNoFurther", seed: longer, times: 3, reply: "renewed",
				after: with(after, state{
					"limits": "epoch=e seq=9 max_concurrency=1 total=10 reset_at=@60000 window=6000@NOW",
					"slot:0": "00001@a#1 permit ttl=11000", "opens": "0=@11000",
				}),
			},
			{
				name: "ALongerLeaseOfAnotherPodStands", seed: state{"slot:0": "00001@a#1 permit ttl=20000", "opens": "0=@20000"}, reply: "renewed",
				after: state{"limits": "epoch=e seq=7 max_concurrency=1 total=10 reset_at=@60000"},
			},
		})
	})
}

package dashboard

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/gatewayqueue/gatewayqueue"
)

const step = 5250 * time.Millisecond

// at is a snapshot of one bucket, after a time.
func at(after time.Duration, b gatewayqueue.BucketStatus) gatewayqueue.Status {
	return gatewayqueue.Status{
		Time:    time.UnixMilli(1_800_000_000_000).Add(after),
		Budget:  gatewayqueue.BudgetStatus{Total: 1000, Remaining: 900, MaxConcurrency: 1},
		Buckets: []gatewayqueue.BucketStatus{b},
	}
}

func closed(by string, d time.Duration, waiting int) gatewayqueue.BucketStatus {
	return gatewayqueue.BucketStatus{Holder: by, Closed: d, Waiting: waiting}
}

func TestAFleetThatStartsIsFollowedToItsEnd(t *testing.T) {
	track := tracker{step: step}
	s := track.take(at(0, closed("00000@a#1", step, 2)))
	assert.Equal(t, 1, s.Progress.Up)
	assert.Equal(t, 3, s.Progress.Of)
	assert.Equal(t, track.now+2*step.Milliseconds(), s.Progress.Eta, "the second in line")

	s = track.take(at(time.Second, closed("00000@a#1", step-time.Second, 2)))
	assert.Equal(t, 1, s.Progress.Up, "one holder is one grant")

	track.take(at(5500*time.Millisecond, closed("00001@a#2", 5*time.Second, 1)))
	s = track.take(at(11*time.Second, closed("00002@a#3", 5*time.Second, 0)))
	assert.Equal(t, 3, s.Progress.Up)
	assert.Equal(t, 3, s.Progress.Of)
	assert.Equal(t, track.now, s.Progress.Ended)
	assert.Zero(t, s.Progress.Eta)

	s = track.take(at(time.Hour, closed("00007@a#9", step, 4)))
	assert.Equal(t, 1, s.Progress.Up, "another fleet begins")
	assert.Equal(t, 5, s.Progress.Of)
	assert.Zero(t, s.Progress.Ended)
}

func TestHowLongABucketIsClosedTellsWhenItsGrantWas(t *testing.T) {
	track := tracker{step: step}
	track.take(at(0, gatewayqueue.BucketStatus{}))
	track.take(at(2500*time.Millisecond, closed("00000@a#1", 4250*time.Millisecond, 0)))
	assert.Equal(t, int64(1_800_000_000_000+1500), track.grants[0].At)
	assert.Equal(t, int64(1_800_000_000_000+6750), track.grants[0].Until)
}

func TestAPermitIsFollowedUntilItIdentifies(t *testing.T) {
	track := tracker{step: step}
	b := closed("00003@a#1", 10*time.Second, 1)
	b.Permit = true
	track.take(at(0, b))
	assert.True(t, track.since(0)[0].Permit)
	seen := track.rev

	b.Closed, b.Permit = 5050*time.Millisecond, false
	s := track.take(at(500*time.Millisecond, b))
	changed := track.since(seen)
	assert.Len(t, changed, 1)
	assert.False(t, changed[0].Permit)
	assert.False(t, changed[0].NotSent)
	assert.Equal(t, 1, s.Progress.Up)
}

func TestAQueueThatNamesNoHolderAfterIdentifiedIsUnderstood(t *testing.T) {
	track := tracker{step: step}
	b := closed("3@#1", 2*time.Minute, 1)
	b.Permit = true
	track.take(at(0, b))
	s := track.take(at(time.Second, gatewayqueue.BucketStatus{Closed: 5 * time.Second, Waiting: 1}))
	assert.False(t, track.grants[0].Permit)
	assert.False(t, track.grants[0].NotSent)
	assert.Equal(t, track.now+5000, track.grants[0].Until)
	assert.Equal(t, 1, s.Progress.Up)
	s = track.take(at(6*time.Second, closed("9@#2", step, 0)))
	assert.Equal(t, 2, s.Progress.Up)
	assert.Len(t, track.grants, 2)
}

func TestAPermitThatCameAndWentBetweenTwoLooksIsSeenByWhatItSpent(t *testing.T) {
	track := tracker{step: step}
	track.take(at(0, gatewayqueue.BucketStatus{}))
	next := at(time.Second, gatewayqueue.BucketStatus{Closed: 5 * time.Second, Waiting: 1})
	next.Spent = map[int]int{7: 1}
	s := track.take(next)
	assert.Equal(t, &place{Shard: 7}, s.Buckets[0].Holder)
	assert.Equal(t, 1, s.Progress.Up)
	next.Time, next.Buckets[0].Closed = next.Time.Add(time.Second), 4*time.Second
	s = track.take(next)
	assert.Equal(t, &place{Shard: 7}, s.Buckets[0].Holder, "it is remembered")
	assert.Equal(t, 1, s.Progress.Up)

	next.Time, next.Buckets[0].Closed, next.Buckets[0].Waiting = next.Time.Add(5*time.Second), 5*time.Second, 0
	next.Spent = map[int]int{7: 2}
	s = track.take(next)
	assert.Equal(t, 1, s.Progress.Up, "the same shard again counts once")
	assert.Len(t, track.grants, 2)
}

func TestAPermitThatIsGivenBackIsNoProgress(t *testing.T) {
	track := tracker{step: step}
	b := closed("00003@a#1", 10*time.Second, 1)
	b.Permit = true
	track.take(at(0, b))
	s := track.take(at(time.Second, closed("00004@a#2", step, 0)))
	assert.True(t, track.grants[0].NotSent)
	assert.Equal(t, track.now, track.grants[0].Until)
	assert.Equal(t, 1, s.Progress.Up, "the other one")
}

func TestABudgetThatDoesNotLastIsSaid(t *testing.T) {
	track := tracker{step: step}
	s := at(0, closed("00000@a#1", step, 2))
	s.Budget.Remaining = 1
	assert.True(t, track.take(s).Progress.Starved)
	s.Budget.Remaining = 2
	assert.False(t, track.take(s).Progress.Starved)
}

func TestWhatIsNoTicketIsShownAsItIsAndIsNoGrant(t *testing.T) {
	track := tracker{step: step}
	s := track.take(at(0, closed("maintenance", 10*time.Minute, 0)))
	assert.Equal(t, &place{Shard: -1, Text: "maintenance"}, s.Buckets[0].Holder)
	assert.Empty(t, track.grants)
	assert.Equal(t, place{Shard: 4}, placeOf("4@#2"), "a ticket of a queue in memory")
	assert.Equal(t, place{Shard: 19, Pod: "web-2"}, placeOf("00019@web-2-5d0c11e9#4"))
}

func TestTheSameSlotSeenAgainIsNoNews(t *testing.T) {
	track := tracker{step: step}
	first := track.take(at(0, closed("00000@a#1", 5*time.Second, 2)))
	again := track.take(at(500*time.Millisecond, closed("00000@a#1", 4501*time.Millisecond, 2)))
	assert.Equal(t, first, again)
}

func TestPods_TheDeadStandLastAndAreMarked(t *testing.T) {
	track := tracker{step: step}
	s := at(0, gatewayqueue.BucketStatus{Closed: time.Second, Permit: true, Holder: "00009@web-2-00aabbcc#1"})
	s.Pods = []gatewayqueue.PodStatus{
		{Pod: "web-0-00aabbcc", Lease: s.Time.Add(-time.Second)},
		{Pod: "web-2-00aabbcc", Lease: s.Time.Add(time.Second)},
		{Pod: "web-1-00aabbcc", Lease: s.Time.Add(time.Second), Waiting: 4, Since: s.Time.Add(-time.Minute)},
	}
	now := s.Time.UnixMilli()
	assert.Equal(t, []pod{
		{Name: "web-1", Lease: now + 1000, Waiting: 4, Since: now - 60000},
		{Name: "web-2", Lease: now + 1000, Permits: []int{9}},
		{Name: "web-0", Lease: now - 1000, Dead: true},
	}, track.take(s).Pods)
}

// A pod that is killed leaves its tickets, its permit and its grants behind; each of its
// shards asks again in the successor.
func TestProgress_AShardCountsOnceWhateverPodsDied(t *testing.T) {
	track := tracker{step: step}
	b := closed("00000@old#1", 10*time.Second, 4)
	b.Permit, b.Shards = true, []int{1, 2, 3, 4}
	s := track.take(at(0, b))
	assert.Equal(t, 5, s.Progress.Of)

	b.Closed, b.Waiting, b.Shards = 9*time.Second, 9, []int{1, 2, 3, 4, 0} // 4 of the dead, 5 of the successor
	s = track.take(at(time.Second, b))
	assert.Equal(t, 5, s.Waiting)
	assert.Equal(t, 0, s.Progress.Up, "shard 0 waits again, so its permit is worth nothing")
	assert.Equal(t, 5, s.Progress.Of)

	b = closed("00000@new#1", step, 4)
	b.Shards = []int{1, 2, 3, 4}
	s = track.take(at(11*time.Second, b))
	assert.Equal(t, 1, s.Progress.Up)
	assert.Equal(t, 5, s.Progress.Of)

	b = closed("00001@new#2", step, 4)
	b.Shards = []int{2, 3, 4, 0}
	s = track.take(at(17*time.Second, b))
	assert.Equal(t, 1, s.Progress.Up, "shard 0 has lost its session")
	assert.Equal(t, 5, s.Progress.Of)
}

// A re-deploy of one pod is a part of the fleet, also for who opens the page only then.
func TestProgress_ShardsThatIdentifiedBeforeAreOfTheFleet(t *testing.T) {
	track := tracker{step: step}
	b := gatewayqueue.BucketStatus{Closed: time.Second, Holder: "00003@a#1", Waiting: 2, Shards: []int{4, 5}}
	s := at(0, b)
	s.Spent = map[int]int{0: 1, 1: 1, 2: 1, 3: 2, 4: 1}
	p := track.take(s).Progress
	assert.Equal(t, 4, p.Up, "0 to 3; shard 4 waits again, 5 was never granted")
	assert.Equal(t, 6, p.Of)
}

func TestProgress_NobodyKnowsWhenAFleetBeganThatWasUnderWay(t *testing.T) {
	track := tracker{step: step}
	waits := closed("00000@a#1", step, 2)
	assert.True(t, track.take(at(0, waits)).Progress.Joined)
	track.take(at(6*time.Second, gatewayqueue.BucketStatus{}))
	track.take(at(time.Hour, gatewayqueue.BucketStatus{}))
	assert.False(t, track.take(at(time.Hour+time.Second, waits)).Progress.Joined)
	track.take(at(time.Hour+20*time.Second, gatewayqueue.BucketStatus{}))
	assert.True(t, track.take(at(2*time.Hour, waits)).Progress.Joined, "nobody looked for an hour")
}

func TestIdle_SinceWhenABucketIsOpenThoughSomebodyWaits(t *testing.T) {
	track := tracker{step: step}
	waits := gatewayqueue.BucketStatus{Waiting: 1, Shards: []int{3}}
	assert.Zero(t, track.take(at(0, closed("00000@a#1", time.Second, 1))).Buckets[0].Idle)
	first := track.take(at(2*time.Second, waits)).Buckets[0].Idle
	assert.Equal(t, track.now, first)
	assert.Equal(t, first, track.take(at(5*time.Second, waits)).Buckets[0].Idle)
	assert.Zero(t, track.take(at(6*time.Second, closed("00003@a#2", step, 0))).Buckets[0].Idle)
	assert.Zero(t, track.take(at(20*time.Second, gatewayqueue.BucketStatus{})).Buckets[0].Idle)
}

func TestIdentified_AreThoseThatSpentAndHoldNoPermit(t *testing.T) {
	track := tracker{step: step}
	s := at(0, gatewayqueue.BucketStatus{Closed: time.Second, Permit: true, Holder: "00009@web#1"})
	s.Spent = map[int]int{9: 1, 1: 1, 2: 5}
	assert.Equal(t, 2, track.take(s).Identified)
	s.Spent[9] = 2
	assert.Equal(t, 3, track.take(s).Identified, "it has before")
	s.Spent, s.SpentBy = map[int]int{}, 2000
	assert.Equal(t, 1999, track.take(s).Identified, "so many are not listed")
}

func TestThePastIsBounded(t *testing.T) {
	track := tracker{step: step}
	for i := range 3 * mostKept {
		track.take(at(time.Duration(i)*10*time.Millisecond, closed("00000@a#"+string(rune('a'+i%2)), step, 0)))
	}
	assert.Len(t, track.grants, mostKept)
	track.take(at(time.Hour, gatewayqueue.BucketStatus{}))
	assert.Empty(t, track.grants)
}

func TestSpendersAreSorted(t *testing.T) {
	track := tracker{step: step}
	s := at(0, gatewayqueue.BucketStatus{})
	s.Spent = map[int]int{7: 30, 3: 2, 1: 2}
	for shard := 100; shard < 200; shard++ {
		s.Spent[shard] = 1
	}
	got := track.take(s)
	assert.Equal(t, []spent{{7, 30}, {1, 2}, {3, 2}, {100, 1}}, got.Spent[:4])
	assert.Equal(t, 103, got.SpentBy)
	assert.Equal(t, 134, got.SpentAll)
}

func TestWhatKeepsTheQueueFromGrantingIsTold(t *testing.T) {
	track := tracker{step: step}
	s := at(0, closed("", 0, 1))
	assert.Zero(t, track.take(s).Source)
	s.Budget.Never = "nothing is ever granted"
	s.Source = gatewayqueue.SourceStatus{Error: "429: rate limited for 3600 s", After: s.Time.Add(time.Hour)}
	told := track.take(s)
	assert.Equal(t, source{"429: rate limited for 3600 s", track.now + time.Hour.Milliseconds()}, told.Source)
	assert.Equal(t, "nothing is ever granted", told.Budget.Never)
}

package sim

// Point is something that runs must have come to, or they search too little.
type Point string

// The points.
const (
	LateCopyRan     Point = "a late copy of a call was executed"
	LateUpdateRan   Point = "a late copy of an update by hand was executed"
	CallLost        Point = "a call was lost"
	ReplyLost       Point = "a call was executed and its reply lost"
	PodDied         Point = "a pod died with waiters"
	PodDiedPermit   Point = "a pod died with a permit out"
	PodClosed       Point = "a pod closed with waiters"
	PodReplaced     Point = "a pod was replaced, and its shards waited again"
	PodStalled      Point = "a pod stood still, and its clocks went on"
	PodSuspended    Point = "a machine was suspended with a permit"
	GuestPaused     Point = "a guest was paused with its clocks and a permit"
	ClockStepped    Point = "the wall clock of a pod stepped"
	CutOff          Point = "a pod was cut off from Redis with a permit"
	StateLost       Point = "state was lost"
	LostWithPermit  Point = "state was lost with a permit out"
	ServerAway      Point = "the server was away"
	FailedOver      Point = "a replica took over"
	GrantsLost      Point = "a replica took over that had missed a grant"
	FailedBack      Point = "the first server took over again"
	ClockAhead      Point = "the clock of a new server was ahead"
	ClockBehind     Point = "the clock of a new server was behind"
	TwoMasters      Point = "two masters served pods"
	Unacknowledged  Point = "a grant was not acknowledged by a replica"
	Blind           Point = "a server did not tell who it is"
	Evicted         Point = "keys were evicted"
	BudgetLost      Point = "what is left of the budget was deleted"
	ScriptsForgot   Point = "scripts were forgotten"
	GrantLate       Point = "a grant came too late, and was claimed again"
	LeftClaiming    Point = "a caller left while it waited"
	LeftGranted     Point = "a caller left in the moment of its grant"
	Outlasted       Point = "a caller's deadline was too soon"
	BudgetUsedUp    Point = "the budget was used up"
	PeriodBegan     Point = "a period began under an open permit"
	Rebucketed      Point = "max_concurrency changed with waiters"
	RebucketPermit  Point = "max_concurrency changed with a permit out"
	SourceFailed    Point = "the limit source failed"
	GrantsPaused    Point = "an operator paused the grants"
	PermitExpired   Point = "a permit ended unreported"
	AnnouncedTooLat Point = "an announced IDENTIFY could not leave in time"
)

// replies are points, too: what scripts have answered.
var replies = []Point{
	"claim: granted", "claim: wait", "claim: paused", "claim: exhausted", "claim: backoff", "claim: resync", "claim: gone",
	"identified: identified", "identified: late", "identified: gone", "renew: gone",
	"sync: ok", "sync: seeded", "sync: changed", "sync: ask", "sync: over", "sync: stale", "sync: busy", "sync: buckets",
}

// Points are all of them.
var Points = append([]Point{
	LateCopyRan, LateUpdateRan, CallLost, ReplyLost, PodDied, PodDiedPermit, PodClosed, PodReplaced, PodStalled, PodSuspended, GuestPaused, ClockStepped, CutOff,
	StateLost, LostWithPermit, ServerAway, FailedOver, GrantsLost, FailedBack, ClockAhead, ClockBehind, TwoMasters, Unacknowledged, Blind,
	Evicted, BudgetLost, ScriptsForgot, GrantLate, LeftClaiming, LeftGranted, Outlasted, BudgetUsedUp, PeriodBegan, Rebucketed, RebucketPermit,
	SourceFailed, GrantsPaused, PermitExpired, AnnouncedTooLat,
}, replies...)

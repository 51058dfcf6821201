package check

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/look"
	"github.com/gatewayqueue/gatewayqueue/rollout"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func TestJudge_OfASnapshot(t *testing.T) {
	waits := func(d time.Duration) func(*look.Snapshot) {
		return func(s *look.Snapshot) {
			s.Buckets = []gatewayqueue.BucketStatus{{}, {Waiting: 2, Line: []gatewayqueue.Place{{Arrival: noon.Add(-d)}, {Arrival: noon}}}}
		}
	}
	left := func(n int) func(*look.Snapshot) { return func(s *look.Snapshot) { s.Budget.Remaining = n } }
	for name, c := range map[string]struct {
		change func(*look.Snapshot)
		rules  func(*config)
		state  state
		text   string
	}{
		"at rest":                {nil, nil, stateOK, "874 of 1000 units left; nobody waits"},
		"a line":                 {waits(time.Minute), nil, stateOK, "874 of 1000 units left; 2 in line"},
		"budget at the warning":  {left(200), nil, stateOK, "200 of 1000 units left; nobody waits"},
		"budget low":             {left(199), nil, stateWarning, "199 of 1000 units are left, fewer than 200; nobody waits"},
		"budget at the critical": {left(100), nil, stateWarning, "100 of 1000 units are left, fewer than 200; nobody waits"},
		"budget very low":        {left(99), nil, stateCritical, "99 of 1000 units are left, fewer than 100; nobody waits"},
		"only the reserve left":  {left(10), nil, stateCritical, "the budget is used up until its reset, for 1 h 0 min more; nobody waits"},
		"only the reserve left, with no limits set": {
			left(10), func(c *config) { c.WarnBudget, c.CriticalBudget = rollout.Amount{}, rollout.Amount{} }, stateCritical,
			"the budget is used up until its reset, for 1 h 0 min more; nobody waits",
		},
		"budget low by a number": {nil, func(c *config) { c.WarnBudget = rollout.Amount{Units: 900} }, stateWarning, "874 of 1000 units are left, fewer than 900; nobody waits"},
		"a long wait":            {waits(16 * time.Minute), nil, stateWarning, "the first in line has waited for 16 min 0 s, longer than 15m; 874 of 1000 units left; 2 in line"},
		"a very long wait":       {waits(61 * time.Minute), nil, stateCritical, "the first in line has waited for 1 h 1 min, longer than 1h; 874 of 1000 units left; 2 in line"},
		"a long wait that counts for nothing": {
			waits(61 * time.Minute), func(c *config) { c.WarnOldest, c.CriticalOldest = 0, 0 }, stateOK, "874 of 1000 units left; 2 in line",
		},
		"a hold":      {func(s *look.Snapshot) { s.Hold = 8 * time.Second }, nil, stateWarning, "every bucket is held closed for 8.0 s; 874 of 1000 units left; nobody waits"},
		"a long hold": {func(s *look.Snapshot) { s.Hold = time.Hour }, nil, stateCritical, "every bucket is held closed for 1 h 0 min; 874 of 1000 units left; nobody waits"},
		"a hold that is ignored": {
			func(s *look.Snapshot) { s.Hold = time.Hour }, func(c *config) { c.ignored = map[string]bool{"hold": true} }, stateOK, "874 of 1000 units left; nobody waits",
		},
		"a pause": {
			func(s *look.Snapshot) { s.Pause = &gatewayqueue.PauseStatus{Who: "anna", Why: "incident 7"} }, nil, stateWarning,
			"grants are paused by anna: incident 7; 874 of 1000 units left; nobody waits",
		},
		"a storm": {
			func(s *look.Snapshot) { s.Storm = &gatewayqueue.Storm{Refused: 42, Since: noon} }, nil, stateWarning,
			"Discord refuses sessions in numbers: 42 in the last minute; 874 of 1000 units left; nobody waits",
		},
		"refused sessions that are no storm": {
			func(s *look.Snapshot) { s.Storm = &gatewayqueue.Storm{Refused: 2} }, nil, stateOK, "874 of 1000 units left; nobody waits",
		},
		"a shard that backs off": {
			func(s *look.Snapshot) { s.Backoffs = map[int]time.Time{3: noon.Add(time.Hour)} }, nil, stateWarning,
			"1 shard backs off: identified too often; 874 of 1000 units left; nobody waits",
		},
		"a limit source that fails": {
			func(s *look.Snapshot) { s.Source.Error = "redisqueue: the token is refused" }, nil, stateWarning,
			"the limits could not be asked for: the token is refused; 874 of 1000 units left; nobody waits",
		},
		"limits unknown": {
			func(s *look.Snapshot) { s.Budget.Unknown, s.Source.Error = true, "rate limited" }, nil, stateCritical,
			"nothing is granted: the limits are not known, and the limit source fails: rate limited; nobody waits",
		},
		"limits that allow nothing": {
			func(s *look.Snapshot) { s.Budget.Never = "gatewayqueue: the total is 0" }, nil, stateCritical, "nothing is granted: the total is 0; nobody waits",
		},
		"a replica": {func(s *look.Snapshot) { s.Replica = true }, nil, stateWarning, "this Redis is a replica, which grants nothing: give the URL of its primary; 874 of 1000 units left; nobody waits"},
		"no limit":  {func(s *look.Snapshot) { s.Budget, s.Buckets = gatewayqueue.BudgetStatus{}, nil }, nil, stateOK, "no limit; nobody waits"},
		"the worst comes first": {
			func(s *look.Snapshot) { s.Hold, s.Budget.Remaining = 8*time.Second, 50 }, nil, stateCritical,
			"50 of 1000 units are left, fewer than 100; every bucket is held closed for 8.0 s; nobody waits",
		},
	} {
		t.Run(name, func(t *testing.T) {
			rules := &config{
				WarnBudget: rollout.Amount{Percent: 20}, CriticalBudget: rollout.Amount{Percent: 10}, WarnOldest: 15 * time.Minute, CriticalOldest: time.Hour,
			}
			s := look.Snapshot{Status: gatewayqueue.Status{
				Time:    noon,
				Budget:  gatewayqueue.BudgetStatus{Total: 1000, Remaining: 874, MaxConcurrency: 2, Reserve: 10, Reset: noon.Add(time.Hour)},
				Buckets: make([]gatewayqueue.BucketStatus, 2),
			}}
			if c.change != nil {
				c.change(&s)
			}
			if c.rules != nil {
				c.rules(rules)
			}
			found := rules.judge(s)
			assert.Equal(t, c.state, worst(found))
			assert.Equal(t, c.text, text(figuresOf(s), found))
		})
	}
}

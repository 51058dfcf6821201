package redisqueue_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

var outage = gatewayqueue.Order{Who: "alice", Why: "Discord is down"}

func TestPause_IsNotPolled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, calls := virtualRedis(t), new(away)
		client := virtualClient(t, server)
		client.AddHook(perCommand{calls})
		q := open(t, client, redisqueue.WithLimit(full(16)), redisqueue.WithFreshStart())
		require.NoError(t, q.Wait(t.Context(), 0)) // the server knows the claim script from now on
		require.NoError(t, q.Pause(t.Context(), outage))
		var answers []<-chan error
		for shard := range 32 {
			answers = append(answers, ask(t.Context(), q, shard))
		}
		time.Sleep(time.Minute)
		before := calls.calls()
		time.Sleep(time.Hour)
		beats := int(time.Hour / (1500 * time.Millisecond))
		assert.LessOrEqual(t, calls.calls()-before, beats+16*60+16, "a beat each 1.5 s, and each of 16 lines once a minute")
		require.NoError(t, q.Resume(t.Context(), outage))
		time.Sleep(2 * (gatewayqueue.IdentifyDelay + gatewayqueue.GrantMargin))
		for _, answer := range answers {
			require.NoError(t, answered(t, answer, time.Millisecond))
		}
	})
}

// A claim has heard of the pause, and no beat before it was over.
func TestPause_ThatIsOverBeforeThePodKnowsWhoseItWasHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twoPods(t, 1)
		require.NoError(t, a.Pause(t.Context(), outage))
		answer := ask(t.Context(), b, 0)
		require.NoError(t, a.Resume(t.Context(), outage))
		require.NoError(t, answered(t, answer, 2*time.Second))
	})
}

func TestPause_IsSaidInEveryPod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, log := virtualRedis(t), newLogbook()
		var events []gatewayqueue.EventKind
		q := open(t, virtualClient(t, server), redisqueue.WithLimit(full(1)), redisqueue.WithFreshStart(), log.option(),
			redisqueue.WithObserver(func(e gatewayqueue.Event) {
				if e.Kind == gatewayqueue.EventPaused || e.Kind == gatewayqueue.EventResumed {
					events = append(events, e.Kind)
				}
			}))
		operator := open(t, virtualClient(t, server), redisqueue.WithLimit(full(1)))
		order := outage
		order.For = time.Hour
		require.NoError(t, operator.Pause(t.Context(), order))
		ctx, end := context.WithTimeout(t.Context(), 20*time.Second)
		defer end()
		err := q.Wait(ctx, 0)
		var why *gatewayqueue.BlockedError
		require.ErrorAs(t, err, &why)
		assert.Equal(t, gatewayqueue.ReasonPaused, why.Reason)
		assert.Contains(t, err.Error(), "grants are paused by alice: Discord is down")
		status, err := q.Status(t.Context())
		require.NoError(t, err)
		require.Len(t, status.Blocked(), 1)
		assert.Equal(t, gatewayqueue.ReasonPaused, status.Blocked()[0].Reason)
		answer := ask(t.Context(), q, 0)
		require.NoError(t, operator.Resume(t.Context(), outage))
		require.NoError(t, answered(t, answer, 2*time.Second))
		assert.Equal(t, 1, log.said("WARN grants are paused reason=paused"), "%q", log.all())
		assert.Equal(t, 1, log.said("INFO grants are resumed"), "%q", log.all())
		assert.Equal(t, []gatewayqueue.EventKind{gatewayqueue.EventPaused, gatewayqueue.EventResumed}, events)
	})
}

func TestPause_IsKeptForRedisCLI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, log := virtualRedis(t), newLogbook()
		client := virtualClient(t, server)
		q := open(t, client, redisqueue.WithApp("1"), log.option())
		order := outage
		order.For = 90 * time.Minute
		require.NoError(t, q.Pause(t.Context(), order))
		require.NoError(t, q.Resume(t.Context(), gatewayqueue.Order{Who: "bob", Why: `it is "up"`}))
		require.NoError(t, client.LPush(t.Context(), "identify:{1}:audit", "by hand").Err())
		kept, err := client.LRange(t.Context(), "identify:{1}:audit", 1, -1).Result()
		require.NoError(t, err)
		assert.Equal(t, []string{
			`{"time":"2000-01-01T00:00:00Z","what":"resume","who":"bob","why":"it is \"up\""}`,
			`{"time":"2000-01-01T00:00:00Z","what":"pause","for":"1h30m0s","who":"alice","why":"Discord is down"}`,
		}, kept)
		audit, err := q.Audit(t.Context())
		require.NoError(t, err)
		require.Len(t, audit, 2, "what is no order is left out")
		assert.Equal(t, order, audit[1].Order)
		assert.Equal(t, 1, log.said("INFO an operator has given an order order=pause who=alice why=Discord is down for=1h30m0s"), "%q", log.all())
		require.NoError(t, q.Close())
		for _, err := range []error{q.Pause(t.Context(), outage), q.Resume(t.Context(), outage), func() error { _, err := q.Audit(t.Context()); return err }()} {
			require.ErrorIs(t, err, gatewayqueue.ErrClosed)
		}
	})
}

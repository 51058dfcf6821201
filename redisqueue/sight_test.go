package redisqueue_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
)

func TestSight_EveryPodSeesWhatOthersHaveTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twoPods(t, 1)
		now := time.Now()
		seen := gatewayqueue.Sight{State: "ready", Since: now, Told: now, By: "proxy-1", Bot: "10.0.0.7:5000", Identifies: 2, Heartbeat: 40 * time.Millisecond}
		_, err := a.TellSight(t.Context(), gatewayqueue.SightNews{Shards: map[int]gatewayqueue.Sight{7: seen, 8: {State: "held"}}, Many: 10})
		require.NoError(t, err)
		_, err = b.TellSight(t.Context(), gatewayqueue.SightNews{Shards: map[int]gatewayqueue.Sight{8: {State: "ready"}}, Many: 10})
		require.NoError(t, err)
		sights, storm, err := a.Sights(t.Context())
		require.NoError(t, err)
		require.Len(t, sights, 2)
		assert.True(t, seen.Since.Equal(sights[7].Since))
		assert.Equal(t, seen.By, sights[7].By)
		assert.Equal(t, seen.Heartbeat, sights[7].Heartbeat)
		assert.Equal(t, gatewayqueue.ShardReady, sights[8].State, "the last word counts")
		assert.Zero(t, storm)
	})
}

func TestStorm_IsOfTheWholeFleetAndEndsAfterTheLastRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twoPods(t, 1)
		tell := func(q interface {
			TellSight(ctx context.Context, news gatewayqueue.SightNews) (gatewayqueue.Storm, error)
		}, refused int,
		) gatewayqueue.Storm {
			storm, err := q.TellSight(t.Context(), gatewayqueue.SightNews{Refused: refused, Identified: 1, Many: 10})
			require.NoError(t, err)
			return storm
		}
		assert.Zero(t, tell(a, 6).Since, "6 of 10")
		_, looked, err := b.Sights(t.Context())
		require.NoError(t, err)
		assert.Equal(t, gatewayqueue.Storm{Refused: 6, Identified: 1}, looked, "a look makes no storm of them")
		time.Sleep(30 * time.Second)
		storm := tell(b, 4)
		assert.Equal(t, 10, storm.Refused)
		assert.Equal(t, 2, storm.Identified)
		began := storm.Since
		assert.False(t, began.IsZero(), "10 within a minute, of both")
		time.Sleep(70 * time.Second)
		storm = tell(a, 0)
		assert.Zero(t, storm.Refused, "a minute ago")
		assert.Equal(t, began, storm.Since, "it may come back")
		assert.Equal(t, 70*time.Second, storm.Lasts)
		time.Sleep(51 * time.Second)
		assert.Zero(t, tell(b, 0).Since, "2 minutes after the last one it is over")
		assert.Zero(t, tell(b, 9).Since)
		assert.NotEqual(t, began, tell(b, 1).Since, "another one")
	})
}

func TestFloor_IsNotGrantedUntilItFalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := twoPods(t, 1)
		require.NoError(t, a.Wait(t.Context(), 0))
		a.SetFloor(999)
		answer := ask(t.Context(), a, 1)
		time.Sleep(time.Minute)
		select {
		case err := <-answer:
			require.Fail(t, "it was granted below the floor", "%v", err)
		default:
		}
		status, err := a.Status(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 999, status.Budget.Reserve)
		a.SetFloor(0)
		time.Sleep(time.Minute)
		select {
		case err := <-answer:
			require.NoError(t, err)
		default:
			require.Fail(t, "it still waits, and the floor is gone")
		}
	})
}

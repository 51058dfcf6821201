// The server as Discord at its worse: reconnects, restarts, broken networks and
// failures on purpose.

package gatewaytest_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

func TestReconnectIsFollowedByResume(t *testing.T) {
	s := newServer(t)
	c, session := bringUp(t, s, 0, 2)
	bringUp(t, s, 1, 2)
	require.NoError(t, s.WaitReady(soon(t), 2))

	assert.Equal(t, 1, s.Reconnect(0))
	assert.Equal(t, []int{1}, s.ReadyShards(), "shard 0 is not ready until it has resumed")
	assert.Equal(t, 7, c.read().Op)
	require.NoError(t, c.ws.Close(4000, ""))

	c = dial(t, session.ResumeGatewayURL)
	c.resume(session.SessionID, 1)
	p := c.read()
	assert.Equal(t, "RESUMED", *p.T)
	assert.EqualValues(t, 2, *p.S)
	require.NoError(t, s.WaitReady(soon(t), 2))
	assert.Equal(t, 1, s.Resumes())
	assert.Equal(t, 2, s.Judge().Verdict().Identifies, "a RESUME is not limited, and not counted")
	assert.Equal(t, 2, s.Reconnect(), "all, when none is named")
}

func TestResumeTakesTheSessionFromAConnectionThatStillHasIt(t *testing.T) {
	s := newServer(t)
	old, session := bringUp(t, s, 0, 1)
	c := dial(t, session.ResumeGatewayURL)
	c.resume(session.SessionID, 1)
	assert.Equal(t, "RESUMED", *c.read().T)
	assert.Equal(t, 4000, old.closeCode())
	require.NoError(t, s.WaitReady(soon(t), 1))
	assert.Len(t, s.Sessions(), 1)
}

func TestResumeWithASequenceFromTheFutureEndsTheSession(t *testing.T) {
	s := newServer(t)
	_, session := bringUp(t, s, 0, 1)
	c := dial(t, session.ResumeGatewayURL)
	c.resume(session.SessionID, 99)
	assert.Equal(t, 4007, c.closeCode())
	assert.Empty(t, s.Sessions())
}

func TestSessionEndsWhenItsClientSaysGoodbye(t *testing.T) {
	for code, left := range map[websocket.StatusCode]int{1000: 0, 1001: 0, 1012: 1, 4000: 1} {
		s := newServer(t)
		c, _ := bringUp(t, s, 0, 1)
		require.NoError(t, s.WaitReady(soon(t), 1))
		require.NoError(t, c.ws.Close(code, ""))
		require.Eventually(t, func() bool { return len(s.ReadyShards()) == 0 }, 5*time.Second, time.Millisecond)
		assert.Len(t, s.Sessions(), left, "after close %d", code)
	}
}

func TestRestartMakesAllIdentifyAgain(t *testing.T) {
	s := newServer(t, gatewaytest.WithWindow(0))
	c, session := bringUp(t, s, 0, 1)
	waiting := dial(t, s.GatewayURL())
	require.NoError(t, s.WaitReady(soon(t), 1))
	s.Restart()
	assert.Empty(t, s.Sessions())
	assert.Equal(t, 1001, c.closeCode())
	assert.Equal(t, 1001, waiting.closeCode())

	c = dial(t, session.ResumeGatewayURL)
	c.resume(session.SessionID, 1)
	assert.Equal(t, "false", c.invalidSession())
	c.identify(0, 1)
	c.ready()
	require.NoError(t, s.WaitReady(soon(t), 1))
	assert.Equal(t, 1, s.Stats().RefusedResumes)
}

func TestDroppedSessionsCanBeResumedIfTheTestSaysSo(t *testing.T) {
	for _, resumable := range []bool{true, false} {
		s := newServer(t)
		c, session := bringUp(t, s, 0, 1)
		require.NoError(t, s.WaitReady(soon(t), 1))
		s.Drop(resumable)
		assert.Empty(t, s.ReadyShards())
		assert.Equal(t, -1, c.closeCode(), "no close frame")
		c = dial(t, session.ResumeGatewayURL)
		c.resume(session.SessionID, 1)
		if resumable {
			assert.Equal(t, "RESUMED", *c.read().T)
		} else {
			assert.Equal(t, "false", c.invalidSession())
		}
	}
}

func TestInvalidatedSessionMayIdentifyOnItsConnection(t *testing.T) {
	s := newServer(t, gatewaytest.WithWindow(0))
	c, _ := bringUp(t, s, 0, 1)
	require.NoError(t, s.WaitReady(soon(t), 1))
	assert.Equal(t, 1, s.Invalidate(false))
	assert.Equal(t, "false", c.invalidSession())
	c.identify(0, 1)
	c.ready()
	require.NoError(t, s.WaitReady(soon(t), 1))

	assert.Equal(t, 1, s.Invalidate(true, 0))
	assert.Equal(t, "true", c.invalidSession())
	require.Len(t, s.Sessions(), 1)
	c.resume(s.Sessions()[0].ID, 1)
	assert.Equal(t, "RESUMED", *c.read().T)
	assert.Equal(t, 2, s.InvalidSessions())
}

func TestWaitReadySaysHowManyAreReady(t *testing.T) {
	s := newServer(t)
	bringUp(t, s, 0, 1)
	require.NoError(t, s.WaitReady(soon(t), 1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.WaitReady(ctx, 2)
	assert.ErrorIs(t, err, context.Canceled)
	assert.ErrorContains(t, err, "1 of 2 shards are ready")
}

func TestFailuresStrikeWhereTheyAreAskedTo(t *testing.T) {
	once := gatewaytest.First(1)
	t.Run("refused connection", func(t *testing.T) {
		s := newServer(t, gatewaytest.WithFailure(gatewaytest.RefuseConnection, once))
		_, res, err := websocket.Dial(soon(t), s.GatewayURL(), nil)
		require.Error(t, err)
		assert.Equal(t, 503, res.StatusCode)
		bringUp(t, s, 0, 1)
	})
	t.Run("dropped before HELLO", func(t *testing.T) {
		s := newServer(t, gatewaytest.WithFailure(gatewaytest.DropBeforeHello, once))
		assert.Equal(t, -1, dialOnly(t, s.GatewayURL()).closeCode())
		bringUp(t, s, 0, 1)
	})
	t.Run("dropped after HELLO", func(t *testing.T) {
		s := newServer(t, gatewaytest.WithFailure(gatewaytest.DropAfterHello, once))
		assert.Equal(t, -1, dial(t, s.GatewayURL()).closeCode())
		bringUp(t, s, 0, 1)
	})
	t.Run("IDENTIFY lost", func(t *testing.T) {
		s := newServer(t, gatewaytest.WithFailure(gatewaytest.DropBeforeIdentify, once))
		c := dial(t, s.GatewayURL())
		c.identify(0, 1)
		assert.Equal(t, -1, c.closeCode())
		assert.Zero(t, s.Judge().Verdict().Identifies, "nobody has seen it")
		bringUp(t, s, 0, 1)
	})
	t.Run("dropped after IDENTIFY", func(t *testing.T) {
		s := newServer(t, gatewaytest.WithFailure(gatewaytest.DropAfterIdentify, once))
		c := dial(t, s.GatewayURL())
		c.identify(0, 2)
		assert.Equal(t, -1, c.closeCode())
		assert.Equal(t, 1, s.Judge().Verdict().Identifies, "it counts")
		assert.Empty(t, s.Sessions())
	})
	t.Run("IDENTIFY refused", func(t *testing.T) {
		s := newServer(t, gatewaytest.WithWindow(0), gatewaytest.WithFailure(gatewaytest.RefuseIdentify, once))
		c := dial(t, s.GatewayURL())
		c.identify(0, 1)
		assert.Equal(t, "false", c.invalidSession())
		c.identify(0, 1)
		c.ready()
		assert.True(t, s.Judge().Verdict().OK(), "it was no violation")
		s.Fail(gatewaytest.RefuseIdentify, func(shard, n int) bool { return shard == 5 && n == 1 })
		c = dial(t, s.GatewayURL())
		c.identify(5, 6)
		assert.Equal(t, "false", c.invalidSession())
		s.Fail(gatewaytest.RefuseIdentify, nil)
		c.identify(5, 6)
		c.ready()
	})
	t.Run("reconnect after READY", func(t *testing.T) {
		s := newServer(t, gatewaytest.WithFailure(gatewaytest.ReconnectAfterReady, once))
		c, session := bringUp(t, s, 0, 1)
		assert.Equal(t, 7, c.read().Op)
		assert.Equal(t, 1, s.Stats().Reconnects)
		c = dial(t, session.ResumeGatewayURL)
		c.resume(session.SessionID, 1)
		assert.Equal(t, "RESUMED", *c.read().T)
	})
}

func TestChanceAndBetweenFollowTheirSeed(t *testing.T) {
	a, b := gatewaytest.Chance(0.3, 7), gatewaytest.Chance(0.3, 7)
	x, y := gatewaytest.Between(time.Second, 2*time.Second, 7), gatewaytest.Between(time.Second, 2*time.Second, 7)
	struck := 0
	for n := range 1000 {
		hit := a(0, n)
		assert.Equal(t, hit, b(0, n))
		if hit {
			struck++
		}
		d := x()
		assert.Equal(t, d, y())
		assert.True(t, time.Second <= d && d <= 2*time.Second)
	}
	assert.InDelta(t, 300, struck, 60)
}

func TestManyClientsAtOnceWhileTheServerRestarts(t *testing.T) {
	s := newServer(t, gatewaytest.WithLimit(limit(1000, 64)), gatewaytest.WithWindow(0),
		gatewaytest.WithReadyDelay(gatewaytest.Between(0, 10*time.Millisecond, 1)))
	stop := time.Now().Add(300 * time.Millisecond)
	var clients sync.WaitGroup
	for shard := range 32 {
		clients.Go(func() {
			for time.Now().Before(stop) {
				ws, _, err := websocket.Dial(context.Background(), s.GatewayURL(), nil)
				if err != nil {
					continue
				}
				_ = ws.Write(context.Background(), websocket.MessageText,
					fmt.Appendf(nil, `{"op":2,"d":{"token":%q,"shard":[%d,32]}}`, s.Token(), shard))
				for err == nil {
					_, _, err = ws.Read(context.Background())
				}
			}
		})
	}
	for time.Now().Before(stop) {
		time.Sleep(20 * time.Millisecond)
		s.Reconnect()
		s.Restart()
	}
	left := make(chan struct{})
	go func() { clients.Wait(); close(left) }()
	for {
		s.Drop(false) // Those that connected since the last one.
		select {
		case <-left:
			s.Drop(false)
			assert.Empty(t, s.Sessions())
			return
		case <-time.After(2 * time.Millisecond):
		}
	}
}

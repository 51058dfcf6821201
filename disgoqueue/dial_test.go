// The dialer, below a WebSocket client that does what disgo does: Wait, dial,
// IDENTIFY on HELLO, Unlock at READY or whatever else comes.

package disgoqueue_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/disgoqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

type payload struct {
	Op   int    `json:"op"`
	Type string `json:"t"`
	Data any    `json:"d"`
}

// open brings a shard up as disgo does.
func open(ctx context.Context, limiter *disgoqueue.Limiter, url, token string, shard int) (*websocket.Conn, error) {
	if err := limiter.Wait(ctx, shard); err != nil {
		return nil, err
	}
	defer limiter.Unlock(shard)
	ws, err := dial(ctx, limiter, url)
	if err != nil {
		return nil, err
	}
	if err := identify(ctx, ws, token, shard); err != nil {
		_ = ws.CloseNow()
		return nil, err
	}
	return ws, nil
}

func dial(ctx context.Context, limiter *disgoqueue.Limiter, url string) (*websocket.Conn, error) {
	client := &http.Client{Transport: &http.Transport{DialContext: limiter.DialContext, DialTLSContext: limiter.DialTLSContext}}
	ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: client})
	return ws, err
}

func identify(ctx context.Context, ws *websocket.Conn, token string, shard int) error {
	var p payload
	if err := wsjson.Read(ctx, ws, &p); err != nil { // HELLO
		return err
	}
	data := map[string]any{"token": token, "shard": []int{shard, 16}}
	if err := wsjson.Write(ctx, ws, payload{Op: 2, Data: data}); err != nil {
		return err
	}
	return wsjson.Read(ctx, ws, &p) // READY
}

func TestTheWindowStartsWhenIdentifyHasLeft(t *testing.T) {
	const ready = 700 * time.Millisecond
	queue, err := memqueue.New(gatewayqueue.DefaultLimit(), memqueue.WithWindow(500*time.Millisecond))
	require.NoError(t, err)
	srv := gatewaytest.NewServer(gatewaytest.WithWindow(500*time.Millisecond), gatewaytest.WithReadyDelay(gatewaytest.Fixed(ready)))
	defer srv.Close()
	limiter := disgoqueue.New(queue)
	errs := make(chan error)
	for shard := range 2 {
		go func() {
			ws, err := open(t.Context(), limiter, srv.GatewayURL(), srv.Token(), shard)
			errs <- err
			if err == nil {
				t.Cleanup(func() { _ = ws.CloseNow() })
			}
		}()
	}
	require.NoError(t, <-errs)
	require.NoError(t, <-errs)
	limiter.Close(t.Context())
	verdict := srv.Judge().Verdict()
	assert.True(t, verdict.OK(), "%v", verdict)
	assert.Less(t, verdict.LeastGap, 500*time.Millisecond+ready, "READY is not waited for")
	assert.Equal(t, 998, remaining(t, queue))
}

func TestAFailedConnectionGivesSlotAndUnitBack(t *testing.T) {
	for _, failure := range []gatewaytest.Failure{gatewaytest.RefuseConnection, gatewaytest.DropBeforeHello} {
		queue := newQueue(t)
		srv := gatewaytest.NewServer(gatewaytest.WithFailure(failure, gatewaytest.First(1)))
		limiter := disgoqueue.New(queue)
		_, err := open(t.Context(), limiter, srv.GatewayURL(), srv.Token(), 0)
		assert.Error(t, err)

		// A second shard of the bucket does not wait for the window.
		ctx, cancel := context.WithTimeout(t.Context(), gatewayqueue.IdentifyDelay/2)
		ws, err := open(ctx, limiter, srv.GatewayURL(), srv.Token(), 1)
		if assert.NoError(t, err) {
			_ = ws.CloseNow()
		}
		cancel()
		limiter.Close(t.Context())
		assert.Equal(t, 999, remaining(t, queue))
		srv.Close()
	}
	queue := newQueue(t)
	limiter := disgoqueue.New(queue)
	_, err := open(t.Context(), limiter, "ws://127.0.0.1:1", "", 0) // nobody listens
	assert.Error(t, err)
	_, err = open(t.Context(), limiter, "wss://127.0.0.1:1", "", 0)
	assert.Error(t, err)
	limiter.Close(t.Context())
	assert.Equal(t, 1000, remaining(t, queue))
}

func TestAConnectionThatFailsAfterIdentifyHasSpentItsUnit(t *testing.T) {
	queue := newQueue(t)
	srv := gatewaytest.NewServer(gatewaytest.WithFailure(gatewaytest.DropAfterIdentify, gatewaytest.First(1)))
	defer srv.Close()
	limiter := disgoqueue.New(queue)
	_, err := open(t.Context(), limiter, srv.GatewayURL(), srv.Token(), 0)
	assert.Error(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), gatewayqueue.IdentifyDelay/2)
	defer cancel()
	assert.ErrorIs(t, limiter.Wait(ctx, 1), context.DeadlineExceeded, "the window has started")
	limiter.Close(t.Context())
	assert.Equal(t, 999, remaining(t, queue))
}

func TestIdentifyWithoutAPermitIsNotSent(t *testing.T) {
	srv := gatewaytest.NewServer()
	defer srv.Close()
	limiter := disgoqueue.New(newQueue(t))
	ws, err := dial(t.Context(), limiter, srv.GatewayURL())
	require.NoError(t, err)
	assert.ErrorIs(t, identify(t.Context(), ws, srv.Token(), 0), disgoqueue.ErrNoPermit)
	_ = ws.CloseNow()

	// Nor is a second one under one permit.
	ws, err = open(t.Context(), limiter, srv.GatewayURL(), srv.Token(), 1)
	require.NoError(t, err)
	assert.ErrorIs(t, wsjson.Write(t.Context(), ws, payload{Op: 2, Data: map[string]any{"shard": []int{1, 16}}}), disgoqueue.ErrNoPermit)
	_ = ws.CloseNow()
	assert.Equal(t, 1, srv.Judge().Verdict().Identifies)
}

func TestIdentifyAfterThePermitsEndIsNotSentAndGivesItBack(t *testing.T) {
	srv := gatewaytest.NewServer()
	defer srv.Close()
	queue := newQueue(t)
	limiter := disgoqueue.New(hasty{queue})
	_, err := open(t.Context(), limiter, srv.GatewayURL(), srv.Token(), 0)
	assert.ErrorIs(t, err, gatewayqueue.ErrPermitExpired)
	limiter.Close(t.Context())
	assert.Zero(t, srv.Judge().Verdict().Identifies)
	assert.Equal(t, 1000, remaining(t, queue))
}

// hasty is a queue whose permits end at once.
type hasty struct{ gatewayqueue.PermitQueue }

func (h hasty) Acquire(ctx context.Context, shardID int) (gatewayqueue.Permit, error) {
	permit, err := h.PermitQueue.Acquire(ctx, shardID)
	return ended{permit}, err
}

type ended struct{ gatewayqueue.Permit }

func (ended) Deadline() time.Time { return time.Now().Add(-time.Second) }

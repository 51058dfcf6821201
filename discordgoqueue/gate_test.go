// The gate, below a WebSocket client that does what discordgo does.

package discordgoqueue_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/discordgoqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// window stands for Discord's 5 s where a test waits for it.
const window = 300 * time.Millisecond

type payload struct {
	Op   int    `json:"op"`
	Type string `json:"t"`
	Data any    `json:"d"`
}

func newQueue(t *testing.T, opts ...memqueue.Option) *memqueue.Queue {
	t.Helper()
	queue, err := memqueue.New(gatewayqueue.DefaultLimit(), opts...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, queue.Close()) })
	return queue
}

func remaining(t *testing.T, queue *memqueue.Queue) int {
	t.Helper()
	status, err := queue.Status(t.Context())
	require.NoError(t, err)
	return status.Budget.Remaining
}

// dial connects and reads HELLO.
func dial(ctx context.Context, gate *discordgoqueue.Gate, url string) (*websocket.Conn, error) {
	client := &http.Client{Transport: &http.Transport{DialContext: gate.DialContext, DialTLSContext: gate.DialTLSContext}}
	ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		client.CloseIdleConnections() // as gorilla/websocket does
		return nil, err
	}
	if p, err := read(ctx, ws); err != nil || p.Op != 10 {
		_ = ws.CloseNow()
		return nil, fmt.Errorf("HELLO was %+v: %w", p, err)
	}
	return ws, nil
}

func read(ctx context.Context, ws *websocket.Conn) (p payload, err error) {
	err = wsjson.Read(ctx, ws, &p)
	return p, err
}

func send(ctx context.Context, ws *websocket.Conn, op int, data any) error {
	return wsjson.Write(ctx, ws, payload{Op: op, Data: data})
}

func identify(ctx context.Context, srv *gatewaytest.Server, ws *websocket.Conn, shard int) error {
	return send(ctx, ws, 2, map[string]any{"token": srv.Token(), "shard": []int{shard, 16}})
}

// open brings a shard up as discordgo does the first time.
func open(t *testing.T, srv *gatewaytest.Server, gate *discordgoqueue.Gate, shard int) (*websocket.Conn, string) {
	t.Helper()
	ws, err := dial(t.Context(), gate, srv.GatewayURL())
	require.NoError(t, err)
	require.NoError(t, identify(t.Context(), srv, ws, shard))
	ready, err := read(t.Context(), ws)
	require.NoError(t, err)
	require.Equal(t, "READY", ready.Type)
	gate.Ready()
	return ws, ready.Data.(map[string]any)["session_id"].(string)
}

func TestAFirstConnectionWaitsBeforeItDials(t *testing.T) {
	queue := newQueue(t, memqueue.WithWindow(window))
	srv := gatewaytest.NewServer(gatewaytest.WithWindow(window))
	defer srv.Close()
	for shard := range 3 {
		gate := discordgoqueue.New(queue, shard)
		ws, _ := open(t, srv, gate, shard)
		defer func() { _ = ws.CloseNow(); gate.Close() }()
	}
	verdict := srv.Judge().Verdict()
	assert.True(t, verdict.OK(), "%v", verdict)
	assert.Equal(t, 997, remaining(t, queue))
}

func TestAFailedConnectionGivesSlotAndUnitBack(t *testing.T) {
	queue := newQueue(t)
	for _, failure := range []gatewaytest.Failure{gatewaytest.RefuseConnection, gatewaytest.DropBeforeHello} {
		srv := gatewaytest.NewServer(gatewaytest.WithFailure(failure, gatewaytest.First(1)))
		gate := discordgoqueue.New(queue, 0)
		_, err := dial(t.Context(), gate, srv.GatewayURL())
		assert.Error(t, err)
		assert.Eventually(t, func() bool { return remaining(t, queue) == 1000 }, time.Second, time.Millisecond)
		gate.Close()
		srv.Close()
	}
	gate := discordgoqueue.New(queue, 0)
	for _, url := range []string{"ws://127.0.0.1:1", "wss://127.0.0.1:1"} { // nobody listens
		_, err := dial(t.Context(), gate, url)
		assert.Error(t, err)
	}
	gate.Close()
	assert.Equal(t, 1000, remaining(t, queue))
}

func TestResumesPass(t *testing.T) {
	queue := newQueue(t)
	srv := gatewaytest.NewServer()
	defer srv.Close()
	gate := discordgoqueue.New(queue, 3)
	defer gate.Close()
	ws, session := open(t, srv, gate, 3)
	for range 2 { // the window is not over
		srv.Drop(true)
		_, err := read(t.Context(), ws)
		require.Error(t, err)
		_ = ws.CloseNow()
		ws, err = dial(t.Context(), gate, srv.GatewayURL())
		require.NoError(t, err)
		require.NoError(t, send(t.Context(), ws, 6, map[string]any{"token": srv.Token(), "session_id": session, "seq": 1}))
		resumed, err := read(t.Context(), ws)
		require.NoError(t, err)
		assert.Equal(t, "RESUMED", resumed.Type)
	}
	_ = ws.CloseNow()
	assert.Equal(t, 999, remaining(t, queue))
}

// Without the hook the first resume waits, and then gives its permit back.
func TestAGateLearnsFromTheFirstResume(t *testing.T) {
	queue := newQueue(t)
	srv := gatewaytest.NewServer()
	defer srv.Close()
	gate := discordgoqueue.New(queue, 0)
	defer gate.Close()
	ws, err := dial(t.Context(), gate, srv.GatewayURL())
	require.NoError(t, err)
	require.NoError(t, send(t.Context(), ws, 6, map[string]any{"token": srv.Token(), "session_id": "old", "seq": 1}))
	require.Eventually(t, func() bool { return remaining(t, queue) == 1000 }, 5*time.Second, time.Millisecond)
	_ = ws.CloseNow()

	permit, err := queue.Acquire(t.Context(), 0) // another shard has the bucket
	require.NoError(t, err)
	ws, err = dial(t.Context(), gate, srv.GatewayURL())
	require.NoError(t, err)
	_ = ws.CloseNow()
	assert.NoError(t, permit.Abandon(t.Context()))
}

// What discordgo does on op 9: it identifies again, on the open connection, at
// once, and as often as it is refused.
func TestIdentifyOnAnOpenConnectionIsHeldForItsTurn(t *testing.T) {
	t.Parallel()
	const window = 3 * time.Second // a heartbeat is due in each third or so, also on a machine that stands still for a while
	queue := newQueue(t, memqueue.WithWindow(window))
	srv := gatewaytest.NewServer(gatewaytest.WithWindow(window), gatewaytest.WithHeartbeat(window*2/5),
		gatewaytest.WithFailure(gatewaytest.RefuseIdentify, func(_, n int) bool { return n == 2 || n == 3 }))
	defer srv.Close()
	gate := discordgoqueue.New(queue, 5, discordgoqueue.WithHeartbeat(window/6))
	defer gate.Close()
	ws, _ := open(t, srv, gate, 5)
	defer func() { _ = ws.CloseNow() }()
	require.Equal(t, 1, srv.Invalidate(false))
	for refused := 0; ; {
		p, err := read(t.Context(), ws)
		require.NoError(t, err)
		if p.Op == 9 {
			refused++
			require.NoError(t, identify(t.Context(), srv, ws, 5))
		}
		if p.Type == "READY" {
			assert.Equal(t, 3, refused)
			break
		}
	}
	verdict := srv.Judge().Verdict()
	assert.True(t, verdict.OK(), "%v", verdict)
	assert.Equal(t, 4, verdict.Identifies)
	assert.Zero(t, srv.Stats().Timeouts, "heartbeats were sent meanwhile")
	gate.Close()
	assert.Equal(t, 996, remaining(t, queue))
}

func TestCloseEndsAWaitBeforeTheDialAndOneAfterIt(t *testing.T) {
	queue := newQueue(t)
	srv := gatewaytest.NewServer()
	defer srv.Close()
	up := discordgoqueue.New(queue, 0)
	ws, _ := open(t, srv, up, 0)
	defer func() { _ = ws.CloseNow() }()
	first := discordgoqueue.New(queue, 1)

	errs := make(chan error, 2)
	go func() { _, err := dial(t.Context(), first, srv.GatewayURL()); errs <- err }()
	go func() { errs <- identify(t.Context(), srv, ws, 0) }()
	for waiting := 0; waiting < 2; time.Sleep(time.Millisecond) {
		status, err := queue.Status(t.Context())
		require.NoError(t, err)
		waiting = status.Waiting()
	}
	first.Close()
	up.Close()
	assert.ErrorIs(t, <-errs, gatewayqueue.ErrClosed)
	assert.ErrorIs(t, <-errs, gatewayqueue.ErrClosed)
	_, err := dial(t.Context(), first, srv.GatewayURL())
	assert.ErrorIs(t, err, gatewayqueue.ErrClosed)
	first.Close()
	assert.Equal(t, 999, remaining(t, queue))
	assert.Equal(t, 1, srv.Judge().Verdict().Identifies)
}

func TestAHeldIdentifyEndsWithItsConnection(t *testing.T) {
	queue := newQueue(t)
	srv := gatewaytest.NewServer()
	defer srv.Close()
	gate := discordgoqueue.New(queue, 0, discordgoqueue.WithHeartbeat(time.Millisecond))
	defer gate.Close()
	ws, _ := open(t, srv, gate, 0)
	srv.Drop(false)
	assert.Error(t, identify(t.Context(), srv, ws, 0), "the heartbeats notice")
	_ = ws.CloseNow()
	status, err := queue.Status(t.Context())
	require.NoError(t, err)
	assert.Zero(t, status.Waiting())
}

func TestAnotherShardThanTheGatesIsRefused(t *testing.T) {
	queue := newQueue(t)
	srv := gatewaytest.NewServer()
	defer srv.Close()
	gate := discordgoqueue.New(queue, 1)
	ws, err := dial(t.Context(), gate, srv.GatewayURL())
	require.NoError(t, err)
	assert.ErrorIs(t, identify(t.Context(), srv, ws, 2), gatewayqueue.ErrInvalid)
	_ = ws.CloseNow()
	assert.Eventually(t, func() bool { return remaining(t, queue) == 1000 }, time.Second, time.Millisecond)
	gate.Close()
}

func TestIdentifyAfterThePermitsEndIsNotSentAndGivesItBack(t *testing.T) {
	queue := newQueue(t)
	srv := gatewaytest.NewServer()
	defer srv.Close()
	gate := discordgoqueue.New(hasty{queue}, 0)
	ws, err := dial(t.Context(), gate, srv.GatewayURL())
	require.NoError(t, err)
	assert.ErrorIs(t, identify(t.Context(), srv, ws, 0), gatewayqueue.ErrPermitExpired)
	_ = ws.CloseNow()
	gate.Close()
	assert.Equal(t, 1000, remaining(t, queue))
	assert.Zero(t, srv.Judge().Verdict().Identifies)
}

// hasty is a queue whose permits end at once.
type hasty struct{ gatewayqueue.PermitQueue }

func (h hasty) Acquire(ctx context.Context, shardID int) (gatewayqueue.Permit, error) {
	permit, err := h.PermitQueue.Acquire(ctx, shardID)
	return ended{permit}, err
}

type ended struct{ gatewayqueue.Permit }

func (ended) Deadline() time.Time { return time.Now().Add(-time.Second) }

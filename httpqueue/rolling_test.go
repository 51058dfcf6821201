package httpqueue_test

// Two servers on one Redis behind a dumb round-robin, rolled one after the
// other: no violation, and every client ends up granted.

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/balancetest"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// twilight is what the original's example client does: any response is
// permission, and after an error it asks again at once.
func twilight(ctx context.Context, client *http.Client, url string, shard int) (errors int, _ error) {
	for ; ; errors++ {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/?shard="+strconv.Itoa(shard), http.NoBody)
		if err != nil {
			return errors, err
		}
		resp, err := client.Do(req)
		if err == nil {
			return errors, resp.Body.Close()
		}
		if ctx.Err() != nil {
			return errors, err
		}
	}
}

func TestRollingRestartUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds of real time")
	}
	t.Parallel()
	const shards, window = 60, 500 * time.Millisecond
	limit := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 500, ResetAfter: time.Hour, MaxConcurrency: 4}
	server := role{Redis: redistest.Start(t).Addr, Limit: limit, Window: window, Margin: time.Second} // as for clients on busy machines
	a, b := start(t, server), start(t, server)
	lb := balancetest.Start(t, a.address, b.address)
	judge := gatewaytest.NewJudge(limit, window)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	client, err := httpqueue.NewClient("http://" + lb.Addr)
	require.NoError(t, err)
	defer client.Close()
	legacy, err := httpqueue.NewLegacyClient("http://" + lb.Addr)
	require.NoError(t, err)
	defer legacy.Close()
	plain := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer plain.CloseIdleConnections()

	var all sync.WaitGroup
	var lost, up atomic.Int64
	for shard := range shards {
		all.Go(func() {
			var err error
			switch shard / limit.MaxConcurrency % 4 {
			case 0:
				var n int
				n, err = twilight(ctx, plain, "http://"+lb.Addr, shard)
				lost.Add(int64(n))
				judge.Identify(shard)
			case 1:
				err = legacy.Wait(ctx, shard)
				judge.Identify(shard)
			case 2:
				err = client.Wait(ctx, shard)
				judge.Identify(shard)
			case 3:
				dial := func(context.Context) error { time.Sleep(50 * time.Millisecond); return nil }
				identify := func(context.Context) error { judge.Identify(shard); return nil }
				err = gatewayqueue.Identify(ctx, client, shard, dial, identify)
			}
			if assert.NoError(t, err, "shard %d", shard) {
				up.Add(1)
			}
		})
	}
	wait := func(n int64) {
		for up.Load() < n && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
	}
	wait(shards / 6)
	require.NoError(t, a.cmd.Process.Kill()) // SIGKILL, and nothing in its place yet
	wait(shards / 3)
	a = start(t, server)
	lb.Replace(0, a.address)
	wait(shards / 2)
	require.NoError(t, b.cmd.Process.Signal(syscall.SIGTERM))
	time.Sleep(200 * time.Millisecond)
	b = start(t, server)
	lb.Replace(1, b.address)
	all.Wait()

	verdict := judge.Verdict()
	t.Logf("%v; %d errors at twilight's clients, %d connections to nobody", verdict, lost.Load(), lb.Lost.Load())
	require.True(t, verdict.OK(), "%v", verdict)
	require.Len(t, verdict.Shards, shards, "every client ends up granted")
	require.Positive(t, lost.Load(), "nobody has noticed the restarts")
}

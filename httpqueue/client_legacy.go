// The client of any gateway-queue, such as twilight's.

package httpqueue

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
)

// LegacyClient is a queue behind any gateway-queue. It implements
// [gatewayqueue.Queue], and may be used from any number of goroutines.
//
// Only an answer of 200 is a grant to it. After any other, and after a lost
// connection, it asks again in growing pauses of up to 5 s; its place in line is
// then the last. So it does where the machine was suspended meanwhile: how old a
// grant is then, its server cannot tell.
type LegacyClient struct {
	wire  wire
	close sync.Once
	done  chan struct{}
}

// NewLegacyClient returns the queue of the gateway-queue at address, such as
// "http://gateway-queue", whose path and query are kept. It does no I/O. An
// address or option that cannot be used is a [gatewayqueue.InvalidError].
func NewLegacyClient(address string, opts ...ClientOption) (*LegacyClient, error) {
	wire, err := newWire(address, opts)
	if err != nil {
		return nil, err
	}
	return &LegacyClient{wire: wire, done: make(chan struct{})}, nil
}

// Wait implements [gatewayqueue.Queue]. It hangs up as soon as ctx ends.
func (c *LegacyClient) Wait(ctx context.Context, shardID int) error {
	if err := gatewayqueue.CheckShard(shardID); err != nil {
		return err
	}
	if err := ctxerr.Ended(ctx); err != nil {
		return err
	}
	both, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-c.done:
			cancel()
		case <-both.Done():
		}
	}()
	for n := 1; ; n++ {
		err := c.ask(both, shardID)
		if err == nil {
			return nil
		}
		_ = ctxerr.Sleep(both, retryIn(err, n))
		select {
		case <-c.done:
			return gatewayqueue.ErrClosed
		default:
		}
		if ctx.Err() != nil {
			return ctxerr.Ended(ctx, passed(ctx, err))
		}
	}
}

// passed drops an error that only says that ctx has ended.
func passed(ctx context.Context, err error) error {
	if ctx.Err() != nil && (err == nil || isContext(err)) {
		return nil
	}
	return err
}

func (c *LegacyClient) ask(ctx context.Context, shardID int) error {
	target := *c.wire.base
	query := target.Query()
	query.Set("shard", strconv.Itoa(shardID))
	target.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), http.NoBody)
	if err != nil {
		return bare(err)
	}
	sent := elapsed.Now()
	resp, err := c.wire.do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<10)) // so that the connection can be used again
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("httpqueue: the server answers %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	if jumped := sent.Jumped(); jumped > usedAnswer {
		return fmt.Errorf("httpqueue: the machine was suspended for %v, or its clock set, while the shard waited: its grant may be too old", jumped.Round(time.Millisecond))
	}
	return nil
}

// Close ends all waits with [gatewayqueue.ErrClosed]. It never fails, and may
// be called again.
func (c *LegacyClient) Close() error {
	c.close.Do(func() {
		close(c.done)
		c.wire.close()
	})
	return nil
}

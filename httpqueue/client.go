// The client of a server's /v1: what its callers see.

package httpqueue

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
)

// DefaultMaxWait is less than the minute after which many proxies lose
// patience.
const DefaultMaxWait = 50 * time.Second

// ClientOption changes one default of [NewClient] or [NewLegacyClient].
type ClientOption func(*clientOptions)

type clientOptions struct {
	token   string
	client  *http.Client
	maxWait time.Duration
	margin  time.Duration
}

// WithToken sends "Authorization: Bearer token" with every request. The token
// appears in no error.
func WithToken(token string) ClientOption { return func(o *clientOptions) { o.token = token } }

// WithHTTPClient sets the client that sends the requests. Its Timeout should be
// 0, or longer than [WithMaxWait]; a legacy server answers when the line says
// so, however long that is. Its CheckRedirect is not used: a redirect is never
// followed, because the answer at its end is not the server's.
func WithHTTPClient(c *http.Client) ClientOption { return func(o *clientOptions) { o.client = c } }

// WithMaxWait sets how long one request waits at the server before it is asked
// again, 1 s to 10 minutes; 50 s by default. It does not bound the whole wait,
// and has no meaning for a [LegacyClient].
func WithMaxWait(d time.Duration) ClientOption { return func(o *clientOptions) { o.maxWait = d } }

// WithWaitMargin sets how much longer than 100 ms it may take from the return of
// [Client.Wait] until IDENTIFY, such as for a program that starts in between; 0
// to 50 s, 0 by default. The bucket's window begins as much later, unless the
// server has a larger margin of its own. It has no meaning for a [LegacyClient],
// whose server decides.
func WithWaitMargin(d time.Duration) ClientOption { return func(o *clientOptions) { o.margin = d } }

// Client is a queue behind a server's /v1. It implements
// [gatewayqueue.PermitQueue], and its methods may be called from any number of
// goroutines.
//
// While no server answers, callers wait, and the client asks again in growing
// pauses of up to 5 s. A caller that has a ticket keeps its place in line
// through that, also at another server of the same Redis. A call whose context
// ends returns once the server knows, which may take a second if it does not
// answer.
type Client struct {
	wire wire
	stop context.CancelFunc
	ctx  context.Context // ends with Close

	mu     sync.Mutex
	closed bool
	work   sync.WaitGroup // renewals and reports
}

var (
	_ gatewayqueue.PermitQueue  = (*Client)(nil)
	_ gatewayqueue.StatusReader = (*Client)(nil)
	_ gatewayqueue.Queue        = (*LegacyClient)(nil)
)

// NewClient returns the queue of the server at address, such as
// "http://queue:8080". It does no I/O. An address or option that cannot be used
// is a [gatewayqueue.InvalidError].
func NewClient(address string, opts ...ClientOption) (*Client, error) {
	wire, err := newWire(address, opts)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	return &Client{wire: wire, ctx: ctx, stop: stop}, nil
}

// Wait implements [gatewayqueue.Queue]. However long the answer of the server
// was on its way, the bucket's window begins after Wait has returned: it takes a
// permit, and reports it with a short request of its own, for which it waits
// at most 100 ms. Send IDENTIFY within 100 ms; a caller that dials first
// takes an Acquire.
func (c *Client) Wait(ctx context.Context, shardID int) error {
	t, err := c.turn(ctx, shardID)
	if err != nil {
		return err
	}
	for {
		p, err := t.wait(ctx)
		if err != nil {
			return err
		}
		used, told := p.use(ctx)
		if used {
			return nil
		}
		if told {
			t.startOver()
		}
	}
}

// Acquire implements [gatewayqueue.PermitQueue]. The permit is renewed while
// this client is open and the server answers; without that it ends within 5 s.
func (c *Client) Acquire(ctx context.Context, shardID int) (gatewayqueue.Permit, error) {
	t, err := c.turn(ctx, shardID)
	if err != nil {
		return nil, err
	}
	p, err := t.wait(ctx)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Status implements [gatewayqueue.StatusReader]. It sends one request.
func (c *Client) Status(ctx context.Context) (gatewayqueue.Status, error) {
	var status gatewayqueue.Status
	err := c.call(ctx, func(ctx context.Context) error {
		return c.wire.send(ctx, http.MethodGet, "/v1/status", nil, &status)
	})
	return status, err
}

// Update puts a limit in force for everyone, as the queue behind the server
// says. It blocks until the server has taken it, or ctx ends. A limit out of
// range is a [gatewayqueue.InvalidError].
func (c *Client) Update(ctx context.Context, limit gatewayqueue.SessionStartLimit) error {
	if err := limit.Validate(); err != nil {
		return err
	}
	return c.call(ctx, func(ctx context.Context) error {
		for n := 1; ; n++ {
			err := c.wire.send(ctx, http.MethodPut, "/v1/limits", limit, nil)
			if err == nil || !again(err) {
				return err
			}
			if ctxerr.Sleep(ctx, retryIn(err, n)) != nil {
				return ctxerr.Ended(ctx, err)
			}
		}
	})
}

// call runs f with a context that ends with ctx or Close.
func (c *Client) call(ctx context.Context, f func(context.Context) error) error {
	if err := ctxerr.Ended(ctx); err != nil {
		return err
	}
	if c.ctx.Err() != nil { // AfterFunc would cancel a moment later, and the answer might be there by then
		return gatewayqueue.ErrClosed
	}
	both, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	err := f(both)
	switch {
	case err == nil:
		return nil
	case c.ctx.Err() != nil:
		return gatewayqueue.ErrClosed
	case ctx.Err() != nil:
		return ctxerr.Ended(ctx, err)
	}
	return err
}

// closeTimeout bounds how long Close waits for reports that are on their way.
const closeTimeout = 2 * time.Second

// Close ends all waits with [gatewayqueue.ErrClosed] and renews no permit any
// more; those that are out can still be Identified or Abandoned. It blocks
// until reports that are on their way have arrived, at most 2 s, and never
// fails. It may be called again.
func (c *Client) Close() error {
	c.mu.Lock()
	was := c.closed
	c.closed = true
	c.mu.Unlock()
	if was {
		return nil
	}
	c.stop()
	done := make(chan struct{})
	go func() { c.work.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(closeTimeout):
	}
	c.wire.close()
	return nil
}

// run starts a goroutine for which Close waits.
func (c *Client) run(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		go f()
		return
	}
	c.work.Go(f)
}

// newWire checks what NewClient and NewLegacyClient are given.
func newWire(address string, opts []ClientOption) (wire, error) {
	o := clientOptions{maxWait: DefaultMaxWait}
	for _, opt := range opts {
		opt(&o)
	}
	bad := func(field string, value any, want string) (wire, error) {
		return wire{}, &gatewayqueue.InvalidError{Field: field, Value: value, Want: want}
	}
	u, err := url.Parse(strings.TrimSuffix(address, "/"))
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		// Not repeated, because it may hold a password.
		return bad("address", "none of a server", "one such as http://queue:8080")
	case o.maxWait < time.Second || o.maxWait > maxPoll:
		return bad("max wait", o.maxWait, "1s to 10m")
	case o.margin < 0 || o.margin > longestMargin:
		return bad("wait margin", o.margin, "0s to 50s")
	case strings.ContainsAny(o.token, " \t\r\n"):
		return bad("token", "one with blanks", "no blanks")
	}
	w := wire{base: u, token: o.token, maxWait: o.maxWait, margin: o.margin, client: o.client}
	if w.client == nil {
		w.own = &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			MaxIdleConnsPerHost: 64, // many shards ask one host
			IdleConnTimeout:     time.Minute,
			TLSHandshakeTimeout: 10 * time.Second,
			TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		}
		w.client = &http.Client{Transport: w.own}
	}
	client := *w.client // the caller's stays as it is
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	w.client = &client
	return w, nil
}

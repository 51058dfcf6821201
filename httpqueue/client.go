package httpqueue

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// ClientOption changes one default of [NewClient] or [NewLegacyClient].
type ClientOption func(*clientOptions)

type clientOptions struct {
	token   string
	client  *http.Client
	maxWait time.Duration
}

// WithToken sends "Authorization: Bearer token" with every request.
func WithToken(token string) ClientOption { return func(o *clientOptions) { o.token = token } }

// WithHTTPClient sets the client that sends the requests.
func WithHTTPClient(c *http.Client) ClientOption { return func(o *clientOptions) { o.client = c } }

// WithMaxWait sets how long one request waits at the server before it is asked
// again; 1 s to 10 minutes, 50 s by default.
func WithMaxWait(d time.Duration) ClientOption { return func(o *clientOptions) { o.maxWait = d } }

// Client is a queue behind a server's /v1.
type Client struct{}

// NewClient returns the queue of the server at url, such as
// "http://queue:8080". It does no I/O.
func NewClient(url string, opts ...ClientOption) (*Client, error) { return nil, errors.ErrUnsupported }

// Wait implements [gatewayqueue.Queue].
func (c *Client) Wait(ctx context.Context, shardID int) error { return errors.ErrUnsupported }

// Acquire implements [gatewayqueue.PermitQueue].
func (c *Client) Acquire(ctx context.Context, shardID int) (gatewayqueue.Permit, error) {
	return nil, errors.ErrUnsupported
}

// Status implements [gatewayqueue.Statuser].
func (c *Client) Status(ctx context.Context) (gatewayqueue.Status, error) {
	return gatewayqueue.Status{}, errors.ErrUnsupported
}

// Update puts a limit in force.
func (c *Client) Update(ctx context.Context, limit gatewayqueue.SessionStartLimit) error {
	return errors.ErrUnsupported
}

// Close ends all waits with [gatewayqueue.ErrClosed].
func (c *Client) Close() error { return nil }

// LegacyClient is a queue behind any gateway-queue.
type LegacyClient struct{}

// NewLegacyClient returns the queue of the gateway-queue at url, such as
// "http://gateway-queue". It does no I/O.
func NewLegacyClient(url string, opts ...ClientOption) (*LegacyClient, error) {
	return nil, errors.ErrUnsupported
}

// Wait implements [gatewayqueue.Queue].
func (c *LegacyClient) Wait(ctx context.Context, shardID int) error { return errors.ErrUnsupported }

// Close ends all waits with [gatewayqueue.ErrClosed].
func (c *LegacyClient) Close() error { return nil }

// Pausing grants: the client's side.

package httpqueue

import (
	"context"
	"net/http"

	"github.com/gatewayqueue/gatewayqueue"
)

var _ gatewayqueue.Pauser = (*Client)(nil)

// Pause implements [gatewayqueue.Pauser]. It sends one request, and needs a token
// ([WithToken]): a server without one refuses. The server adds from where the order
// came to Who, which has 50 bytes at most here.
func (c *Client) Pause(ctx context.Context, order gatewayqueue.Order) error {
	if err := order.Validate(); err != nil {
		return err
	}
	return c.order(ctx, "/v1/pause", order)
}

// Resume implements [gatewayqueue.Pauser], as Pause does.
func (c *Client) Resume(ctx context.Context, order gatewayqueue.Order) error {
	if err := order.ValidateResume(); err != nil {
		return err
	}
	return c.order(ctx, "/v1/resume", order)
}

func (c *Client) order(ctx context.Context, path string, order gatewayqueue.Order) error {
	body := struct {
		Who   string `json:"who"`
		Why   string `json:"why"`
		ForMS int64  `json:"for_ms,omitempty"`
	}{order.Who, order.Why, order.For.Milliseconds()}
	return c.call(ctx, func(ctx context.Context) error {
		return c.wire.send(ctx, http.MethodPost, path, body, nil)
	})
}

// Audit implements [gatewayqueue.Pauser]. It sends one request.
func (c *Client) Audit(ctx context.Context) ([]gatewayqueue.AuditEntry, error) {
	var shown pauses
	err := c.call(ctx, func(ctx context.Context) error {
		return c.wire.send(ctx, http.MethodGet, "/v1/pause", nil, &shown)
	})
	return shown.Audit, err
}

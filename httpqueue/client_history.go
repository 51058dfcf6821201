// The history, as a client reads it.

package httpqueue

import (
	"context"
	"net/http"

	"github.com/gatewayqueue/gatewayqueue"
)

// History returns what the queue behind the server granted in the last 24 hours, as
// that queue's History says. It sends one request.
func (c *Client) History(ctx context.Context) ([]gatewayqueue.Minute, error) {
	var answer historyAnswer
	err := c.call(ctx, func(ctx context.Context) error {
		return c.wire.send(ctx, http.MethodGet, "/v1/history", nil, &answer)
	})
	return answer.Minutes, err
}

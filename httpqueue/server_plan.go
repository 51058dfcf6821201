// GET /v1/plan: whether a fleet may be deployed, and what becomes of it.

package httpqueue

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/rollout"
)

// stormy is a queue that proxies tell what Discord refuses.
type stormy interface {
	TellSight(ctx context.Context, news gatewayqueue.SightNews) (gatewayqueue.Storm, error)
}

// addStorm adds to a snapshot whether Discord refuses sessions, as far as proxies have
// told. Without it the rest of the snapshot is as good.
func (h *Handler) addStorm(ctx context.Context, status *gatewayqueue.Status) {
	queue, ok := h.queue.(stormy)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	// Nothing is told, and so many that no look begins a storm.
	if storm, err := queue.TellSight(ctx, gatewayqueue.SightNews{Many: math.MaxInt32}); err == nil && storm != (gatewayqueue.Storm{}) {
		status.Storm = &storm
	}
}

// getPlan is GET /v1/plan.
func (h *Handler) getPlan(w http.ResponseWriter, r *http.Request, _ string) *problem {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return invalid("query", "malformed", "shards=400, and what the API describes besides")
	}
	status, bad := h.status(r.Context())
	if bad != nil {
		return bad
	}
	request, bad := planRequest(query, status.Time)
	if bad != nil {
		return bad
	}
	h.addStorm(r.Context(), &status)
	plan, err := rollout.NewPlan(status, request)
	if err != nil {
		return h.problemOf(err)
	}
	writeJSON(w, http.StatusOK, plan)
	return nil
}

// planRequest reads a query. A name that is not known is refused: a reserve that is
// misspelt would not be kept.
func planRequest(query url.Values, now time.Time) (r rollout.Request, bad *problem) {
	shards := fmt.Sprintf("1 to %d", rollout.MaxShards)
	for name, values := range query {
		value := values[0]
		if len(values) > 1 {
			return r, invalid(name, "given twice", "one value")
		}
		var err error
		switch name {
		case "shards":
			if r.Shards, err = strconv.Atoi(value); err != nil {
				return r, invalid(name, strconv.Quote(value), shards)
			}
		case "at": // a plus sign that was not escaped is a blank
			r.At, err = rollout.ParseMoment(strings.ReplaceAll(value, " ", "+"), now.UTC())
		case "crash_reserve":
			var amount rollout.Amount
			amount, err = rollout.ParseAmount(value)
			r.CrashReserve = &amount
		case "within":
			if r.Within, err = time.ParseDuration(value); err != nil {
				return r, invalid(name, strconv.Quote(value), "a time with its unit, such as 30m")
			}
		default:
			return r, unknownParameter(name, "shards, at, crash_reserve or within")
		}
		var wrong *gatewayqueue.InvalidError
		if errors.As(err, &wrong) {
			return r, invalid(name, wrong.Value, wrong.Want)
		}
	}
	if !query.Has("shards") {
		return r, invalid("shards", "missing", shards)
	}
	return r, nil
}

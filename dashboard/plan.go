// Whether a fleet may be deployed, by the latest picture.

package dashboard

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/gatewayqueue/gatewayqueue/rollout"
)

// plan answers who views the page: /plan?shards=N. It asks the queue nothing.
func (b *Dashboard) plan(w http.ResponseWriter, r *http.Request) {
	shards, err := strconv.Atoi(r.URL.Query().Get("shards"))
	if err != nil {
		http.Error(w, "shards is missing, or no number", http.StatusBadRequest)
		return
	}
	b.mu.Lock()
	status, seen := b.status, b.polling && !b.seen.IsZero()
	b.mu.Unlock()
	if !seen {
		http.Error(w, "nobody views the page, so it has no picture", http.StatusServiceUnavailable)
		return
	}
	plan, err := rollout.NewPlan(status, rollout.Request{Shards: shards})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(plan) // A browser that does not read it does not see it.
}

// Whether a fleet may be deployed, by the latest picture.

package dashboard

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gatewayqueue/gatewayqueue/rollout"
)

// plan answers who views the page: /plan?shards=N. It asks the queue nothing.
func (b *Dashboard) plan(w http.ResponseWriter, r *http.Request) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		http.Error(w, "the query is malformed: want shards=400", http.StatusBadRequest)
		return
	}
	for name, values := range query {
		if name != "shards" || len(values) > 1 { // a reserve, say, that would not be kept
			http.Error(w, fmt.Sprintf("there is no parameter %.40q, or more than one: want shards alone; /v1/plan takes more", name), http.StatusBadRequest)
			return
		}
	}
	shards, err := strconv.Atoi(query.Get("shards"))
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

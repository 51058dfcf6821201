// Whether one shard is ready, for a probe of the pod that it runs in.

package proxy

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
)

const shardPath = "/readyz/shard/"

// shardReady answers 200 if a shard is ready through this proxy, and 503 with its state
// in words if it is not.
func (s *service) shardReady(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	status, text := lookAt(s.proxy.Shards(r.URL.Query().Get("app")), strings.TrimPrefix(r.URL.Path, shardPath), time.Now())
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // A client that does not read it does not need it.
}

// lookAt is the answer of one shard among all.
func lookAt(all []gatewayproxy.Shard, id string, now time.Time) (status int, text string) {
	n, err := strconv.Atoi(id)
	if err != nil || n < 0 {
		return http.StatusBadRequest, fmt.Sprintf("shard is %q: want a whole number from 0, as in %s0", id, shardPath)
	}
	all = slices.DeleteFunc(all, func(one gatewayproxy.Shard) bool { return one.ID != n })
	switch {
	case len(all) == 0:
		return http.StatusServiceUnavailable, fmt.Sprintf("not ready: shard %d has not come through this proxy", n)
	case len(all) > 1:
		return http.StatusBadRequest, fmt.Sprintf("several applications have a shard %d here: name one, as in %s%d?app=%s", n, shardPath, n, all[0].App)
	case all[0].State == gatewayproxy.StateReady:
		return http.StatusOK, "ready"
	}
	return http.StatusServiceUnavailable, fmt.Sprintf("not ready: shard %d %s", n, inWords(all[0], now))
}

// closers are who may have ended a connection.
var closers = map[gatewayproxy.Closer]string{"bot": "the bot", "discord": "Discord", "proxy": "this proxy"}

// inWords is what a shard that is not ready is at.
func inWords(s gatewayproxy.Shard, now time.Time) string {
	since := now.Sub(s.Since).Round(100 * time.Millisecond)
	switch s.State {
	case gatewayproxy.StateHeld:
		return fmt.Sprintf("waits for its turn: its IDENTIFY is held since %v", since)
	case gatewayproxy.StateIdentifying:
		return fmt.Sprintf("has identified %v ago: READY has not come", since)
	case gatewayproxy.StateResuming:
		return fmt.Sprintf("has asked to resume %v ago: RESUMED has not come", since)
	case gatewayproxy.StateRefused:
		return fmt.Sprintf("has no session: Discord has called it invalid %v ago (op 9)", since)
	}
	end := "without a code"
	if s.LastClose != 0 {
		end = fmt.Sprintf("with %d", s.LastClose)
	}
	if who, ok := closers[s.LastCloseBy]; ok {
		end += ", by " + who
	}
	return fmt.Sprintf("has no connection: the last has ended %v ago, %s", since, end)
}

// One viewer's stream of server-sent events.
// https://html.spec.whatwg.org/multipage/server-sent-events.html

package dashboard

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

const (
	// writeTimeout ends a stream whose reader has stopped reading.
	writeTimeout = 10 * time.Second

	// pulse is how often a stream says how fresh its picture is, which changes nothing:
	// proxies cut streams that are silent for a minute or less, and a page whose
	// connection is stuck must know that its picture is old. busyPulse is the same
	// while somebody waits or a bucket is closed. The page knows both: picture.js.
	pulse     = 15 * time.Second
	busyPulse = time.Second
)

type viewer struct{ poke chan struct{} }

func (v *viewer) wake() {
	select {
	case v.poke <- struct{}{}:
	default: // it has not caught up with the last one yet
	}
}

// message is one event: the state if it has changed, and the grants that are
// new or have changed.
type message struct {
	About   string          `json:"about,omitempty"` // this and the next of the first event only
	Page    string          `json:"page,omitempty"`  // which page this server has: another one is loaded
	Now     int64           `json:"now"`             // ms, of the last good look, on the queue's clock
	Age     int64           `json:"age"`             // ms since that look
	State   json.RawMessage `json:"state,omitempty"`
	Grants  []grant         `json:"grants,omitempty"`
	History json.RawMessage `json:"history,omitempty"` // if it has changed
	Trouble string          `json:"trouble,omitempty"`
}

func (b *Dashboard) stream(w http.ResponseWriter, r *http.Request) {
	v := &viewer{poke: make(chan struct{}, 1)}
	if !b.enter(v) {
		w.Header().Set("Retry-After", "10")
		http.Error(w, "no more viewers now", http.StatusServiceUnavailable)
		return
	}
	defer b.leave(v)
	out := http.NewResponseController(w)
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("X-Accel-Buffering", "no") // nginx would hold events back
	if r.Method == http.MethodHead {
		return
	}
	send := func(text string) bool {
		// A writer that knows no deadlines is a test's or a wrapper's.
		_ = out.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := w.Write([]byte(text)); err != nil {
			return false
		}
		return out.Flush() == nil
	}
	if !send("retry: 2000\n\n") {
		return
	}
	quiet := time.NewTimer(pulse)
	defer quiet.Stop()
	sent, sentGrants, sentPast := 0, 0, 0
	about, version := b.about, page.version
	for {
		text := ""
		b.mu.Lock()
		if b.rev != sent {
			m := message{About: about, Page: version, Now: b.tracker.now, Age: time.Since(b.seen).Milliseconds(), State: b.board, Trouble: b.trouble}
			m.Grants = b.tracker.since(sentGrants)
			if b.pastRev != sentPast {
				m.History, sentPast = b.past, b.pastRev
			}
			if data, err := json.Marshal(m); err == nil {
				text = "data: " + string(data) + "\n\n"
			}
			sent, sentGrants = b.rev, b.tracker.rev
			about, version = "", ""
		}
		wait := b.pulse()
		b.mu.Unlock()
		if text != "" && !send(text) {
			return
		}
		quiet.Reset(wait)
		select {
		case <-v.poke:
		case <-quiet.C:
			if !send(b.stillSeen()) {
				return
			}
		case <-r.Context().Done():
			return
		case <-b.ctx.Done():
			return
		}
	}
}

// pulse is how long a stream may be silent. The caller holds mu.
func (b *Dashboard) pulse() time.Duration {
	for _, bucket := range b.last.Buckets {
		if bucket.Waiting > 0 || bucket.Opens > b.tracker.now {
			return busyPulse
		}
	}
	return pulse
}

// stillSeen is an event that says how old the picture is.
func (b *Dashboard) stillSeen() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return fmt.Sprintf("event: seen\ndata: {\"now\":%d,\"age\":%d}\n\n", b.tracker.now, time.Since(b.seen).Milliseconds())
}

// enter takes a viewer in, and starts the poller for the first.
func (b *Dashboard) enter(v *viewer) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.watch) >= b.viewers {
		return false
	}
	b.watch[v] = struct{}{}
	b.poll()
	return true
}

func (b *Dashboard) leave(v *viewer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.watch, v)
}

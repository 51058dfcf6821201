// Pauses: what operators order, and what a pod hears of it.

package redisqueue

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/lua"
)

var (
	pauseScript = newScript(lua.Pause)
	auditScript = newScript(lua.Audit)
)

var _ gatewayqueue.Pauser = (*RedisQueue)(nil)

// endless is written for a pause without an end, in ms: the last second of the year
// 9999, as lua/lib/limits.lua has it. So is every later moment.
const endless = 253402300799000

// Pause implements [gatewayqueue.Pauser], for all pods: no claim that Redis executes
// later is granted. It sends one call, and does not try again. Pods of a version that
// knows no pauses are not held up by one.
func (q *RedisQueue) Pause(ctx context.Context, order gatewayqueue.Order) error {
	if err := order.Validate(); err != nil {
		return err
	}
	return q.order(ctx, gatewayqueue.OrderPause, order)
}

// Resume implements [gatewayqueue.Pauser]. It sends one call, and does not try again.
// Pods hear of it within half a pod's lease, 1.5 s by default.
func (q *RedisQueue) Resume(ctx context.Context, order gatewayqueue.Order) error {
	if err := order.ValidateResume(); err != nil {
		return err
	}
	return q.order(ctx, gatewayqueue.OrderResume, order)
}

func (q *RedisQueue) order(ctx context.Context, what string, order gatewayqueue.Order) error {
	if q.ctx.Err() != nil {
		return gatewayqueue.ErrClosed
	}
	code, err := q.store.order(ctx, what, order)
	switch {
	case err != nil && classify(err) == returned:
		return explain(err, q.store.keys)
	case err != nil:
		return err
	case code != "same":
		q.config.log.Info("an operator has given an order", "order", what, "who", order.Who, "why", order.Why, "for", order.For)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.beatSoon() // this pod need not wait to hear of it
	return nil
}

// Audit implements [gatewayqueue.Pauser]: the orders of all pods. It sends one call,
// and does not try again.
func (q *RedisQueue) Audit(ctx context.Context) ([]gatewayqueue.AuditEntry, error) {
	if q.ctx.Err() != nil {
		return nil, gatewayqueue.ErrClosed
	}
	audit, err := q.store.audit(ctx)
	if err != nil && classify(err) == returned {
		err = explain(err, q.store.keys)
	}
	return audit, err
}

// written is an order as Redis keeps it, behind its time: for people who read it with
// redis-cli, and for Audit.
type written struct {
	Time time.Time `json:"time,omitzero"`
	What string    `json:"what"`
	For  string    `json:"for,omitempty"` // such as 30m0s
	Who  string    `json:"who"`
	Why  string    `json:"why"`
}

func (s *store) order(ctx context.Context, what string, order gatewayqueue.Order) (code string, err error) {
	text := written{What: what, Who: order.Who, Why: order.Why}
	if order.For > 0 {
		text.For = order.For.String()
	}
	entry, err := json.Marshal(text)
	if err != nil {
		return "", err
	}
	values := lua.Values{
		"stop": what == gatewayqueue.OrderPause, "lasts": order.For, "who": order.Who, "why": order.Why,
		"order": "," + string(entry[1:]), "kept": gatewayqueue.AuditKept,
	}
	r := s.run(ctx, pauseScript, s.keys.of(pauseScript.Keys, 0, ""), pauseScript.Order(values)...)
	code = r.at("code").text()
	return code, r.done()
}

func (s *store) audit(ctx context.Context) ([]gatewayqueue.AuditEntry, error) {
	r := s.run(ctx, auditScript, s.keys.of(auditScript.Keys, 0, ""), auditScript.Order(lua.Values{"most": gatewayqueue.AuditKept})...)
	var audit []gatewayqueue.AuditEntry
	for orders := r.at("orders").list(); len(orders.values) > 0 && orders.err == nil; {
		var text written
		if json.Unmarshal([]byte(orders.text()), &text) != nil {
			continue // somebody has written it by hand
		}
		lasts, _ := time.ParseDuration(text.For)
		audit = append(audit, gatewayqueue.AuditEntry{
			Time: text.Time, What: text.What, Order: gatewayqueue.Order{Who: text.Who, Why: text.Why, For: lasts},
		})
	}
	return audit, r.done()
}

// pauseOf is the pause that the fields of limits tell of, nil if there is none.
func pauseOf(limits map[string]string, now int64) *gatewayqueue.PauseStatus {
	text := limits["paused_until"]
	if text == "" {
		return nil
	}
	until, err := strconv.ParseInt(text, 10, 64)
	if err == nil && until <= now {
		return nil
	}
	p := &gatewayqueue.PauseStatus{Who: limits["paused_by"], Why: limits["paused_why"]}
	if err == nil && until < endless {
		p.Until = time.UnixMilli(until)
	}
	if at, err := strconv.ParseInt(limits["paused_at"], 10, 64); err == nil {
		p.Since = time.UnixMilli(at)
	}
	return p
}

// pauseState is what this pod knows of a pause.
type pauseState struct {
	told bool                      // a claim, or a beat, has said that grants are paused, and no beat that they are not
	is   *gatewayqueue.PauseStatus // what a beat has said; nil if none has
}

// tellPaused notes that a claim was answered that grants are paused; the next beat
// says by whom. The caller holds mu.
func (q *RedisQueue) tellPaused() {
	if !q.paused.told {
		q.paused.told = true
		q.beatSoon()
	}
}

// hearPause takes in what a beat says of pauses. Where there is none any more, those
// ask that were told to wait for its end: also where the beat is older than what they
// were told, since the next will be newer. It returns what is to be observed. The
// caller holds mu.
func (q *RedisQueue) hearPause(r beatReply) []gatewayqueue.Event {
	if r.pause == nil {
		return q.hearResume()
	}
	was := q.paused.is
	if q.paused = (pauseState{told: true, is: r.pause}); was != nil && *was == *r.pause {
		return nil
	}
	return []gatewayqueue.Event{{Kind: gatewayqueue.EventPaused, Err: r.pause.Blocks(time.UnixMilli(r.now))}}
}

// hearResume takes in that grants are not paused. The caller holds mu.
func (q *RedisQueue) hearResume() []gatewayqueue.Event {
	was := q.paused
	q.paused = pauseState{}
	if !was.told {
		return nil
	}
	for _, l := range q.lines {
		if !l.exhausted {
			l.askNow()
		}
	}
	if was.is == nil {
		return nil
	}
	return []gatewayqueue.Event{{Kind: gatewayqueue.EventResumed}}
}

// logPause says in the log that this pod has heard of a pause, or of its end.
func (q *RedisQueue) logPause(e gatewayqueue.Event) {
	if b, ok := e.Err.(*gatewayqueue.BlockedError); ok { //nolint:errorlint // nobody has wrapped it
		q.config.log.Warn("grants are paused", b.Attrs()...)
		q.maySay("long " + string(gatewayqueue.ReasonPaused)) // so that tellWhy repeats it in an hour
		return
	}
	q.config.log.Info("grants are resumed")
}

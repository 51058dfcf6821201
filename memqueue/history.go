// The queue's history: a day of it, in this process.

package memqueue

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
)

// History returns what the queue granted in the last 24 hours, by minutes in their
// order, the one that goes on left out. It is empty without [WithHistory]. It does not
// block; it returns [gatewayqueue.ErrClosed], or why ctx has ended.
func (q *Queue) History(ctx context.Context) ([]gatewayqueue.Minute, error) {
	if err := ctxerr.Ended(ctx); err != nil {
		return nil, err
	}
	q.mu.Lock()
	closed := q.closed
	q.mu.Unlock()
	switch {
	case closed:
		return nil, gatewayqueue.ErrClosed
	case q.past == nil:
		return nil, nil
	}
	return q.past.all(time.Now()), nil
}

// remember has the history hear the queue's events. It is called before anything
// happens.
func (p *past24) remember(q *Queue) {
	p.observe(q.budget.event())
	next := q.observer
	q.observer = func(e gatewayqueue.Event) {
		p.observe(e)
		if next != nil {
			next(e)
		}
	}
}

// past24 are the last 24 hours.
type past24 struct {
	mu      sync.Mutex
	minutes map[int64]*gatewayqueue.Minute // by the minute since 1970; none in which nothing happened
	budget  gatewayqueue.Event             // the last EventBudget
}

func (p *past24) observe(e gatewayqueue.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := minuteOf(time.Now())
	switch e.Kind {
	case gatewayqueue.EventGranted:
		m := p.at(now)
		m.Granted++
		m.Waits.Add(e.Elapsed)
	case gatewayqueue.EventAbandoned:
		p.at(now).Returned++
	case gatewayqueue.EventBudget:
		p.budget = e
	default:
		return
	}
	if m := p.minutes[now]; m != nil {
		m.Remaining, m.Total = p.budget.Remaining, p.budget.Total
		m.Unknown = m.Total == 0 // there is no limit
	}
}

func minuteOf(t time.Time) int64 { return t.UnixMilli() / time.Minute.Milliseconds() }

// at is a minute, made where it is not there. The caller holds mu.
func (p *past24) at(minute int64) *gatewayqueue.Minute {
	m := p.minutes[minute]
	if m == nil {
		maps.DeleteFunc(p.minutes, func(at int64, _ *gatewayqueue.Minute) bool { return at < minute-gatewayqueue.HistoryMinutes })
		m = &gatewayqueue.Minute{Start: time.UnixMilli(minute * time.Minute.Milliseconds()), Waits: make(gatewayqueue.Waits)}
		p.minutes[minute] = m
	}
	return m
}

// all are the minutes that are over.
func (p *past24) all(at time.Time) []gatewayqueue.Minute {
	now := minuteOf(at)
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []gatewayqueue.Minute
	for _, minute := range slices.Sorted(maps.Keys(p.minutes)) {
		if minute < now && minute >= now-gatewayqueue.HistoryMinutes {
			m := *p.minutes[minute]
			m.Waits = maps.Clone(m.Waits)
			m.P50, m.P99 = m.Waits.Quantile(0.5), m.Waits.Quantile(0.99)
			list = append(list, m)
		}
	}
	return list
}

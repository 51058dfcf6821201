package redisqueue

// What a line makes of the answers to its claims: who is granted, who is refused,
// who rests, and when to ask again.

import (
	"fmt"
	"slices"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
)

// hear takes in the answer to a claim. It returns what is to be observed, once
// mu is free.
func (l *line) hear(s step, sent elapsed.Moment, r claimReply, err error) []gatewayqueue.Event {
	q := l.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	s.first.claiming = false
	if s.first.line != nil && s.first.line != l {
		s.first.line.poke() // it was moved meanwhile, and its new line waits for this
	}
	if err != nil {
		if classify(err) == returned {
			l.refuseAll(explain(err, q.store.keys))
		}
		l.failed(err)
		return nil
	}
	l.failures = 0
	if r.code == "resync" {
		q.unready(s.claim.view)
		return nil
	}
	for _, w := range append(s.others, s.first) {
		if w.arrival == 0 {
			w.arrival = r.now
		}
		if w.placed != nil {
			defer w.place() // once it is known whether it is granted in the same moment
		}
	}
	if q.view.epoch != s.claim.view.epoch || q.view.maxConcurrency != s.claim.view.maxConcurrency {
		if r.code == "granted" {
			l.grant(s, sent, r.now)
		}
		return nil // the rest is of a state, or of limits, that are no more
	}
	events := q.remember(s.claim.view, r.seq, r.left, r.reset)
	l.ask = time.Now().Add(r.wait + time.Duration(r.ahead)*handoff)
	if l.again {
		l.ask = time.Time{}
	}
	if l.exhausted && r.code != "exhausted" {
		q.look() // the pod's lease is shorter now, and the next beat sooner
	}
	l.ahead, l.exhausted = r.ahead, r.code == "exhausted"
	for _, w := range append(s.others, s.first) {
		w.told = true
	}
	slices.SortStableFunc(l.waiters, (*waiter).compare)
	if r.back {
		for _, w := range l.waiters {
			w.told = w == s.first
		}
	}
	switch r.code {
	case "granted":
		events = append(events, q.hearResume()...)
		l.grant(s, sent, r.now)
		if r.more {
			q.beatSoon()
		}
	case "gone": // a ticket of another life, or forged: take a new one
		if endOf(s.first.ticket) != "" && s.first.state == waiting {
			s.first.line.waiters = remove(s.first.line.waiters, s.first)
			s.first.refuse(errSettled) // the wait has had its grant
		} else if s.first.state == waiting {
			s.first.ticket, s.first.told = q.newTicket(s.first.shard, ""), false
		}
	case "tired":
		events = append(events, l.rest(s.first, r.wait)...)
	case "exhausted":
		l.usedUp = r.now
		q.beatSoon() // with the longer lease
		b := q.budgetBlocks(r.wait)
		events = append(events, q.blockedEvent(string(b.Reason), b)...)
		q.exhausted(r.wait)
	default:
		if r.code == "paused" {
			q.tellPaused()
		}
		l.meetHead(s.first, r.head)
	}
	if r.code == "granted" && !s.claim.permit && r.left <= q.config.reserveOf(q.view) {
		if r.left <= q.config.leastReserveOf(q.view) { // the last unit
			q.exhausted(time.Duration(r.reset-r.now) * time.Millisecond)
		} else { // maybe: permits that are out count in the reserve
			for _, other := range q.lines {
				other.askNow()
			}
		}
	}
	if r.code == "granted" {
		q.grantedAt = time.Now()
	}
	l.refuseLate(r.shut)
	return events
}

func (l *line) grant(s step, sent elapsed.Moment, now int64) {
	w := s.first
	if w.state != waiting {
		l.ask = time.Time{} // it has left; once its ticket is given up the bucket is as open as before
		return
	}
	w.line.waiters = remove(w.line.waiters, w)
	w.state, w.sent, w.granted, w.closes = granted, sent, now, s.claim.closes
	w.bucket, w.maxConcurrency = l.bucket, s.claim.view.maxConcurrency
	close(w.done)
}

// rest takes a waiter out of its line until its shard has rested, which Redis
// counts from the shard's last identify, whoever asks meanwhile and for how long.
func (l *line) rest(w *waiter, d time.Duration) []gatewayqueue.Event {
	q := l.queue
	l.ask = time.Time{} // for who stands next
	if w.state != waiting {
		return nil
	}
	w.line.waiters = remove(w.line.waiters, w)
	if !w.deadline.IsZero() && w.deadline.Before(time.Now().Add(d)) {
		w.refuse(outlasts(d, restBlocks(w.shard, d)))
		return nil
	}
	w.line, w.arrival = nil, 0
	q.resting[w] = struct{}{}
	w.rests = time.Now().Add(d)
	w.rest = time.AfterFunc(d, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if _, rests := q.resting[w]; !rests {
			return
		}
		delete(q.resting, w)
		w.rest = nil
		q.lineOf(w.shard % q.view.maxConcurrency).add(w)
		q.keep()
		q.look() // its lease is shorter now, and the next beat sooner
	})
	return []gatewayqueue.Event{{Kind: gatewayqueue.EventResting, ShardID: w.shard, Bucket: l.bucket, Elapsed: d}}
}

// meetHead looks at the first ticket of the whole line. If it is this pod's and
// not the one that was claimed for, either a later ticket stands first (by the
// shard, in one millisecond), or nobody waits for it any more: a late copy of
// an old call put it there.
func (l *line) meetHead(first *waiter, head string) {
	_, pod, _, ok := parseTicket(head)
	if !ok || pod != l.queue.config.pod || head == first.ticket {
		return
	}
	l.ask = time.Time{}
	i := slices.IndexFunc(l.waiters, func(w *waiter) bool { return w.ticket == head })
	if i < 0 {
		l.ghosts = append(l.ghosts, head) // its unit may have been used: it gives back no more than the place
		return
	}
	w := l.waiters[i]
	l.waiters = slices.Insert(slices.Delete(l.waiters, i, i+1), 0, w)
}

// exhausted refuses those who cannot, or need not, wait for the reset.
func (q *RedisQueue) exhausted(reset time.Duration) {
	for _, l := range q.lines {
		l.refuseIf(&gatewayqueue.ExhaustedError{ResetAfter: reset}, func(w *waiter) bool {
			return q.config.failExhausted && w.patience == 0 && !w.claiming // its own answer will tell
		})
		if reset > 0 {
			l.refuseBy(reset, q.budgetBlocks(reset))
		}
	}
}

// refuseLate refuses those whose deadline ends before their bucket opens.
func (l *line) refuseLate(shut time.Duration) {
	if shut <= 0 {
		return
	}
	b := &gatewayqueue.BlockedError{Reason: gatewayqueue.ReasonLine, Text: fmt.Sprintf("bucket %d is closed", l.bucket)}
	switch q := l.queue; {
	case q.known.still.Load():
		b = standsStill()
		b.Text += " (" + b.Cure + ")"
	case time.Until(q.hold.until) > 0:
		b = holdBlocks(shut, q.hold.why)
	}
	l.refuseBy(shut, b)
}

// outlasts says that what keeps a waiter waiting does so beyond its deadline.
func outlasts(wait time.Duration, b *gatewayqueue.BlockedError) error {
	return &gatewayqueue.DeadlineError{Wait: wait, Reason: b.Text, Kind: b.Reason}
}

// refuseBy refuses those whose deadline ends before something is over.
func (l *line) refuseBy(wait time.Duration, b *gatewayqueue.BlockedError) {
	end := time.Now().Add(wait)
	l.refuseIf(outlasts(wait, b), func(w *waiter) bool {
		return !w.deadline.IsZero() && w.deadline.Before(end) && w.patience == 0 // else it has paid
	})
}

func (l *line) refuseAll(err error) { l.refuseIf(err, func(*waiter) bool { return true }) }

func (l *line) refuseIf(err error, which func(*waiter) bool) {
	stay := l.waiters[:0]
	for _, w := range l.waiters {
		if !which(w) {
			stay = append(stay, w)
			continue
		}
		if w.tried {
			l.leaving = append(l.leaving, w.ticket)
		}
		w.refuse(err)
		l.poke()
	}
	clear(l.waiters[len(stay):])
	l.waiters = stay
}

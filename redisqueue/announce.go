package redisqueue

// IDENTIFY is announced: Redis is asked right before it whether the permit still
// stands, and in the same call the window begins. Only Redis can say so: for a
// machine that was paused in its dial no time has passed.

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
)

// announceTimeout bounds how long an announcement waits for its answer: a shard
// with an open connection waits for it.
const announceTimeout = time.Second

// Announce says that IDENTIFY is about to leave, as [gatewayqueue.Announcer]
// does. It sends one call, and a second one where the answer to that took so long
// that IDENTIFY would leave too late for its window, which then begins later by
// as much. It blocks for 1 s at most. While Redis is known to be away nothing is
// sent, and the permit is good up to its Deadline.
func (p *permit) Announce(ctx context.Context) error {
	q := p.queue
	if err := ctxerr.Ended(ctx); err != nil {
		return err
	}
	q.mu.Lock()
	life, settled := p.life, p.settled
	q.mu.Unlock()
	switch {
	case settled:
		return gatewayqueue.ErrPermitSettled
	case life.left() > 0 && q.health.away():
		return nil
	}
	bound := time.NewTimer(min(announceTimeout, max(life.left(), 0)))
	defer bound.Stop()
	for life.left() > 0 {
		sent, usable, told := p.announce()
		select {
		case err := <-told:
			switch {
			case errors.Is(err, gatewayqueue.ErrPermitExpired):
				q.expire(p)
				return err
			case err != nil:
				return p.refuse(unanswered(err))
			}
			took := sent.Since()
			q.mu.Lock()
			q.announces.took(took)
			stands := took <= usable && !p.settled
			if stands {
				p.leaves = lifetime{sent, usable}
				delete(q.permits, p)
			}
			q.mu.Unlock()
			if stands {
				return nil
			}
		case <-bound.C:
			return p.refuse(unanswered(q.health.last()))
		case <-ctx.Done():
			return p.refuse(ctxerr.Ended(ctx, q.health.last()))
		}
	}
	q.expire(p)
	return gatewayqueue.ErrPermitExpired
}

// announce sends one announcement. IDENTIFY may leave within usable of sent.
func (p *permit) announce() (sent elapsed.Moment, usable time.Duration, told <-chan error) {
	q := p.queue
	answer := make(chan error, 1)
	q.mu.Lock()
	defer q.mu.Unlock()
	p.announced++
	nth := p.announced
	sent, usable = elapsed.Now(), q.usable()
	q.seeTo(func() {
		r, err := q.store.announce(context.Background(), p, nth, usable)
		q.heard(nil, err)
		switch {
		case err != nil && classify(err) == returned:
			err = explain(err, q.store.keys)
		case err == nil && r.code == "gone":
			err = gatewayqueue.ErrPermitExpired
		case err == nil:
			q.mu.Lock()
			p.opens(q.config.step(true) - q.config.announced() + usable)
			q.mu.Unlock()
		}
		answer <- err
	})
	return sent, usable, answer
}

// refuse ends a permit that Redis may, or may not, take for identified by now. Its
// bucket may open a window from now, while IDENTIFY would leave at a moment that
// nobody hears of: so it must not. What was paid goes back when it is abandoned.
func (p *permit) refuse(why error) error {
	p.queue.mu.Lock()
	defer p.queue.mu.Unlock()
	delete(p.queue.permits, p)
	p.life.good = 0
	return why
}

func unanswered(err error) error {
	return fmt.Errorf("redisqueue: Redis did not say whether the permit stands: %w", errors.Join(gatewayqueue.ErrPermitExpired, err))
}

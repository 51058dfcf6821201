package redisqueue

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/pod"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// shell is the loop around a pod: it brings events to it one at a time, from whichever
// goroutine, and does what the pod commands. A goroutine that posts an event while no
// other runs the loop runs it until no event is left; so an idle queue has no goroutine, and an answer of
// Redis is taken in by the goroutine that has read it.
type shell struct {
	queue  *RedisQueue
	config *config
	sender *sender
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   jobs // goroutines of the queue
	voice  voice

	mu      sync.Mutex // held for no longer than it takes to add to inbox, or to empty it
	inbox   []pod.Event
	running bool // somebody runs the loop

	// What follows belongs to the goroutine that runs the loop.
	pod    *pod.Pod
	lanes  [2]*lane        // by pod.Lane
	calls  context.Context // of those that end when the queue is closed: ctx, and then one for what is given up
	hangup context.CancelFunc
	timer  *time.Timer
	wakeAt time.Time

	known    atomic.Pointer[pod.Facts]
	departed chan struct{}
}

func newShell(q *RedisQueue, client redis.Scripter) *shell {
	c := &q.config
	ctx, cancel := context.WithCancel(context.Background())
	s := &shell{queue: q, config: c, ctx: ctx, cancel: cancel, calls: ctx, hangup: cancel, pod: pod.New(&c.Config), departed: make(chan struct{})}
	s.sender = &sender{client: client, keys: c.Keys}
	s.lanes = [2]*lane{pod.Calls: {room: callsAtATime}, pod.Reports: {room: reportsAtATime}}
	s.voice.work = &s.work
	s.known.Store(new(pod.Facts))
	return s
}

// facts is what is known, as of the last event.
func (s *shell) facts() pod.Facts { return *s.known.Load() }

// post brings events to the pod. It may return before they are taken in.
func (s *shell) post(events ...pod.Event) {
	s.mu.Lock()
	s.inbox = append(s.inbox, events...)
	if s.running {
		s.mu.Unlock()
		return
	}
	s.running = true
	s.mu.Unlock()
	s.loop()
}

func (s *shell) loop() {
	for {
		s.mu.Lock()
		events := s.inbox
		s.inbox = nil
		if len(events) == 0 {
			s.running = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		for _, e := range events {
			now := elapsed.Now()
			if _, ok := e.(tick); ok {
				s.wakeAt = time.Time{}
			}
			if landed, ok := e.(landed); ok {
				s.lanes[landed.lane].flying--
				for _, answer := range landed.answers {
					s.do(s.pod.Step(now, answer))
				}
				continue
			}
			s.do(s.pod.Step(now, e))
		}
		facts := s.pod.Facts()
		s.known.Store(&facts)
		s.dispatch()
		s.wake()
	}
}

// do does what the pod commands. Calls wait in their lane until the events at hand
// have been taken in: those that are due together travel together.
func (s *shell) do(commands []pod.Command) {
	for _, command := range commands {
		switch c := command.(type) {
		case pod.Send:
			s.lanes[c.Lane].add(c)
		case pod.Ask:
			s.work.Go(func() { s.post(s.askSource(s.ctx, c)) })
		case pod.Granted:
			s.voice.say(func() { answerTo(c.Waiter, c) })
		case pod.Refused:
			s.voice.say(func() { answerTo(c.Waiter, c) })
		case pod.Placed:
			s.voice.say(func() { answerTo(c.Waiter, c) })
		case pod.Done:
			s.voice.say(func() { c.Op.Owner.(chan error) <- c.Err })
		case pod.Good:
			s.keepLife(c)
		case pod.Observe:
			s.voice.later(func() { s.config.observe(c.Event) }, s.config.observed)
		case pod.Log:
			s.voice.later(func() { s.config.log.Log(context.Background(), c.Level, c.Text, c.Args...) }, true)
		case pod.Reload:
			if cluster, ok := s.sender.client.(interface{ ReloadState(ctx context.Context) }); ok {
				cluster.ReloadState(s.ctx)
			}
		case pod.Hangup:
			s.cancel()
			s.calls, s.hangup = context.WithTimeout(context.Background(), pod.CloseTimeout)
		case pod.Departed:
			s.hangup()
			close(s.departed)
		}
	}
}

func answerTo(w *pod.Waiter, answer pod.Command) { w.Owner.(*caller).answers <- answer }

// dispatch sends what may be sent now.
func (s *shell) dispatch() {
	for i, l := range s.lanes {
		if calls := l.next(time.Now()); calls != nil {
			s.fly(pod.Lane(i), calls)
		}
	}
}

// fly sends calls, and brings their answers back.
func (s *shell) fly(lane pod.Lane, calls []pod.Send) {
	ctx := s.calls
	if lane == pod.Reports { // a bucket's window hangs on it, and a unit, also once the queue is closed
		ctx = context.Background()
	}
	s.work.Go(func() {
		answers := s.sender.send(ctx, calls)
		s.post(landed{lane: lane, answers: answers})
	})
}

// landed is answers that have come together. It is the shell's own event.
type landed struct {
	pod.Event
	lane    pod.Lane
	answers []pod.Answered
}

// wake makes sure that the pod is woken when it wants to be.
func (s *shell) wake() {
	next := s.pod.Next()
	for _, l := range s.lanes {
		if at := l.bound(); !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	if next.Equal(s.wakeAt) {
		return
	}
	s.wakeAt = next
	in := max(0, time.Until(next))
	if s.timer == nil {
		s.timer = time.AfterFunc(in, s.tick)
		return
	}
	s.timer.Reset(in)
}

func (s *shell) tick() { s.post(tick{}) }

// tick is a pod.Tick that the timer has brought: it is to be set again.
type tick struct{ pod.Tick }

// askSource calls the limit source.
func (s *shell) askSource(caller context.Context, ask pod.Ask) pod.SourceAnswered {
	ctx, cancel := context.WithTimeout(caller, sourceTimeout)
	defer cancel()
	limit, err := s.config.source(ctx)
	if err == nil {
		err = validateLimit(limit)
	}
	return pod.SourceAnswered{To: ask, Limit: limit, Err: err}
}

// sourceTimeout bounds one call of the limit source.
const sourceTimeout = 10 * time.Second

// run waits for an operation of the pod. After ctx the pod goes on with it, unless it
// is of use to its caller only. ended is the error once the queue is closed; nil if
// it goes on then.
func (s *shell) run(ctx context.Context, event func(*pod.Op) pod.Event, ended func() error) error {
	done := make(chan error, 1)
	op := &pod.Op{Owner: done}
	s.post(event(op))
	var closed <-chan struct{}
	if ended != nil {
		closed = s.ctx.Done()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		s.post(pod.Cancel{Op: op})
		return ctxerr.Ended(ctx, s.facts().Last)
	case <-closed:
		return ended()
	}
}

// close ends all waits, and blocks until the pod has left Redis.
func (s *shell) close() error {
	if s.facts().Closed {
		return nil
	}
	s.post(pod.Close{})
	timer := time.NewTimer(pod.CloseTimeout)
	defer timer.Stop()
	select {
	case <-s.departed:
	case <-timer.C:
		return nil
	}
	select {
	case <-s.work.idle():
	case <-timer.C:
	}
	return nil
}

// call makes one call of Redis for a caller, beside the pod.
func call[R any](ctx context.Context, q *RedisQueue, request wire.RequestFor[R]) (R, error) {
	answer := q.shell.sender.send(ctx, []pod.Send{{Request: request}})[0]
	if answer.Err != nil {
		var none R
		return none, answer.Err
	}
	return request.Decode(q.config.Keys, answer.Raw)
}

// explained is an error for a caller where Redis has refused its call for good.
func (q *RedisQueue) explained(err error) error {
	if err != nil && wire.ClassOf(err) == wire.Returned {
		return wire.Explain(err, q.config.Keys)
	}
	return err
}

// Remember keeps a value for all servers of this application, unless there is
// one of that name already, or replace is set; an empty value only asks. It
// returns the one in force and for how long it is kept yet: keep counts from when
// the name first had a value, and is for ever if it is 0; left is negative then.
func (q *RedisQueue) Remember(ctx context.Context, name, value string, keep time.Duration, replace bool) (inForce string, left time.Duration, err error) {
	for n := 1; ; n++ {
		r, err := call(ctx, q, wire.Remember{Key: q.config.Keys.Shared(name), Value: value, Keep: keep, Replace: replace})
		q.shell.post(pod.Heard{Err: err})
		switch {
		case err == nil:
			return r.Value, r.Left, nil
		case wire.ClassOf(err) == wire.Returned:
			return "", 0, wire.Explain(err, q.config.Keys)
		case q.shell.ctx.Err() != nil:
			return "", 0, gatewayqueue.ErrClosed
		}
		if ctxerr.Sleep(ctx, wire.Backoff(wire.ClassOf(err), n, q.config.Random())) != nil {
			return "", 0, ctxerr.Ended(ctx, err)
		}
	}
}

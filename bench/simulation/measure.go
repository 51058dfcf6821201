package simulation

// What is looked at while a fleet lives.

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/gatewayqueue/gatewayqueue/bench/server"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// mark is how far things are at one moment.
type mark struct {
	server.Reading
	turns int
	sent  map[string]int
}

func (f *fleet) mark() mark {
	reading, err := f.meter.Read()
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.failed(err)
	}
	m := mark{reading, len(f.turns), maps.Clone(f.sent)}
	f.marks = append(f.marks, m)
	return m
}

// count is the budget as Redis has it.
type count struct {
	at    time.Duration
	spent int
	reset time.Duration // when the period ends
}

// look notes it, asked by somebody who has no part in the queue.
func (f *fleet) look() {
	client := f.wire()
	defer client.Close() //nolint:errcheck // nothing is left to do
	q, err := redisqueue.New(client, redisqueue.WithApp(app), redisqueue.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		f.fail(err)
		return
	}
	defer q.Close()
	status, err := q.Status(context.Background())
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.failed(err)
		return
	}
	f.counts = append(f.counts, count{f.now(), status.Budget.Total - status.Budget.Remaining, status.Budget.Reset.Sub(f.start)})
}

// follows says whether the server goes by the bubble's clock.
func (f *fleet) follows() error {
	client := f.wire()
	defer client.Close() //nolint:errcheck // nothing is left to do
	for range 2 {
		time.Sleep(1500 * time.Millisecond)
		if err := f.world.tell(time.Now()); err != nil {
			return err
		}
		at, err := client.Time(context.Background()).Result()
		if err != nil {
			return err
		}
		if !at.Equal(time.Now()) {
			return fmt.Errorf("%w: TIME says %v at %v", ErrNoClock, at, time.Now())
		}
	}
	return nil
}

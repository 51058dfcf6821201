package gatewayqueue

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var (
	// ErrClosed is returned by a queue that was closed, also to those who
	// were waiting in it.
	ErrClosed = errors.New("gatewayqueue: the queue is closed")

	// ErrInvalid is what every [InvalidError] is.
	ErrInvalid = errors.New("gatewayqueue: invalid argument")

	// ErrPermitExpired is returned by [Identify] when dialling took longer
	// than the permit was good for. Nothing was sent; ask again.
	ErrPermitExpired = errors.New("gatewayqueue: the permit's deadline passed before IDENTIFY was sent")

	// ErrExhausted is what every [ExhaustedError] is.
	ErrExhausted = errors.New("gatewayqueue: the budget is exhausted")
)

// InvalidError names a value that was refused and what is allowed. Nothing was
// changed.
type InvalidError struct {
	Field string // as the caller knows it, such as "shard ID"
	Value any
	Want  string // the allowed range, such as "0 or more"
}

func (e *InvalidError) Error() string {
	return fmt.Sprintf("gatewayqueue: %s is %v: want %s", e.Field, e.Value, e.Want)
}

// Unwrap makes every InvalidError an [ErrInvalid].
func (e *InvalidError) Unwrap() error { return ErrInvalid }

// DeadlineError is returned at once when a wait is known to outlast the
// deadline of the caller's context. It is a [context.DeadlineExceeded], and where
// Kind is known a [BlockedError].
type DeadlineError struct {
	Wait   time.Duration // the least time that the wait would have taken
	Reason string        // what the wait is for, such as "bucket 3 is closed after an identify"
	Kind   Reason        // the same in a word; empty where a server has not said it
}

func (e *DeadlineError) Error() string {
	return fmt.Sprintf("gatewayqueue: no grant in time: %s, for %v more, and the caller's deadline is sooner", e.Reason, e.Wait.Round(time.Millisecond))
}

// Unwrap makes every DeadlineError a [context.DeadlineExceeded].
func (e *DeadlineError) Unwrap() []error {
	if e.Kind == "" {
		return []error{context.DeadlineExceeded}
	}
	return []error{context.DeadlineExceeded, &BlockedError{Reason: e.Kind, Wait: e.Wait, Text: e.Reason}}
}

// ExhaustedError is returned by a queue that was told to fail rather than to
// wait for the next period.
type ExhaustedError struct {
	ResetAfter time.Duration // until the budget is full again
}

func (e *ExhaustedError) Error() string {
	return fmt.Sprintf("gatewayqueue: the budget is exhausted: it is full again in %v", e.ResetAfter.Round(time.Second))
}

// Unwrap makes every ExhaustedError an [ErrExhausted].
func (e *ExhaustedError) Unwrap() error { return ErrExhausted }

// CheckShard refuses a negative shard ID with an [InvalidError].
func CheckShard(shardID int) error {
	if shardID < 0 {
		return &InvalidError{Field: "shard ID", Value: shardID, Want: "0 or more"}
	}
	return nil
}

// ErrPermitSettled is the [ErrPermitExpired] of a permit, or of a wait, that was
// reported already: Identified, or Abandoned. Any other has lapsed.
var ErrPermitSettled error = settledError{}

type settledError struct{}

func (settledError) Error() string { return "gatewayqueue: the permit was settled before" }
func (settledError) Unwrap() error { return ErrPermitExpired }

// Package ctxerr is about calls whose context ends: their error, and sleep that it
// cuts short.
package ctxerr

import (
	"context"
	"errors"
	"strings"
	"time"
)

// Ended returns nil while ctx lasts. After that it returns the cause, the
// context's own error and all of more that is not nil, so that errors.Is finds
// each of them, and none of them is said twice.
func Ended(ctx context.Context, more ...error) error {
	err := ctx.Err()
	if err == nil {
		return nil
	}
	cause := context.Cause(ctx)
	if errors.Is(cause, err) {
		err = nil
	}
	all := make([]error, 0, 2+len(more))
	for _, e := range append([]error{cause, err}, more...) {
		if e != nil {
			all = append(all, e)
		}
	}
	if len(all) == 1 {
		return all[0]
	}
	return joined(all)
}

// joined is errors.Join in one line: it ends up in a log.
type joined []error

func (j joined) Error() string {
	texts := make([]string, len(j))
	for i, e := range j {
		texts[i] = e.Error()
	}
	return strings.Join(texts, ": ")
}

func (j joined) Unwrap() []error { return j }

// Sleep returns nil after d, or ctx's error as soon as ctx ends.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

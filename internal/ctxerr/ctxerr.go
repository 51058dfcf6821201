// Package ctxerr makes the error of a call whose context has ended.
package ctxerr

import (
	"context"
	"errors"
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
	return errors.Join(all...)
}

package pod

import (
	"errors"
	"fmt"

	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// ErrNeverGrants is redisqueue's error of that name.
var ErrNeverGrants = errors.New("redisqueue: under these limits nothing is ever granted")

// Reserve is how many units of the budget are never granted.
type Reserve struct {
	Units int        // as given; below 0 for the usual
	Floor func() int // at least so many, for now; see redisqueue.SetFloor
}

// Of is the reserve under some limits. The usual one is for units that no counter
// saw, and for permits that are out when Redis loses its state.
func (r Reserve) Of(v wire.View) int {
	units := r.Units
	if units < 0 {
		units = min(max(v.MaxConcurrency, min(10, v.Total/100)), v.Total/2)
	}
	return max(units, r.Floor())
}

// GrantsEver is an ErrNeverGrants where no unit may be granted, even of a full budget.
func (r Reserve) GrantsEver(v wire.View) error {
	switch reserve := r.Of(v); {
	case v.Total <= 0:
		return fmt.Errorf("%w: the total is %d", ErrNeverGrants, v.Total)
	case reserve >= v.Total:
		return fmt.Errorf("%w: a reserve of %d leaves nothing of a total of %d", ErrNeverGrants, reserve, v.Total)
	}
	return nil
}

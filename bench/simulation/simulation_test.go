package simulation

// scripts/bench runs the full size and writes what came of it; by itself this
// is a test that no rule is broken.

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

var (
	full = flag.Bool("full", false, "the sizes of the published figures")
	out  = flag.String("out", "", "a file for the outcome, as JSON")
)

func TestFleetsInVirtualTimeBreakNoRule(t *testing.T) {
	redistest.Default(t) // or skip
	specs := Quick()
	if *full {
		specs = Full()
	}
	results, errs := make([]Result, len(specs)), make([]error, len(specs))
	t.Run("Fleet", func(t *testing.T) {
		for i, spec := range specs {
			t.Run(fmt.Sprint(i+1), func(t *testing.T) {
				t.Parallel()
				if results[i], errs[i] = live(t, spec); errs[i] != nil {
					needClock(t, errs[i])
				}
				check(t, results[i])
			})
		}
	})
	switch err := errors.Join(errs...); {
	case errors.Is(err, ErrNoClock):
		write(t, Outcome{LeftOut: ErrNoClock.Error()})
	case err == nil:
		write(t, Outcome{Results: results})
	}
}

func live(t *testing.T, spec Spec) (r Result, err error) {
	world, err := Open(t.TempDir())
	if err != nil {
		return r, err
	}
	defer world.Close()
	began := time.Now()
	synctest.Test(t, func(*testing.T) { r, err = world.Run(spec) })
	r.Real = time.Since(began)
	return r, err
}

// needClock skips where no server has the bubble's clock. Where CI is set nothing
// may be left out.
func needClock(t *testing.T, err error) {
	if os.Getenv("CI") != "" || !errors.Is(err, ErrNoClock) {
		t.Fatal(err)
	}
	t.Skip(err)
}

func check(t *testing.T, r Result) {
	t.Logf("%+v", r)
	if r.Violations > 0 || r.OverBudget > 0 {
		t.Errorf("%d violations, %d over the budget", r.Violations, r.OverBudget)
	}
	for period, unused := range r.Unused {
		if unused < 0 || unused > 0 && r.Spec.Life == 0 {
			t.Errorf("period %d: %d units spent without an IDENTIFY, of %d", period+1, unused, r.Spent[period])
		}
	}
	if r.Spec.Life == 0 && r.Identifies != r.Spec.Shards {
		t.Errorf("%d identifies of %d shards", r.Identifies, r.Spec.Shards)
	}
}

func write(t *testing.T, outcome Outcome) {
	if *out == "" {
		return
	}
	text, err := json.MarshalIndent(outcome, "", "\t")
	if err == nil {
		err = os.WriteFile(*out, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

package wait

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/elapsed/elapsedtest"
)

func TestStart_TooOldAGrantIsWaitedForAgain(t *testing.T) {
	for name, between := range map[string]func(*testing.T){
		"this process was stopped":        func(*testing.T) { time.Sleep(3 * time.Second) },
		"the machine was suspended":       func(t *testing.T) { elapsedtest.Suspend(t, 3*time.Second) },
		"the guest was paused":            func(t *testing.T) { elapsedtest.StepWallClock(t, 3*time.Second) },
		"nobody reads its standard error": func(*testing.T) {}, // see say
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var waits, starts int
				var late []time.Duration
				heard := make(chan struct{})
				blocks := name == "nobody reads its standard error"
				s := start{
					wait: func() error { waits++; return nil },
					say: func() {
						if blocks {
							<-heard
						}
					},
					late: func(d time.Duration) { late = append(late, d) },
					stopped: func() error {
						if waits == 1 {
							between(t)
						}
						return nil
					},
					become: func() error { starts++; return nil },
				}
				granted, err := s.run()
				close(heard)
				synctest.Wait()
				require.NoError(t, err)
				assert.True(t, granted)
				assert.Equal(t, 1, starts)
				if blocks {
					assert.Equal(t, 1, waits, "what it has to say is not waited for")
					return
				}
				assert.Equal(t, 2, waits)
				assert.Equal(t, []time.Duration{3 * time.Second}, late)
			})
		})
	}
}

func TestStart_SignalAfterTheGrantStartsNothing(t *testing.T) {
	terminated := errors.New("stopped (terminated)")
	s := start{
		wait: func() error { return nil }, say: func() {}, late: func(time.Duration) {},
		stopped: func() error { return terminated },
		become:  func() error { t.Error("it starts"); return nil },
	}
	granted, err := s.run()
	assert.True(t, granted)
	require.ErrorIs(t, err, terminated)
	assert.EqualError(t, err, "stopped (terminated), after the grant: a unit of the budget was spent")
}

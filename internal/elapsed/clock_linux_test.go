package elapsed

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestBoottime_IsNeverBehindTheMonotonicClock(t *testing.T) {
	boot, ok := clock(clockBoottime)
	if !ok {
		t.Skip("this kernel or sandbox has no CLOCK_BOOTTIME")
	}
	assert.Positive(t, boot)
	b := suspendedFor()
	assert.LessOrEqual(t, b.least, b.most)
	assert.GreaterOrEqual(t, b.most, time.Duration(0))
}

// The kernel's clocks go on within a bubble; their difference does not.
func TestSuspension_IsNoneInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := Now()
		for range 1000 {
			time.Sleep(time.Hour)
			if !assert.Zero(t, m.Jumped()) {
				return
			}
		}
		assert.Equal(t, 1000*time.Hour, m.Since())
	})
}

func TestBracket_CountsOnlyWhatCannotBeChance(t *testing.T) {
	ms := func(least, most int) bracket {
		return bracket{time.Duration(least) * time.Millisecond, time.Duration(most) * time.Millisecond}
	}
	assert.Zero(t, ms(5, 9).beyond(ms(1, 5)), "both may have been 5 ms")
	assert.Zero(t, ms(1, 2).beyond(ms(4, 5)), "never less than nothing")
	assert.Equal(t, 9*time.Millisecond, ms(7, 10).beyond(ms(1, 5)), "the most it can have been")
}

// Package elapsed measures how long ago something was, also on a machine that
// was suspended in between.
//
// A grant is good for as long as Redis says, and Redis's clock goes on while a
// laptop sleeps or a guest is paused. The monotonic clock of Go stands still
// then, and with it [time.Since], timers and every deadline made with
// time.Now().Add: a pod that slept for 12 s takes its permit for good that
// another pod has long had. So here the most of three clocks counts: the
// monotonic one, CLOCK_BOOTTIME (which goes on in a suspension; Linux only) and
// the wall clock (which is set right after a resume, in a guest as well, if
// anything tells the guest the time). Too much only ever refuses: a step of the
// wall clock forwards is taken for time that passed.
//
// A guest that nobody tells the time after its pause looks to itself as if it
// had never been paused. Only the server can tell then.
package elapsed

import (
	"sync/atomic"
	"time"
)

// wallNoise is how far the wall clock may be ahead of the monotonic one without
// meaning anything. Both are read by time.Now, one after the other, and a busy
// machine may take the processor away in between; Linux slews both alike, so
// that NTP adds little.
const wallNoise = 100 * time.Millisecond

// Moment is a point in time, told by three clocks. The zero Moment is long
// past: everything is too old for it.
type Moment struct {
	at        time.Time // wall clock and monotonic clock
	suspended bracket   // how long the machine has been suspended since it booted
	simulated shift
}

// Now returns the present moment. It takes a fraction of a microsecond.
func Now() Moment {
	return Moment{at: time.Now(), suspended: suspendedFor(), simulated: simulated()}
}

// At is the moment that one clock tells alone, for tests that have their own.
func At(t time.Time) Moment { return Moment{at: t} }

// Shifted is the same moment on a machine that has been suspended for so long, and whose
// wall clock is by so much ahead of what the monotonic one says, for tests that have
// their own clocks.
func (m Moment) Shifted(suspended, wall time.Duration) Moment {
	m.simulated = shift{suspended, wall}
	return m
}

// Until returns how much time has passed between m and a later moment: the most
// that any of the clocks says, and never less than the monotonic one does.
func (m Moment) Until(later Moment) time.Duration {
	return later.at.Sub(m.at) + m.ahead(later)
}

// Since returns how much time has passed since m, as Until does.
func (m Moment) Since() time.Duration { return m.Until(Now()) }

// Jumped returns how much of Since the monotonic clock knows nothing of:
// greater than zero after a suspension, or after a step of the wall clock
// forwards. A step backwards is no jump.
func (m Moment) Jumped() time.Duration {
	return m.ahead(Now())
}

// IsZero reports whether m is the zero Moment.
func (m Moment) IsZero() bool { return m.at.IsZero() }

// Time returns m as a [time.Time] with a monotonic reading.
func (m Moment) Time() time.Time { return m.at }

// ahead returns how much more passed between m and now than the monotonic clock
// says.
func (m Moment) ahead(now Moment) time.Duration {
	if m.IsZero() {
		return 0
	}
	asleep := now.suspended.beyond(m.suspended) + now.simulated.suspended - m.simulated.suspended
	wall := now.at.Round(0).Sub(m.at.Round(0)) + now.simulated.wall - m.simulated.wall - now.at.Sub(m.at)
	if wall < wallNoise {
		wall = 0
	}
	return max(asleep, wall, 0)
}

// bracket is a duration of which only bounds are known: two clocks cannot be
// read at once.
type bracket struct{ least, most time.Duration }

// beyond returns by how much b may exceed the earlier bracket: 0 where both may
// be the same duration, so that nothing is taken for a suspension only because
// the processor was taken away between two readings.
func (b bracket) beyond(earlier bracket) time.Duration {
	if b.least <= earlier.most {
		return 0
	}
	return b.most - earlier.least
}

// shift is what tests have simulated so far (package elapsedtest).
type shift struct{ suspended, wall time.Duration }

var simulatedSuspension, simulatedStep atomic.Int64

func simulated() shift {
	return shift{
		suspended: time.Duration(simulatedSuspension.Load()),
		wall:      time.Duration(simulatedStep.Load()),
	}
}

// Simulate moves CLOCK_BOOTTIME and the wall clock, as this package reads them,
// on by as much, for the whole process. For tests only: see package elapsedtest.
func Simulate(suspension, step time.Duration) {
	simulatedSuspension.Add(int64(suspension))
	simulatedStep.Add(int64(step))
}

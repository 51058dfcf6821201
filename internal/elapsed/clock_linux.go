package elapsed

import (
	"syscall"
	"time"
	"unsafe"
)

// The clocks of clock_gettime(2). The monotonic one stands still while the
// machine is suspended, the other one does not; else they go alike, so that
// their difference changes in a suspension and never otherwise. Both are the
// kernel's, also within a bubble of testing/synctest, where the difference is
// as constant as outside.
const (
	clockMonotonic = 1
	clockBoottime  = 7
)

// closeEnough is how far apart the readings around one of CLOCK_BOOTTIME may lie
// at the first try: a suspension of less is of no interest.
const closeEnough = time.Millisecond

// suspendedFor returns for how long the machine has been suspended since it
// booted (in a time namespace, plus a constant).
func suspendedFor() bracket {
	var b bracket
	for try := range 3 {
		before, ok1 := clock(clockMonotonic)
		boot, ok2 := clock(clockBoottime)
		after, ok3 := clock(clockMonotonic)
		if !ok1 || !ok2 || !ok3 {
			return bracket{} // a sandbox may refuse the clock: the wall clock is left
		}
		if next := (bracket{least: boot - after, most: boot - before}); try == 0 || next.most-next.least < b.most-b.least {
			b = next
		}
		if b.most-b.least < closeEnough {
			break
		}
	}
	return b
}

func clock(id uintptr) (time.Duration, bool) {
	var ts syscall.Timespec
	_, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, id, uintptr(unsafe.Pointer(&ts)), 0)
	return time.Duration(ts.Nano()), errno == 0
}

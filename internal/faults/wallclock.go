package faults

// A wall clock that can be moved, of one process. What reads it there does so with
// time.Now, go-redis included; the kernel's own is everybody's, and stays as it is.

import (
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/agiledragon/gomonkey/v2"
)

var (
	wallStart = time.Now()
	wallMoved atomic.Int64 // s
)

// looseWallClock gives this process a time.Now that moveWallClock moves. Call it
// before anything else runs.
func looseWallClock() { gomonkey.ApplyFunc(time.Now, movedNow) }

// movedNow stands in for time.Now. It is no closure, which the collector would take
// away, and makes no call of the system, because the scheduler calls it too.
func movedNow() time.Time {
	return withWallMoved(wallStart.Add(time.Since(wallStart)), wallMoved.Load())
}

// withWallMoved moves the wall clock's part of a time and leaves its monotonic
// reading. That part is a flag, 33 bits of seconds and 30 of nanoseconds.
func withWallMoved(t time.Time, seconds int64) time.Time {
	parts := (*struct {
		wall uint64
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&t))
	parts.wall += uint64(seconds) << 30
	return t
}

// moveWallClock moves the wall clock to that far from the true one.
func moveWallClock(by time.Duration) error {
	start := clock()
	before := time.Now()
	was := wallMoved.Swap(int64(by / time.Second))
	after := time.Now()
	passed := clock() - start
	wall := after.Round(0).Sub(before.Round(0)) - by + time.Duration(was)*time.Second
	if monotonic := after.Sub(before); monotonic < 0 || monotonic > passed || wall < 0 || wall > passed {
		return fmt.Errorf("the wall clock was to move by %v: it moved by %v, and the monotonic one by %v", by, wall+by, monotonic)
	}
	return nil
}

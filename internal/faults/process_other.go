//go:build !linux

package faults

// Elsewhere no fault suite runs: there is no clock that all processes share.

import (
	"os"
	"time"
)

const supported = false

func pause(*os.Process) {}

func resume(*os.Process) {}

func clock() time.Duration { return 0 }

//go:build !unix

package workload

import "time"

// processCPU is not known here.
func processCPU() time.Duration { return 0 }

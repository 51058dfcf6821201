//go:build !unix

package workload

import "time"

// ProcessCPU is not known here.
func ProcessCPU() time.Duration { return 0 }

package faults

// awaited is what the queue does not hold against yet: faults, and what else a plan
// can have. It is tried with -soak.awaited only.
var awaited = map[string]bool{
	"periods":      true, // a period that begins with an IDENTIFY (rule 3)
	"many permits": true, // renewals of one pod in one call
}

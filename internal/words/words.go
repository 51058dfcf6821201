// Package words has the words in which every queue says why nothing is granted, so
// that errors, logs and Status say one thing in one way.
package words

// What is in the way of grants.
const (
	Budget = "the budget is used up until its reset"
	Hold   = "every bucket is held closed"
	Never  = "under these limits nothing is ever granted: the total is 0"

	// Elsewhere is why every bucket is closed, where only the state says so.
	Elsewhere = "after a start, a loss of state, a change of limits, or by hand"
)

// CureLimits is what to do about Never.
const CureLimits = "correct the limits"

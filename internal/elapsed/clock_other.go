//go:build !linux

package elapsed

// suspendedFor returns nothing: here the wall clock alone tells of a suspension.
func suspendedFor() bracket { return bracket{} }

//go:build !race

package unraced

const raceDetector = false

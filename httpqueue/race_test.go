//go:build race

package httpqueue_test

const raceEnabled = true

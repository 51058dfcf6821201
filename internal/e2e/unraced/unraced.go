// Package unraced runs the tests of a package without the race detector, also
// where go test was told to use it: disgo has data races of its own, and a fake
// gateway that the detector slows down reads an IDENTIFY later than it came.
package unraced

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// Run is m.Run in a binary without the race detector, with so many tests side by
// side. It returns the exit code.
func Run(m *testing.M, parallel int) int {
	if raceDetector {
		code, err := again()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return code
	}
	flag.Parse()
	_ = flag.Set("test.parallel", strconv.Itoa(parallel))
	return m.Run()
}

// again builds the tests of the directory without the detector, and runs them.
func again() (int, error) {
	dir, err := os.MkdirTemp("", "e2e")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary := filepath.Join(dir, "e2e.test")
	build := exec.Command("go", "test", "-c", "-o", binary, ".")
	build.Stdout, build.Stderr = os.Stdout, os.Stderr
	if err := build.Run(); err != nil {
		return 0, err
	}
	fmt.Println("without the race detector: see package unraced")
	tests := exec.Command(binary, os.Args[1:]...)
	tests.Stdout, tests.Stderr = os.Stdout, os.Stderr
	err = tests.Run()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

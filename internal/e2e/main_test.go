// How the tests are started. The test binary is also every pod: it starts
// itself again with podVar set.

package e2e

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestMain(m *testing.M) {
	if config := os.Getenv(podVar); config != "" {
		runPod(config)
		return
	}
	if raceDetector {
		os.Exit(withoutRaceDetector())
	}
	flag.Parse()
	_ = flag.Set("test.parallel", "16") // they mostly wait
	os.Exit(m.Run())
}

// withoutRaceDetector runs the tests in a binary of their own: disgo v0.19.6
// has data races, which the detector would report in every one of them.
func withoutRaceDetector() int {
	dir, err := os.MkdirTemp("", "e2e")
	exitOn(err)
	defer func() { _ = os.RemoveAll(dir) }()
	binary := filepath.Join(dir, "e2e.test")
	build := exec.Command("go", "test", "-c", "-o", binary, ".")
	build.Stdout, build.Stderr = os.Stdout, os.Stderr
	exitOn(build.Run())
	fmt.Println("without the race detector: see TestMain")
	tests := exec.Command(binary, os.Args[1:]...)
	tests.Stdout, tests.Stderr = os.Stdout, os.Stderr
	err = tests.Run()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return exit.ExitCode()
	}
	exitOn(err)
	return 0
}

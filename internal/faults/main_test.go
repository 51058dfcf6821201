package faults

// How the tests run: as pods, or many at once.

import (
	"flag"
	"os"
	"strconv"
	"testing"
)

// Runs sleep most of the time, so more of them fit a machine than it has cores.
const runsAtOnce = 9

func TestMain(m *testing.M) {
	PodMain()
	ProxyMain()
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set(strconv.Itoa(runsAtOnce))
	}
	os.Exit(m.Run())
}

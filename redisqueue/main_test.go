package redisqueue_test

import (
	"flag"
	"os"
	"testing"
)

// Most of these tests wait for a real server's clock, and not for a processor.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

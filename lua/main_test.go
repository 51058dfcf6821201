package lua_test

import (
	"flag"
	"os"
	"testing"
)

// Most of the time goes by while Clusters start.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

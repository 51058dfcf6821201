package httpqueue_test

// The test's binary as another process.

import "os"

const roleVar = "GATEWAYQUEUE_TEST_ROLE"

func play(string) { os.Exit(2) }

package client

import (
	"fmt"
	"os"
	"testing"
)

// role is the environment variable with which this test binary starts itself again in
// another role.
const role = "KLIME_BENCH_ROLE"

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "sink":
		err = runSink()
	case "start":
		err = runStart()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

package demotest

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func checkGoroutines(t *testing.T, before int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for len(goroutines()) > before && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if after := goroutines(); len(after) > before {
		t.Errorf("%d goroutines, %d before:\n%s", len(after), before, strings.Join(after, "\n\n"))
	}
}

// goroutines returns the stacks of all goroutines, except for those of Fiber's server:
// some of them outlive it, by up to ten seconds or for ever.
func goroutines() []string {
	all := make([]byte, 1<<20)
	all = all[:runtime.Stack(all, true)]
	return slices.DeleteFunc(strings.Split(string(all), "\n\n"), func(stack string) bool {
		return strings.Contains(stack, "created by github.com/valyala/fasthttp.")
	})
}

package adaptertest

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// missed says that something has not come in time.
var missed atomic.Bool //nolint:gochecknoglobals // one test tells all later ones

// patience is how long a test waits for what comes at once if the adapter is right:
// long, so that no busy machine fails it. After a first miss it is short, so that a
// broken adapter fails the whole suite soon.
func patience() time.Duration {
	if missed.Load() {
		return 2 * time.Second
	}
	return 10 * time.Second
}

// await returns what comes from a channel. If nothing does, it ends the test, which must
// call it from its own goroutine.
func await[T any](tb testing.TB, from <-chan T, failure string) T {
	tb.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience()):
		missed.Store(true)
		tb.Fatal(failure)
	}
	return *new(T)
}

// hold lets a handler wait. It ends with the test too, which itself fails if it misses
// anything.
func hold(tb testing.TB, until <-chan struct{}) {
	tb.Helper()
	select {
	case <-until:
	case <-tb.Context().Done():
	}
}

// limited is the test's context, for as long as its patience lasts.
func limited(tb testing.TB) (context.Context, context.CancelFunc) {
	tb.Helper()
	return context.WithTimeout(tb.Context(), patience())
}

// overdue reports whether err says that something has not come in time.
func overdue(err error) bool {
	late := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
	if late {
		missed.Store(true)
	}
	return late
}

package conformance

import (
	"context"
	"errors"
	"os"
	"sync"
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

// endsInTime is the same adapter, each of whose servers stops before its test has ended,
// so that handlers may still report errors to it, and with a failure if that takes long.
func (a Adapter) endsInTime() Adapter {
	start := a.Start
	a.Start = func(tb testing.TB, app App) (url string, stop func()) {
		tb.Helper()
		url, stopped := start(tb, app)
		stop = sync.OnceFunc(func() {
			done := make(chan struct{})
			go func() {
				defer close(done)
				stopped()
			}()
			select {
			case <-done:
			case <-time.After(patience()):
				missed.Store(true)
				tb.Error("the server does not stop: a handler has not returned")
			}
		})
		tb.Cleanup(stop)
		return url, stop
	}
	return a
}

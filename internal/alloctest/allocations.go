// Package alloctest counts what tracking adds to the allocations of a request.
package alloctest

import (
	"context"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

// blackHole accepts batches and drops them.
type blackHole struct{}

func (blackHole) Send(_ context.Context, _ []byte, events int) (klime.BatchResult, error) {
	return klime.BatchResult{Accepted: events}, nil
}

// NewSink returns a client that sends events nowhere, for benchmarks and for
// Allocations.
func NewSink(tb testing.TB) *klime.Client {
	tb.Helper()
	client, err := klime.New(klime.Config{Transport: blackHole{}, FlushInterval: time.Hour, BatchSize: 100})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = client.Shutdown(context.Background()) })
	return client
}

// Allocations fails if tracking adds more than this many allocations to a request. It
// must not run in parallel.
func Allocations(t *testing.T, most float64, bare, tracked func()) {
	t.Helper()
	if RaceEnabled {
		t.Skip("the race detector allocates by itself")
	}
	const runs = 1000
	without := testing.AllocsPerRun(runs, bare)
	if got := testing.AllocsPerRun(runs, tracked) - without; got > most {
		t.Errorf("%v allocations a request, want at most %v", got, most)
	}
}

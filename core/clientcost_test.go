package klime_test

import (
	"math"
	"runtime"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
)

// The limits of the queue are no memory until events need it.
func TestALargeQueueCostsNothing(t *testing.T) { //nolint:paralleltest // it measures
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	client, _ := newClient(t, func(cfg *klime.Config) {
		cfg.QueueSize, cfg.QueueBytes = 100_000_000, min(1<<40, math.MaxInt)
	})
	trackDone(t, client, "u1")
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("a client and an event take %d bytes", got)
	}
}

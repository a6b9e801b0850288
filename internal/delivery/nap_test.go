package delivery_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// However events come, and whatever woke the dispatcher last, no event waits longer
// than FlushInterval for others, plus the time until a sender is free.
func TestNobodyWaitsForLong(t *testing.T) {
	t.Parallel()
	const latency = 300 * time.Millisecond
	gaps := [...]time.Duration{
		0, 0, 0, 0, time.Microsecond, time.Millisecond, 50 * time.Millisecond, 1999 * time.Millisecond,
		2 * time.Second, 2001 * time.Millisecond, 4 * time.Second, 10 * time.Second,
	}
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
				time.Sleep(latency)
				return ok(len(ids))
			}}
			cfg := config(e)
			if seed%2 == 1 {
				cfg.Spool = newMemory()
			}
			d := start(t, cfg)
			var queued []time.Time
			for id := range 1000 {
				queued = append(queued, time.Now())
				if err := d.Enqueue(t.Context(), item(id, random.IntN(2) == 0, 0)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(gaps[random.IntN(len(gaps))])
			}
			mustShutdown(t, d)
			for _, r := range e.seen() {
				for _, id := range r.ids {
					if waited := r.at.Sub(queued[id]); waited > cfg.FlushInterval+latency {
						t.Errorf("seed %d: event %d waited %v", seed, id, waited)
					}
				}
			}
		})
	}
}

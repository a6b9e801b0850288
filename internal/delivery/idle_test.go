package delivery

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"
)

// nowhere is a Transport that delivers at once.
type nowhere struct{}

func (nowhere) Send(_ context.Context, batch Batch) (Result, error) {
	return Result{Accepted: len(batch)}, nil
}

// With nothing held, the dispatcher asks for no timer, except once after the last
// event: an idle client does not wake up.
func TestIdleNeedsNoTimer(t *testing.T) {
	t.Parallel()
	d := New(Config{
		Transport: nowhere{}, FlushInterval: time.Second, BatchSize: 20, QueueSize: 100, QueueBytes: 1 << 20,
		Senders: 1, RetryDelay: time.Second, Timeout: time.Second, Logger: slog.New(slog.DiscardHandler),
	})
	s := dispatcher{Deliverer: d, gate: gate{delay: time.Second}}
	if at, _ := s.step(time.Now()); !at.IsZero() {
		t.Errorf("before the first event: wakes at %v", at)
	}
	if err := d.Enqueue(t.Context(), Item{Body: []byte("{}"), Queued: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if at, _ := s.step(time.Now()); at.IsZero() {
		t.Error("with an event that waits: does not wake")
	}
	if err := d.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.step(time.Now())
	if at, _ := s.step(s.napUntil); !at.IsZero() {
		t.Errorf("after the last event: wakes at %v", at)
	}
	if at := s.napUntil; time.Until(at) > s.cfg.FlushInterval {
		t.Errorf("naps until %v", at)
	}
	if err := d.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// A job that no sender has picked up when the dispatcher ends goes back to the queue.
func TestCollect(t *testing.T) {
	t.Parallel()
	d := &Deliverer{queue: newQueue(&Config{Senders: 2, QueueSize: 4, QueueBytes: 1000}, nil), jobs: make(chan job, 2), results: make(chan jobResult, 2)}
	d.jobs <- job{items: []Item{{seq: 2}}}
	d.results <- jobResult{unsettled: []Item{{seq: 1}}}
	(&dispatcher{Deliverer: d, inFlight: 2}).collect()
	if got := seqs(d.queue.drain()); !slices.Equal(got, []uint64{1, 2}) {
		t.Errorf("back are %v", got)
	}
}

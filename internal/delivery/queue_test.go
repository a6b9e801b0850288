package delivery_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

func TestQueueKeepsTheNewest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(int, []int) (delivery.Result, error) { return delivery.Result{}, errHang }}
		cfg := config(e)
		cfg.Timeout = 24 * time.Hour
		d := start(t, cfg)
		const all = 300_000
		enqueue(t, d, 1, all)
		c := d.Counts()
		if c.Held != cfg.QueueSize || c.Evicted != uint64(all-cfg.QueueSize) || c.HeldBytes > cfg.QueueBytes {
			t.Errorf("counts: %+v", c)
		}
		checkSum(t, d)
		if err := shutdownWithin(t, d, time.Second); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

func TestQueueBoundsBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(int, []int) (delivery.Result, error) { return delivery.Result{}, errHang }}
		cfg := config(e)
		cfg.QueueBytes = 500_000
		d := start(t, cfg)
		for id := range 1000 {
			if err := d.Enqueue(t.Context(), item(id, false, 10_000)); err != nil {
				t.Fatal(err)
			}
			if c := d.Counts(); c.HeldBytes > cfg.QueueBytes {
				t.Fatalf("counts: %+v", c)
			}
		}
		if err := d.Enqueue(t.Context(), item(0, false, 900_000)); !errors.Is(err, delivery.ErrQueueFull) {
			t.Errorf("an item that never fits: %v", err)
		}
	})
}

// The largest bound that an int holds, which a Config may have where int has 32 bits, is one.
func TestQueueOfTheMostBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		cfg := config(e)
		cfg.QueueBytes = math.MaxInt
		d := start(t, cfg)
		if err := d.Enqueue(t.Context(), item(1, true, 0)); err != nil {
			t.Fatal(err)
		}
		if c := d.Counts(); c.Held != 1 {
			t.Errorf("counts: %+v", c)
		}
	})
}

// A flood of automatic items must not push out explicit ones.
func TestAutomaticItemsGoFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newOutage(503)
		evicted := map[uint64]bool{}
		cfg := config(e)
		cfg.QueueSize = 100
		cfg.RetryDelay = time.Hour
		cfg.OnOutcome = func(token uint64, outcome delivery.Outcome) { evicted[token] = outcome == delivery.Evicted }
		d := start(t, cfg)
		enqueueOwned(t, d, 1, 50)
		synctest.Wait() // the first are refused and back in the queue
		refused := 0
		for id := 51; id <= 5000; id++ {
			if err := d.Enqueue(t.Context(), item(id, true, 0)); err != nil {
				refused++
			}
		}
		if len(evicted) != 0 {
			t.Errorf("%d explicit items evicted by automatic ones", len(evicted))
		}
		// Explicit items push out all automatic ones, and only
		// then the oldest explicit ones.
		enqueue(t, d, 5001, 5050)
		if len(evicted) != 0 {
			t.Errorf("%d explicit items evicted while there were automatic ones", len(evicted))
		}
		_ = d.Enqueue(t.Context(), item(5051, false, 0))
		if !evicted[1] || len(evicted) != 1 {
			t.Errorf("evicted: %v, want the oldest", evicted)
		}
		last := item(5052, true, 0)
		last.Token = 5052
		if err := d.Enqueue(t.Context(), last); !errors.Is(err, delivery.ErrQueueFull) || !evicted[last.Token] {
			t.Errorf("an automatic item into a queue of explicit ones: %v, its owner is told: %v", err, evicted[last.Token])
		}
	})
}

func TestAutomaticItemsLeaveRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(int, []int) (delivery.Result, error) { return delivery.Result{}, errHang }}
		cfg := config(e)
		cfg.QueueSize = 1000
		d := start(t, cfg)
		for id := range 5000 {
			_ = d.Enqueue(t.Context(), item(id, true, 0))
		}
		if c := d.Counts(); c.Held != 800 {
			t.Errorf("%d automatic items held of 1000", c.Held)
		}
	})
}

// An item that cannot fit evicts nothing.
func TestNoEvictionInVain(t *testing.T) {
	t.Parallel()
	for _, overflow := range []delivery.Overflow{delivery.DropOldest, delivery.DropNewest} {
		synctest.Test(t, func(t *testing.T) {
			cfg := config(&endpoint{answer: func(int, []int) (delivery.Result, error) { return delivery.Result{}, errHang }})
			cfg.QueueBytes, cfg.Overflow, cfg.Timeout = 1_000_000, overflow, time.Hour
			d := start(t, cfg)
			for id := range 9 {
				if err := d.Enqueue(t.Context(), item(id, false, 100_000)); err != nil {
					t.Fatal(err)
				}
			}
			_ = d.Enqueue(t.Context(), item(9, true, 50_000))
			synctest.Wait() // half of it is in flight
			held := d.Counts().Held
			if err := d.Enqueue(t.Context(), item(10, false, 900_000)); !errors.Is(err, delivery.ErrQueueFull) {
				t.Errorf("error: %v", err)
			}
			if n := d.Counts().Held; n != held {
				t.Errorf("%d items held of %d", n, held)
			}
			_ = shutdownWithin(t, d, time.Second)
		})
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	e := &endpoint{answer: func(n int, ids []int) (delivery.Result, error) {
		if n%3 == 0 {
			return status(503)
		}
		return ok(len(ids))
	}}
	cfg := config(e)
	cfg.RetryDelay = time.Millisecond
	d := start(t, cfg)
	var refused atomic.Uint64
	var tracking sync.WaitGroup
	for g := range 100 {
		tracking.Go(func() {
			for i := range 200 {
				if err := d.Enqueue(t.Context(), item(g*1000+i, i%2 == 0, 0)); err != nil {
					refused.Add(1)
				}
				if i == 100 && g%10 == 0 {
					_ = d.Flush(t.Context())
				}
			}
		})
	}
	tracking.Go(func() {
		mustShutdown(t, d)
	})
	tracking.Wait()
	c := d.Counts()
	if c.Accepted+refused.Load() < 100*200 || c.Held != 0 {
		t.Errorf("counts: %+v, refused %d", c, refused.Load())
	}
}

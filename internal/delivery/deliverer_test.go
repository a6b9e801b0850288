package delivery_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

func TestBatchesByTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		d := start(t, config(e))
		begin := time.Now()
		enqueue(t, d, 1, 3)
		time.Sleep(time.Second)
		enqueue(t, d, 4, 5)
		time.Sleep(time.Hour)

		seen := e.seen()
		if len(seen) != 1 || !slices.Equal(seen[0].ids, upTo(5)) {
			t.Fatalf("requests: %+v", seen)
		}
		if waited := seen[0].at.Sub(begin); waited != 2*time.Second {
			t.Errorf("the first event waited %v", waited)
		}
		if err := shutdown(t, d); err != nil {
			t.Error(err)
		}
	})
}

func TestBatchesByCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		d := start(t, config(e))
		begin := time.Now()
		enqueue(t, d, 1, 20)
		synctest.Wait()
		seen := e.seen()
		if len(seen) != 1 || len(seen[0].ids) != 20 || !seen[0].at.Equal(begin) {
			t.Fatalf("requests: %+v", seen)
		}
		if err := shutdown(t, d); err != nil {
			t.Error(err)
		}
	})
}

func TestBatchesHoldAtMostAHundred(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
			time.Sleep(time.Second)
			return ok(len(ids))
		}}
		cfg := config(e)
		cfg.Senders = 1
		d := start(t, cfg)
		enqueue(t, d, 1, 1000)
		if err := shutdown(t, d); err != nil {
			t.Error(err)
		}
		for _, r := range e.seen() {
			if len(r.ids) > 100 {
				t.Errorf("a batch of %d", len(r.ids))
			}
		}
		if !slices.Equal(e.ids(), upTo(1000)) {
			t.Error("not each event once, in order")
		}
	})
}

// 100 events of 200 KB exceed what a batch may hold.
func TestBatchesHoldAtMostTenMegabytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		cfg := config(e)
		cfg.BatchSize = 100
		d := start(t, cfg)
		for id := 1; id <= 100; id++ {
			if err := d.Enqueue(t.Context(), item(id, false, 200*1024)); err != nil {
				t.Fatal(err)
			}
		}
		if err := shutdown(t, d); err != nil {
			t.Error(err)
		}
		for _, r := range e.seen() {
			if r.bytes > delivery.MaxBatchBytes {
				t.Errorf("a batch of %d bytes", r.bytes)
			}
		}
		if ids := e.ids(); len(ids) != 100 {
			t.Errorf("%d events delivered", len(ids))
		}
	})
}

// The first three requests get a 503 while 300 events are queued and Shutdown begins.
func TestShutdownOutlastsAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var delivered []int
		var mu sync.Mutex
		e := &endpoint{}
		e.answer = func(n int, ids []int) (delivery.Result, error) {
			if n <= 3 {
				return status(503)
			}
			mu.Lock()
			defer mu.Unlock()
			delivered = append(delivered, ids...)
			return ok(len(ids))
		}
		d := start(t, config(e))
		enqueue(t, d, 1, 300)
		if err := shutdown(t, d); err != nil {
			t.Error(err)
		}
		slices.Sort(delivered)
		if !slices.Equal(delivered, upTo(300)) {
			t.Errorf("delivered %d events, not each once", len(delivered))
		}
		checkSum(t, d)
		if c := d.Counts(); c.Sent != 300 || c.Held != 0 || c.Retries == 0 {
			t.Errorf("counts: %+v", c)
		}
	})
}

// If Klime is back and the client does not know yet, Shutdown does not sit out the
// backoff, nor a wait that an answer asked for.
func TestShutdownDuringBackoff(t *testing.T) {
	t.Parallel()
	for name, retryAfter := range map[string]time.Duration{"own": 0, "asked for": time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
					if time.Since(begin) < time.Minute {
						return delivery.Result{}, &delivery.SendError{StatusCode: 503, RetryAfter: retryAfter}
					}
					return ok(len(ids))
				}}
				d := start(t, config(e))
				enqueue(t, d, 1, 20)
				time.Sleep(time.Minute + time.Second)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err := d.Shutdown(ctx); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Shutdown does not sit out waits that are asked for in answers to requests that were
// in flight when it began.
func TestShutdownDuringRequests(t *testing.T) {
	t.Parallel()
	for out := range 3 { // requests in flight, of two at most
		synctest.Test(t, func(t *testing.T) {
			e := &endpoint{answer: func(n int, ids []int) (delivery.Result, error) {
				time.Sleep(100 * time.Millisecond)
				if n <= out {
					return delivery.Result{}, &delivery.SendError{StatusCode: 429, RetryAfter: time.Hour}
				}
				return ok(len(ids))
			}}
			d := start(t, config(e))
			for n := range out {
				enqueue(t, d, 20*n+1, 20*n+20)
				synctest.Wait()
			}
			enqueue(t, d, 41, 50)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := d.Shutdown(ctx); err != nil {
				t.Errorf("with %d out: %v", out, err)
			}
			checkSum(t, d)
		})
	}
}

func TestOutageIsProbedByOneRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		e := &endpoint{}
		e.answer = func(_ int, ids []int) (delivery.Result, error) {
			time.Sleep(10 * time.Millisecond)
			if time.Since(begin) < 30*time.Second {
				return delivery.Result{}, errors.New("connection refused")
			}
			return ok(len(ids))
		}
		d := start(t, config(e))
		enqueue(t, d, 1, 1000)
		time.Sleep(29 * time.Second)
		// Two at the start, when nothing was known; then 1, 2, 4, 8, 16 s.
		if seen := e.seen(); len(seen) > 8 {
			t.Errorf("%d requests in an outage of 30 s", len(seen))
		}
		for i, r := range e.seen() {
			if i > 2 && r.at.Equal(e.seen()[i-1].at) {
				t.Errorf("requests %d and %d at the same time", i, i+1)
			}
		}
		if err := shutdown(t, d); err != nil {
			t.Error(err)
		}
		if c := d.Counts(); c.Sent != 1000 {
			t.Errorf("counts: %+v", c)
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		e.answer = func(n int, ids []int) (delivery.Result, error) {
			if n == 1 {
				return delivery.Result{}, &delivery.SendError{StatusCode: 429, RetryAfter: 42 * time.Second}
			}
			return ok(len(ids))
		}
		d := start(t, config(e))
		enqueue(t, d, 1, 20)
		time.Sleep(time.Minute)
		seen := e.seen()
		if len(seen) != 2 || seen[1].at.Sub(seen[0].at) != 42*time.Second {
			t.Errorf("requests: %+v", seen)
		}
		if err := shutdown(t, d); err != nil {
			t.Error(err)
		}
	})
}

func TestMaxAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(int, []int) (delivery.Result, error) { return status(500) }}
		cfg := config(e)
		cfg.MaxAttempts = 3
		d := start(t, cfg)
		enqueue(t, d, 1, 20)
		time.Sleep(time.Hour)
		if n := len(e.seen()); n != 3 {
			t.Errorf("%d requests", n)
		}
		if c := d.Counts(); c.Failed != 20 || c.Held != 0 || c.Retries != 2 {
			t.Errorf("counts: %+v", c)
		}
		if err := shutdown(t, d); err != nil {
			t.Error(err)
		}
	})
}

func TestHalt(t *testing.T) {
	t.Parallel()
	for _, code := range []int{301, 401, 403, 404, 405} {
		synctest.Test(t, func(t *testing.T) {
			var good atomic.Bool
			e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
				if !good.Load() {
					return status(code)
				}
				return ok(len(ids))
			}}
			d := start(t, config(e))
			enqueue(t, d, 1, 500)
			synctest.Wait()
			before := len(e.seen())
			if before > 2 || !d.Halted() {
				t.Fatalf("%d: %d requests, halted %v", code, before, d.Halted())
			}
			begin := time.Now()
			err := d.Flush(context.Background())
			var failure *delivery.SendError
			if !errors.As(err, &failure) || failure.StatusCode != code || time.Since(begin) != 0 {
				t.Errorf("%d: Flush: %v after %v", code, err, time.Since(begin))
			}
			time.Sleep(10*time.Minute + time.Second)
			if probes := e.seen()[before:]; len(probes) != 10 || len(probes[0].ids) != 1 {
				t.Errorf("%d: %d probes in 10 minutes: %v", code, len(probes), probes)
			}
			if c := d.Counts(); c.Held != 500 {
				t.Errorf("%d: counts: %+v", code, c)
			}
			good.Store(true)
			time.Sleep(2 * time.Minute)
			if c := d.Counts(); c.Sent != 500 || d.Halted() {
				t.Errorf("%d: when good again: %+v, halted %v", code, c, d.Halted())
			}
			if err := shutdown(t, d); err != nil {
				t.Error(err)
			}
		})
	}
}

// A request that hung before Shutdown began does not keep the others from going out.
func TestShutdownWithAHungRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(n int, ids []int) (delivery.Result, error) {
			switch n {
			case 1:
				return status(503)
			case 2:
				return delivery.Result{}, errHang
			default:
				return ok(len(ids))
			}
		}}
		d := start(t, config(e))
		enqueue(t, d, 1, 20)
		time.Sleep(3 * time.Second)
		enqueue(t, d, 21, 60)
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		_ = d.Shutdown(ctx)
		if c := d.Counts(); c.Sent != 40 || c.Undone != 20 {
			t.Errorf("counts: %+v", c)
		}
	})
}

// Shutdown does not sit out waits that answers ask for.
func TestRetryAfterDuringShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(n int, ids []int) (delivery.Result, error) {
			if n <= 3 {
				return delivery.Result{}, &delivery.SendError{StatusCode: 429, RetryAfter: time.Hour}
			}
			return ok(len(ids))
		}}
		d := start(t, config(e))
		enqueue(t, d, 1, 10)
		begin := time.Now()
		if err := shutdown(t, d); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took > 3*time.Second || len(e.seen()) != 4 {
			t.Errorf("%d requests, %v", len(e.seen()), took)
		}
	})
}

// While sending is halted, Shutdown makes one probe, however recent the last one is.
func TestShutdownProbes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(n int, ids []int) (delivery.Result, error) {
			if n == 1 {
				return status(401)
			}
			return ok(len(ids))
		}}
		d := start(t, config(e))
		enqueue(t, d, 1, 30)
		synctest.Wait()
		begin := time.Now()
		if err := shutdown(t, d); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took != 0 || d.Counts().Sent != 30 {
			t.Errorf("%v, counts %+v", took, d.Counts())
		}
	})
}

func TestShutdownWhileHalted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(int, []int) (delivery.Result, error) { return status(401) }}
		d := start(t, config(e))
		enqueue(t, d, 1, 30)
		synctest.Wait()
		begin := time.Now()
		err := shutdown(t, d)
		var failure *delivery.SendError
		if !errors.As(err, &failure) || !strings.Contains(err.Error(), "30 events not delivered") {
			t.Errorf("Shutdown: %v", err)
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("Shutdown took %v", took)
		}
		if c := d.Counts(); c.Undone != 30 || c.Held != 0 || len(e.seen()) != 2 {
			t.Errorf("%d requests, counts: %+v", len(e.seen()), c)
		}
	})
}

func TestBadEventsAreSingledOut(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		bad         []int
		code        int
		named       bool // the answer says which
		maxRequests int
	}{
		{"one of a hundred, by halves", []int{37}, 400, false, 16},
		{"one of a hundred, named", []int{37}, 400, true, 2},
		{"first and last, by halves", []int{1, 100}, 413, false, 32},
		{"three, named", []int{1, 50, 100}, 422, true, 2},
		{"all, named", upTo(100), 400, true, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
					failure := &delivery.SendError{StatusCode: test.code}
					bad := 0
					for i, id := range ids {
						if slices.Contains(test.bad, id) {
							bad++
							if test.named {
								failure.Rejected = append(failure.Rejected, delivery.Rejection{Index: i})
							}
						}
					}
					if bad > 0 {
						return delivery.Result{}, failure
					}
					return ok(len(ids))
				}}
				cfg := config(e)
				cfg.BatchSize = 100
				d := start(t, cfg)
				enqueue(t, d, 1, 100)
				synctest.Wait()
				if n := len(e.seen()); n > test.maxRequests {
					t.Errorf("%d requests", n)
				}
				if c := d.Counts(); c.Sent != uint64(100-len(test.bad)) || c.Failed != uint64(len(test.bad)) {
					t.Errorf("counts: %+v", c)
				}
				checkSum(t, d)
				if err := shutdown(t, d); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Everything is answered with 400, and 10,000 events are queued.
func TestRefusalOfEverythingHalts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(int, []int) (delivery.Result, error) { return status(400) }}
		cfg := config(e)
		cfg.Senders = 1
		d := start(t, cfg)
		enqueue(t, d, 1, 10_000)
		synctest.Wait()
		if n := len(e.seen()); n != 3*32 {
			t.Errorf("%d requests, want 32 for each of 3 batches", n)
		}
		c := d.Counts()
		if !d.Halted() || c.Failed > 300 || c.Failed+uint64(c.Held) != 10_000 {
			t.Errorf("halted %v, counts: %+v", d.Halted(), c)
		}
		if err := shutdown(t, d); err == nil {
			t.Error("Shutdown: no error")
		}
		checkSum(t, d)
	})
}

func TestPartialFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		outcomes := map[uint64]delivery.Outcome{}
		var mu sync.Mutex
		e := &endpoint{answer: func(int, []int) (delivery.Result, error) {
			return delivery.Result{Accepted: 19, Failed: 1, Rejected: []delivery.Rejection{{Index: 4, Code: "x"}}}, nil
		}}
		cfg := config(e)
		cfg.OnOutcome = func(token uint64, outcome delivery.Outcome) {
			mu.Lock()
			defer mu.Unlock()
			outcomes[token] = outcome
		}
		d := start(t, cfg)
		for id := 1; id <= 20; id++ {
			it := item(id, false, 0)
			it.Token = uint64(id)
			if err := d.Enqueue(t.Context(), it); err != nil {
				t.Fatal(err)
			}
		}
		if err := shutdown(t, d); err != nil {
			t.Error(err)
		}
		if c := d.Counts(); c.Sent != 19 || c.Failed != 1 {
			t.Errorf("counts: %+v", c)
		}
		for token, outcome := range outcomes {
			if want := token == 5; (outcome == delivery.Failed) != want {
				t.Errorf("item %d: outcome %v", token, outcome)
			}
		}
		if len(outcomes) != 20 {
			t.Errorf("%d outcomes", len(outcomes))
		}
	})
}

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
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := d.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v", err)
		}
		checkSum(t, d)
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
		if err := d.Enqueue(t.Context(), item(0, false, 900_000)); !errors.Is(err, delivery.ErrFull) {
			t.Errorf("an item that never fits: %v", err)
		}
	})
}

// A flood of automatic items must not push out explicit ones.
func TestAutomaticItemsGoFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(int, []int) (delivery.Result, error) { return status(503) }}
		evicted := map[uint64]bool{}
		cfg := config(e)
		cfg.QueueSize = 100
		cfg.RetryDelay = time.Hour
		cfg.OnOutcome = func(token uint64, outcome delivery.Outcome) { evicted[token] = outcome == delivery.Evicted }
		d := start(t, cfg)
		for id := 1; id <= 50; id++ {
			it := item(id, false, 0)
			it.Token = uint64(id)
			_ = d.Enqueue(t.Context(), it)
		}
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
		for id := 5001; id <= 5050; id++ {
			_ = d.Enqueue(t.Context(), item(id, false, 0))
		}
		if len(evicted) != 0 {
			t.Errorf("%d explicit items evicted while there were automatic ones", len(evicted))
		}
		_ = d.Enqueue(t.Context(), item(5051, false, 0))
		if !evicted[1] || len(evicted) != 1 {
			t.Errorf("evicted: %v, want the oldest", evicted)
		}
		if err := d.Enqueue(t.Context(), item(5052, true, 0)); !errors.Is(err, delivery.ErrFull) {
			t.Errorf("an automatic item into a queue of explicit ones: %v", err)
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
		_ = shutdown(t, d)
	})
}

// While OnClose hands over its items, these are accepted and no others. Items that it
// lost are counted, and are in the error.
func TestOnClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := config(&endpoint{})
		var d *delivery.Deliverer
		patient := item(9, true, 0)
		patient.Patient = true
		cfg.OnClose = func(ctx context.Context) int {
			if err := d.Enqueue(ctx, patient); err != nil {
				t.Errorf("a patient item: %v", err)
			}
			if err := d.Enqueue(ctx, item(10, false, 0)); !errors.Is(err, delivery.ErrClosed) {
				t.Errorf("another item: %v", err)
			}
			if _, err := d.SendNow(ctx, item(11, false, 0)); !errors.Is(err, delivery.ErrClosed) {
				t.Errorf("SendNow: %v", err)
			}
			<-ctx.Done()
			return 5
		}
		d = start(t, cfg)
		enqueue(t, d, 1, 3)
		err := shutdown(t, d)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "5 events not delivered") {
			t.Errorf("Shutdown: %v", err)
		}
		if err := d.Enqueue(t.Context(), patient); !errors.Is(err, delivery.ErrClosed) {
			t.Errorf("a patient item afterwards: %v", err)
		}
		if c := d.Counts(); c.Accepted != 9 || c.Sent != 4 || c.Undone != 5 || c.Late != 3 {
			t.Errorf("counts: %+v", c)
		}
		checkSum(t, d)
	})
}

// An item that waits for room during Shutdown does not wait for a halt to end.
func TestOnCloseWhileHalted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := config(&endpoint{answer: func(int, []int) (delivery.Result, error) { return status(401) }})
		cfg.QueueSize = 5
		var d *delivery.Deliverer
		cfg.OnClose = func(ctx context.Context) int {
			it := item(9, true, 0)
			it.Patient = true
			if err := d.Enqueue(ctx, it); !errors.Is(err, delivery.ErrFull) {
				t.Errorf("a patient item: %v", err)
			}
			return 0
		}
		d = start(t, cfg)
		enqueue(t, d, 1, 5)
		time.Sleep(5 * time.Second)
		begin := time.Now()
		if err, failure := shutdown(t, d), (*delivery.SendError)(nil); !errors.As(err, &failure) || time.Since(begin) > time.Second {
			t.Errorf("Shutdown: %v, after %v", err, time.Since(begin))
		}
		checkSum(t, d)
	})
}

func TestAfterShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := start(t, config(&endpoint{}))
		enqueue(t, d, 1, 3)
		if err := shutdown(t, d); err != nil {
			t.Error(err)
		}
		if err := d.Enqueue(t.Context(), item(4, false, 0)); !errors.Is(err, delivery.ErrClosed) {
			t.Errorf("Enqueue: %v", err)
		}
		if err := shutdown(t, d); err != nil {
			t.Errorf("second Shutdown: %v", err)
		}
		if err := d.Flush(context.Background()); err != nil {
			t.Errorf("Flush: %v", err)
		}
		if c := d.Counts(); c.Accepted != 3 || c.Sent != 3 {
			t.Errorf("counts: %+v", c)
		}
	})
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
		if err := shutdown(t, d); err != nil {
			t.Error(err)
		}
	})
	tracking.Wait()
	c := d.Counts()
	if c.Accepted+refused.Load() < 100*200 || c.Held != 0 {
		t.Errorf("counts: %+v, refused %d", c, refused.Load())
	}
	checkSum(t, d)
}

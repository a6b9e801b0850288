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

func TestAfterShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := start(t, config(&endpoint{}))
		enqueue(t, d, 1, 3)
		mustShutdown(t, d)
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

// A second Shutdown waits for the first, and returns the same error, unless its own context
// ends earlier.
func TestSecondShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := start(t, config(&endpoint{answer: func(int, []int) (delivery.Result, error) { return delivery.Result{}, errHang }}))
		enqueue(t, d, 1, 20)
		ended := make(chan error, 1)
		go func() { ended <- shutdown(t, d) }()
		synctest.Wait()
		begin := time.Now()
		if err := shutdownWithin(t, d, time.Second); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("with a second: %v after %v", err, time.Since(begin))
		}
		second := shutdown(t, d)
		if first := <-ended; first == nil || !errors.Is(second, first) {
			t.Errorf("with a minute: %v, the first %v", second, first)
		}
	})
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
			if err := shutdownWithin(t, d, time.Second); err != nil {
				t.Errorf("with %d out: %v", out, err)
			}
		})
	}
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
				if err := shutdownWithin(t, d, time.Second); err != nil {
					t.Error(err)
				}
			})
		})
	}
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
		mustShutdown(t, d)
		if took := time.Since(begin); took != 0 || d.Counts().Sent != 30 {
			t.Errorf("%v, counts %+v", took, d.Counts())
		}
	})
}

// A halt that begins during Shutdown is probed at once too, and what is in flight then may
// still be delivered.
func TestShutdownMeetsAHalt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		statuses []int // of the first requests
		sent     uint64
		requests int
		took     time.Duration
	}{
		{"for a moment", []int{401, 401}, 300, 6, 400 * time.Millisecond},
		{"for good", []int{401, 401, 401}, 0, 3, 250 * time.Millisecond},
		{"while another is accepted", []int{200, 404, 404, 404, 404}, 100, 5, 350 * time.Millisecond},
		{"again", []int{401, 401, 200, 401, 401}, 1, 5, 350 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var told reports
				e := &endpoint{answer: func(n int, ids []int) (delivery.Result, error) {
					time.Sleep(100 * time.Millisecond)
					if n == 1 {
						time.Sleep(150 * time.Millisecond)
					}
					if n > len(tt.statuses) || tt.statuses[n-1] == 200 {
						return ok(len(ids))
					}
					return status(tt.statuses[n-1])
				}}
				cfg := config(e)
				cfg.OnReport = told.add
				cfg.BatchSize, cfg.FlushInterval = 100, time.Hour
				d := start(t, cfg)
				enqueue(t, d, 1, 300)
				begin := time.Now()
				err := shutdown(t, d)
				if took := time.Since(begin); (err == nil) != (tt.sent == 300) || took != tt.took || len(e.seen()) != tt.requests {
					t.Errorf("Shutdown: %v after %v and %d requests", err, took, len(e.seen()))
				}
				if items, untold, _ := told.count(delivery.Abandoned); d.Counts().Sent != tt.sent || uint64(items+untold) != 300-tt.sent {
					t.Errorf("told of %d+%d, %+v", items, untold, d.Counts())
				}
			})
		})
	}
}

// A probe that went out before Shutdown began is not Shutdown's own, however it ends.
func TestShutdownDuringAProbe(t *testing.T) {
	t.Parallel()
	for _, code := range []int{200, 401, 503} {
		synctest.Test(t, func(t *testing.T) {
			e := &endpoint{answer: func(n int, ids []int) (delivery.Result, error) {
				switch {
				case n == 1, code == 200 && n == 3:
					return status(401)
				case n == 2 && code != 200:
					time.Sleep(3 * time.Second)
					return status(code)
				case n == 2:
					time.Sleep(3 * time.Second)
				}
				return ok(len(ids))
			}}
			cfg := config(e)
			cfg.Senders = 1
			d := start(t, cfg)
			enqueue(t, d, 1, 20)
			time.Sleep(61 * time.Second)
			if err := shutdown(t, d); err != nil {
				t.Errorf("%d: %v, counts %+v", code, err, d.Counts())
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
		_ = shutdownWithin(t, d, 4*time.Second)
		if c := d.Counts(); c.Sent != 40 || c.Abandoned != 20 {
			t.Errorf("counts: %+v", c)
		}
	})
}

// Beside a request that hangs, a halt is probed all the same. If it ends, the others are
// delivered, and if not, the one that hangs is waited for.
func TestShutdownProbesBesideAHungRequest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		end      int // n-th request from which on Klime accepts events
		patience time.Duration
		took     time.Duration
		requests int
		sent     uint64
	}{
		{"for a moment", 3, 5 * time.Second, 5 * time.Second, 4, 20},
		{"for a moment, and time", 3, time.Minute, 9 * time.Second, 5, 40},
		{"for good", 99, 5 * time.Second, 5 * time.Second, 3, 0},
		{"for good, and time", 99, time.Minute, 9 * time.Second, 3, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{answer: func(n int, ids []int) (delivery.Result, error) {
					switch {
					case n == 1:
						return delivery.Result{}, errHang
					case n < tt.end:
						return status(401)
					default:
						return ok(len(ids))
					}
				}}
				d := start(t, config(e))
				enqueue(t, d, 1, 20)
				time.Sleep(time.Second)
				enqueue(t, d, 21, 40)
				synctest.Wait()
				begin := time.Now()
				err := shutdownWithin(t, d, tt.patience)
				took := time.Since(begin).Truncate(time.Second) // but for a backoff
				if (err == nil) != (tt.sent == 40) || took != tt.took || len(e.seen()) != tt.requests {
					t.Errorf("Shutdown: %v after %v and %d requests", err, took, len(e.seen()))
				}
				if c := d.Counts(); c.Sent != tt.sent || c.Abandoned != 40-tt.sent {
					t.Errorf("counts: %+v", c)
				}
			})
		})
	}
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
		mustShutdown(t, d)
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

func TestShutdownWhileHalted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newOutage(401)
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
		if c := d.Counts(); c.Abandoned != 30 || c.Held != 0 || len(e.seen()) != 2 {
			t.Errorf("%d requests, counts: %+v", len(e.seen()), c)
		}
	})
}

// While OnClose hands over its items, these are accepted and no others. Items that it
// lost are counted, and are in the error.
func TestOnClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := config(&endpoint{})
		var d *delivery.Deliverer
		patient := patientItem(9, 0)
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
		if c := d.Counts(); c.Accepted != 9 || c.Sent != 4 || c.Abandoned != 5 || c.Late != 3 {
			t.Errorf("counts: %+v", c)
		}
	})
}

// An item that waits for room during Shutdown does not wait for a halt to end.
func TestOnCloseWhileHalted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := config(newOutage(401))
		cfg.QueueSize = 5
		var d *delivery.Deliverer
		cfg.OnClose = func(ctx context.Context) int {
			if err := d.Enqueue(ctx, patientItem(9, 0)); !errors.Is(err, delivery.ErrQueueFull) {
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
	})
}

// An item that waits for a busy disk does so also in a halt, but not for one that is
// full, or does not work.
func TestOnCloseBesideABusyDisk(t *testing.T) {
	t.Parallel()
	const items, size = 300, 100_000 // more than memory and what may wait for the disk
	for name, test := range map[string]struct {
		code  int
		spoil func(m *memory, cfg *delivery.Config)
		kept  bool
	}{
		"down":   {503, func(*memory, *delivery.Config) {}, true},
		"halted": {401, func(*memory, *delivery.Config) {}, true},
		"halted, full": {401, func(_ *memory, cfg *delivery.Config) {
			cfg.Fits = func(_, most int, _ bool) bool { return most < size*100+size/2 }
		}, false},
		"halted, failing": {401, func(m *memory, _ *delivery.Config) { m.broken = true }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := newMemory()
				m.latency = 500 * time.Millisecond
				cfg := spoolConfig(newOutage(test.code), m)
				cfg.QueueSize = 20
				test.spoil(m, &cfg)
				var d *delivery.Deliverer
				cfg.OnClose = func(ctx context.Context) int {
					for id := 1; id <= items; id++ {
						_ = d.Enqueue(ctx, patientItem(id, size))
					}
					return 0
				}
				d = start(t, cfg)
				enqueue(t, d, items+1, items+1)
				time.Sleep(3 * time.Second) // a halt is known
				begin := time.Now()
				err := shutdown(t, d)
				if c := d.Counts(); (err == nil) != test.kept || test.kept && c.Spooled != items+1 {
					t.Errorf("Shutdown: %v, counts %+v", err, c)
				}
				if took := time.Since(begin); test.code == 401 && took > 20*time.Second {
					t.Errorf("Shutdown took %v", took)
				}
			})
		})
	}
}

func TestShutdownDoesNotWaitForADeafTransport(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told reports
		transport := deaf{make(chan struct{})}
		cfg := config(transport)
		cfg.OnReport = told.add
		d := start(t, cfg)
		enqueue(t, d, 1, 500)
		begin := time.Now()
		if err := shutdownWithin(t, d, time.Second); err == nil || !strings.Contains(err.Error(), "500 events not delivered") {
			t.Errorf("Shutdown: %v", err)
		}
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("Shutdown took %v", took)
		}
		if items, untold, _ := told.count(delivery.Abandoned); items+untold != 500 {
			t.Errorf("reported %d, untold %d", items, untold)
		}
		close(transport.hang) // what it delivers now is not counted twice
		synctest.Wait()
		checkSum(t, d)
		if c := d.Counts(); c.Abandoned != 500 || c.Held != 0 {
			t.Errorf("counts: %+v", c)
		}
	})
}

// Without a callback for what is lost, all of the time goes to delivery; for a single event,
// nearly all.
func TestShutdownDeliversToTheEnd(t *testing.T) {
	t.Parallel()
	for _, losses := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			cfg := config(&endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
				time.Sleep(4900 * time.Millisecond)
				return ok(len(ids))
			}})
			cfg.OnReport, cfg.ReportSent, cfg.ReportLost = func(delivery.Report) {}, true, losses
			d := start(t, cfg)
			enqueue(t, d, 1, 1)
			if err := shutdownWithin(t, d, 5*time.Second); err != nil {
				t.Errorf("with a callback for losses %v: %v", losses, err)
			}
		})
	}
}

// Shutdown makes one probe, however long that takes.
func TestShutdownProbesOnce(t *testing.T) {
	t.Parallel()
	for _, latency := range []time.Duration{0, 3 * time.Second, 9 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			var gone atomic.Bool
			e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
				if gone.Load() {
					time.Sleep(latency)
					return status(404)
				}
				return ok(len(ids))
			}}
			d := start(t, config(e))
			enqueue(t, d, 1, 1)
			mustFlush(t, d)
			gone.Store(true)
			enqueue(t, d, 2, 30)
			time.Sleep(20 * time.Minute)
			before := len(e.seen())
			if err := shutdown(t, d); err == nil {
				t.Error("Shutdown: no error")
			}
			if n := len(e.seen()) - before; n > 1 {
				t.Errorf("%d probes that take %v", n, latency)
			}
		})
	}
}

// deaf is a Transport that ignores its context.
type deaf struct{ hang chan struct{} }

func (d deaf) Send(context.Context, delivery.Batch) (delivery.Result, error) {
	<-d.hang
	return delivery.Result{}, nil
}

// untilGivenUp is a Transport that never answers, and says when it is given up.
type untilGivenUp chan time.Time

func (u untilGivenUp) Send(ctx context.Context, _ delivery.Batch) (delivery.Result, error) {
	<-ctx.Done()
	u <- time.Now()
	return delivery.Result{}, ctx.Err()
}

// Shutdown keeps a fifth of its time, a second at most, to write what it cannot deliver to the
// spool, or to tell the app of it, which takes less time if it is little.
func TestShutdownKeepsTimeForTheRest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		given          time.Duration
		items          int
		spool, reports bool
		kept           time.Duration
	}{
		{time.Second, 10, true, false, 200 * time.Millisecond},
		{4 * time.Second, 10, true, true, 800 * time.Millisecond},
		{9 * time.Second, 10, true, false, time.Second},
		{time.Second, 2000, false, true, 200 * time.Millisecond},
		{9 * time.Second, 2000, false, true, time.Second},
		{9 * time.Second, 10, false, true, 10 * time.Millisecond},
		{9 * time.Second, 2000, false, false, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			gaveUp := make(untilGivenUp, 10)
			cfg := config(gaveUp)
			if tt.spool {
				cfg = spoolConfig(gaveUp, newMemory())
			}
			if tt.reports {
				cfg.OnReport, cfg.ReportLost = func(delivery.Report) {}, true
			}
			d := start(t, cfg)
			enqueue(t, d, 1, tt.items)
			begin := time.Now()
			_ = shutdownWithin(t, d, tt.given)
			if kept := tt.given - (<-gaveUp).Sub(begin); kept != tt.kept {
				t.Errorf("%+v: kept %v", tt, kept)
			}
		})
	}
}

// Who calls Shutdown again meanwhile gets the same error, and every report of what is left has it.
func TestErrorOfShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told reports
		cfg := config(newOutage(503))
		cfg.OnReport = told.add
		d := start(t, cfg)
		enqueue(t, d, 1, 1200)
		first := make(chan error, 1)
		go func() { first <- shutdownWithin(t, d, time.Second) }()
		synctest.Wait()
		second := shutdownWithin(t, d, time.Minute)
		if err := <-first; err == nil || !errors.Is(second, err) {
			t.Errorf("first %v, second %v", err, second)
		}
		items := 0
		for _, report := range told.list() {
			items += len(report.Items)
			if report.Err == nil {
				t.Errorf("a report of %d without an error", len(report.Items))
			}
		}
		if items != 1200 {
			t.Errorf("told of %d", items)
		}
	})
}

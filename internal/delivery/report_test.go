package delivery_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// reports keeps the reports that it is given.
type reports struct {
	mu  sync.Mutex
	all []delivery.Report
}

func (r *reports) add(report delivery.Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, report)
}

func (r *reports) list() []delivery.Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// count returns how many items ended with this outcome, and the last error.
func (r *reports) count(outcome delivery.Outcome) (items, untold int, err error) {
	for _, report := range r.list() {
		if report.Outcome == outcome {
			items += len(report.Items)
			untold += report.Untold
			err = report.Err
		}
	}
	return items, untold, err
}

// Shutdown returns by its deadline, says how many events were not delivered, and
// reports all of them.
func TestShutdownReportsWhatIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told reports
		cfg := config(&endpoint{answer: func(int, []int) (delivery.Result, error) { return status(503) }})
		cfg.OnReport = told.add
		d := start(t, cfg)
		enqueue(t, d, 1, 5000)
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := d.Shutdown(ctx)
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("Shutdown took %v", took)
		}
		var failure *delivery.SendError
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "5000 events not delivered") ||
			!errors.As(err, &failure) || failure.StatusCode != 503 {
			t.Errorf("Shutdown: %v", err)
		}
		if items, untold, reported := told.count(delivery.Undone); items != 5000 || untold != 0 || !errors.Is(reported, err) {
			t.Errorf("reported %d items and %d untold, %v", items, untold, reported)
		}
		checkSum(t, d)
	})
}

// Every item is reported exactly once, in the order of its batch.
func TestEveryEndIsReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told reports
		cfg := config(&endpoint{answer: func(n int, ids []int) (delivery.Result, error) {
			if n%4 == 0 {
				return status(400)
			}
			return delivery.NewResult(len(ids), []delivery.Rejection{{Index: 0}}), nil
		}})
		cfg.OnReport, cfg.ReportSent = told.add, true
		d := start(t, cfg)
		for first := 1; first <= 900; first += 100 {
			enqueue(t, d, first, first+99)
			synctest.Wait()
		}
		if err := shutdown(t, d); err != nil {
			t.Error(err)
		}
		c := d.Counts()
		failed, _, _ := told.count(delivery.Failed)
		sent := 0
		for _, report := range told.list() {
			sent += report.Result.Accepted
			if report.Outcome == delivery.Sent && len(report.Items) != len(report.Result.Rejected) {
				t.Errorf("report of %d items, %d rejected", len(report.Items), len(report.Result.Rejected))
			}
		}
		if uint64(sent) != c.Sent || uint64(failed) != c.Failed {
			t.Errorf("reported %d sent, %d failed; counts: %+v", sent, failed, c)
		}
		checkSum(t, d)
	})
}

// A halt makes one report and one log line, however many requests meet it.
func TestHaltIsReportedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told reports
		var log bytes.Buffer
		cfg := config(&endpoint{answer: func(int, []int) (delivery.Result, error) { return status(401) }})
		cfg.OnReport = told.add
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		d := start(t, cfg)
		enqueue(t, d, 1, 500)
		time.Sleep(time.Hour)
		if all := told.list(); len(all) != 1 || len(all[0].Items) != 0 || all[0].Err == nil {
			t.Errorf("reports: %+v", all)
		}
		_ = shutdown(t, d)
		if n := strings.Count(log.String(), "halted"); n != 1 {
			t.Errorf("%d lines: %s", n, log.String())
		}
	})
}

// A callback that hangs costs later reports, not delivery, memory or Shutdown.
func TestStuckCallback(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		var told reports
		cfg := config(&endpoint{})
		cfg.OnReport = func(r delivery.Report) { <-hang; told.add(r) }
		d := start(t, cfg)
		for first := 1; first <= 20_000; first += 100 {
			enqueue(t, d, first, first+99)
			synctest.Wait()
		}
		begin := time.Now()
		if err := shutdown(t, d); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("Shutdown took %v", took)
		}
		if c := d.Counts(); c.Sent != 20_000 {
			t.Errorf("counts: %+v", c)
		}
		close(hang)
		synctest.Wait()
		if items, _, _ := told.count(delivery.Sent); items > 2000 {
			t.Errorf("%d items were kept to be told", items)
		}
	})
}

// Drops are logged, but not one by one.
func TestDropsAreLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		cfg := config(&endpoint{answer: func(int, []int) (delivery.Result, error) { return delivery.Result{}, errHang }})
		cfg.QueueSize, cfg.Timeout = 100, time.Hour
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		d := start(t, cfg)
		for range 60 {
			enqueue(t, d, 1, 1000)
			time.Sleep(time.Second)
		}
		_ = shutdown(t, d)
		if n := strings.Count(log.String(), "events dropped"); n < 2 || n > 8 {
			t.Errorf("%d lines in a minute: %s", n, log.String())
		}
	})
}

// A Transport that panics, or ends its goroutine as a test's FailNow does, has not
// delivered, and will be asked again.
func TestTransportThatDoesNotReturn(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(){"panic": func() { panic("a broker's bug") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				panics := 0
				cfg := config(&endpoint{answer: func(n int, ids []int) (delivery.Result, error) {
					if n < 4 {
						end()
					}
					return ok(len(ids))
				}})
				cfg.Senders = 1
				cfg.OnPanic = func() { panics++ }
				d := start(t, cfg)
				enqueue(t, d, 1, 50)
				if err := shutdown(t, d); err != nil {
					t.Error(err)
				}
				if c := d.Counts(); c.Sent != 50 || panics != 3 {
					t.Errorf("%d panics, counts: %+v", panics, c)
				}
			})
		})
	}
}

// deaf is a Transport that ignores its context.
type deaf struct{ hang chan struct{} }

func (d deaf) Send(context.Context, []byte, int) (delivery.Result, error) {
	<-d.hang
	return delivery.Result{}, nil
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
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := d.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), "500 events not delivered") {
			t.Errorf("Shutdown: %v", err)
		}
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("Shutdown took %v", took)
		}
		if items, untold, _ := told.count(delivery.Undone); items+untold != 500 {
			t.Errorf("reported %d, untold %d", items, untold)
		}
		close(transport.hang) // what it delivers now is not counted twice
		synctest.Wait()
		checkSum(t, d)
		if c := d.Counts(); c.Undone != 500 || c.Held != 0 {
			t.Errorf("counts: %+v", c)
		}
	})
}

func TestSendNow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var code atomic.Int64
		code.Store(503)
		e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
			if code := int(code.Load()); code != 200 {
				return status(code)
			}
			return ok(len(ids))
		}}
		d := start(t, config(e))
		enqueue(t, d, 1, 20) // refused: the queue backs off
		synctest.Wait()
		begin := time.Now()
		var failure *delivery.SendError
		if _, err := d.SendNow(t.Context(), item(21, false, 0)); !errors.As(err, &failure) || failure.StatusCode != 503 {
			t.Errorf("while down: %v", err)
		}
		code.Store(200)
		if r, err := d.SendNow(t.Context(), item(22, false, 0)); err != nil || r.Accepted != 1 {
			t.Errorf("when good: %+v, %v", r, err)
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("waited %v for a backoff that is not its own", took)
		}
		if err := shutdown(t, d); err != nil {
			t.Error(err)
		}
		if c := d.Counts(); c.Sent != 21 || c.Failed != 1 {
			t.Errorf("counts: %+v", c)
		}
		checkSum(t, d)
		if _, err := d.SendNow(t.Context(), item(23, false, 0)); !errors.Is(err, delivery.ErrClosed) {
			t.Errorf("after Shutdown: %v", err)
		}
	})
}

func TestSendNowWhileHalted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var code atomic.Int64
		code.Store(401)
		e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
			if code := int(code.Load()); code != 200 {
				return status(code)
			}
			return ok(len(ids))
		}}
		d := start(t, config(e))
		enqueue(t, d, 1, 20)
		synctest.Wait()
		requests := len(e.seen())
		var failure *delivery.SendError
		if _, err := d.SendNow(t.Context(), item(21, false, 0)); !errors.As(err, &failure) || failure.StatusCode != 401 {
			t.Errorf("while halted: %v", err)
		}
		if n := len(e.seen()); n != requests {
			t.Errorf("%d requests within the minute", n-requests)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = d.SendNow(gone, item(21, false, 0))
		if c := d.Counts(); c.Accepted != 22 || c.Failed != 2 {
			t.Errorf("counts %+v", c)
		}
		checkSum(t, d)
		code.Store(200)
		time.Sleep(2 * time.Minute)
		if r, err := d.SendNow(t.Context(), item(22, false, 0)); err != nil || r.Accepted != 1 {
			t.Errorf("when good: %+v, %v", r, err)
		}
		if err := shutdown(t, d); err != nil {
			t.Error(err)
		}
	})
}

// Flush waits for one-shot sends that began before it, and for no others.
func TestFlushWaitsForSendNow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		answer  time.Duration
		code    int // of the answer
		patient time.Duration
		wait    time.Duration
		want    error
	}{
		{"accepted", 300 * time.Millisecond, 200, time.Minute, 200 * time.Millisecond, nil},
		{"failed", 300 * time.Millisecond, 503, time.Minute, 200 * time.Millisecond, nil},
		{"too late", 300 * time.Millisecond, 200, 50 * time.Millisecond, 50 * time.Millisecond, context.DeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := start(t, config(&endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
					if ids[0] > 2 {
						return ok(len(ids))
					}
					time.Sleep(tt.answer)
					if tt.code != 200 {
						return status(tt.code)
					}
					return ok(len(ids))
				}}))
				go func() { _, _ = d.SendNow(t.Context(), item(1, false, 0)) }()
				time.Sleep(100 * time.Millisecond)
				enqueue(t, d, 3, 4)
				ctx, cancel := context.WithTimeout(t.Context(), tt.patient)
				defer cancel()
				begin := time.Now()
				go func() {
					time.Sleep(10 * time.Millisecond)
					_, _ = d.SendNow(t.Context(), item(2, false, 0))
				}()
				if err := d.Flush(ctx); !errors.Is(err, tt.want) || time.Since(begin) != tt.wait {
					t.Errorf("Flush: %v after %v", err, time.Since(begin))
				}
				if err := shutdown(t, d); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// After Shutdown nothing can end a halt.
func TestSendNowAfterShutdownWhileHalted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := start(t, config(&endpoint{answer: func(int, []int) (delivery.Result, error) { return status(401) }}))
		enqueue(t, d, 1, 20)
		synctest.Wait()
		_ = shutdown(t, d)
		if _, err := d.SendNow(t.Context(), item(21, false, 0)); !errors.Is(err, delivery.ErrClosed) {
			t.Errorf("error: %v", err)
		}
	})
}

// What an answer says could repeat what events say, and is not logged.
func TestAnswersAreNotLogged(t *testing.T) {
	t.Parallel()
	for _, code := range []int{400, 401, 503} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			cfg := config(&endpoint{answer: func(int, []int) (delivery.Result, error) {
				return delivery.Result{}, &delivery.SendError{
					StatusCode: code, Message: "jane@acme.test is no user",
					Rejected: []delivery.Rejection{{Index: 0, Code: "bad", Message: "jane@acme.test"}},
				}
			}})
			cfg.Logger = slog.New(slog.NewJSONHandler(&log, nil))
			d := start(t, cfg)
			enqueue(t, d, 1, 20)
			synctest.Wait()
			err := shutdown(t, d)
			if strings.Contains(log.String(), "jane") || log.Len() == 0 {
				t.Errorf("%d: log %s", code, log.String())
			}
			if code != 400 && !strings.Contains(err.Error(), "jane") {
				t.Errorf("%d: the error does not say what the answer said: %v", code, err)
			}
		})
	}
}

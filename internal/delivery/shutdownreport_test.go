package delivery_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// Callbacks may take as long as Shutdown may.
func TestShutdownWaitsForCallbacks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told reports
		cfg := config(&endpoint{})
		cfg.ReportSent = true
		cfg.OnReport = func(r delivery.Report) { time.Sleep(time.Second); told.add(r) }
		d := start(t, cfg)
		enqueue(t, d, 1, 1000)
		if err := shutdown(t, d); err != nil {
			t.Error(err)
		}
		accepted := 0
		for _, report := range told.list() {
			accepted += report.Result.Accepted
		}
		if accepted != 1000 {
			t.Errorf("told of %d", accepted)
		}
	})
}

// Shutdown returns by its deadline, says how many events were not delivered, and
// reports all of them.
func TestShutdownReportsWhatIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told reports
		cfg := config(&endpoint{answer: func(int, []int) (delivery.Result, error) { return status(503) }})
		cfg.OnReport, cfg.ReportLost = told.add, true
		d := start(t, cfg)
		enqueue(t, d, 1, 5000)
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := d.Shutdown(ctx)
		if took := time.Since(begin); took < 4*time.Second || took > 5*time.Second {
			t.Errorf("Shutdown took %v", took)
		}
		var failure *delivery.SendError
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "5000 events not delivered") ||
			!errors.As(err, &failure) || failure.StatusCode != 503 {
			t.Errorf("Shutdown: %v", err)
		}
		if items, untold, reported := told.count(delivery.Abandoned); items != 5000 || untold != 0 || !errors.Is(reported, err) {
			t.Errorf("reported %d items and %d untold, %v", items, untold, reported)
		}
		checkSum(t, d)
	})
}

// A callback has time to hear of what is left. If it takes more, Shutdown says so.
func TestShutdownWaitsUntilWhatIsLeftIsTold(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		each time.Duration // for one item
		told int
	}{{time.Millisecond, 1000}, {2 * time.Millisecond, 500}} {
		t.Run(tt.each.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var told atomic.Int64
				cfg := config(&endpoint{answer: func(int, []int) (delivery.Result, error) { return status(503) }})
				cfg.OnReport = func(r delivery.Report) {
					time.Sleep(tt.each * time.Duration(len(r.Items)))
					told.Add(int64(len(r.Items)))
				}
				cfg.ReportLost = true
				d := delivery.New(cfg)
				enqueue(t, d, 1, 1000)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				err := d.Shutdown(ctx)
				if n := int(told.Load()); n != tt.told {
					t.Errorf("told of %d items, want %d", n, tt.told)
				}
				if err == nil || strings.Contains(err.Error(), "callback") == (tt.told == 1000) {
					t.Errorf("Shutdown: %v", err)
				}
				time.Sleep(time.Minute) // the callback ends
			})
		})
	}
}

// A send that its caller waits for takes no time from the callback.
func TestShutdownTellsWhatIsLeftBesideASend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const oneShot = 5000
		var told atomic.Int64
		cfg := config(&endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
			if ids[0] == oneShot {
				return delivery.Result{}, errHang
			}
			return status(503)
		}})
		cfg.ReportLost = true
		cfg.OnReport = func(r delivery.Report) {
			time.Sleep(time.Millisecond * time.Duration(len(r.Items)))
			told.Add(int64(len(r.Items)))
		}
		d := delivery.New(cfg)
		enqueue(t, d, 1, 1000)
		var sends sync.WaitGroup
		sends.Go(func() { _, _ = d.SendNow(context.Background(), item(oneShot, false, 0)) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		if err := d.Shutdown(ctx); told.Load() != 1000 {
			t.Errorf("told of %d items; %v", told.Load(), err)
		}
		sends.Wait()
	})
}

// What is handed over at the beginning of Shutdown is told too.
func TestShutdownTellsWhatWasHandedOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told atomic.Int64
		cfg := config(&endpoint{answer: func(int, []int) (delivery.Result, error) { return status(503) }})
		cfg.ReportLost = true
		cfg.OnReport = func(r delivery.Report) {
			time.Sleep(time.Millisecond * time.Duration(len(r.Items)))
			told.Add(int64(len(r.Items)))
		}
		var d *delivery.Deliverer
		cfg.OnClose = func(ctx context.Context) int {
			for id := range 800 {
				it := item(id, true, 0)
				it.Patient = true
				_ = d.Enqueue(ctx, it)
			}
			return 0
		}
		d = delivery.New(cfg)
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		if err := d.Shutdown(ctx); told.Load() != 800 {
			t.Errorf("told of %d items; %v", told.Load(), err)
		}
	})
}

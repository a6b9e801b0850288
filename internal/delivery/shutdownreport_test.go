package delivery_test

import (
	"context"
	"errors"
	"fmt"
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
		mustShutdown(t, d)
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
		cfg := config(newOutage(503))
		cfg.OnReport, cfg.ReportLost = told.add, true
		d := start(t, cfg)
		enqueue(t, d, 1, 5000)
		begin := time.Now()
		err := shutdownWithin(t, d, 5*time.Second)
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
				cfg := config(newOutage(503))
				cfg.OnReport = func(r delivery.Report) {
					time.Sleep(tt.each * time.Duration(len(r.Items)))
					told.Add(int64(len(r.Items)))
				}
				cfg.ReportLost = true
				d := delivery.New(cfg)
				enqueue(t, d, 1, 1000)
				err := shutdownWithin(t, d, 10*time.Second)
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
		if err := shutdownWithin(t, d, 9*time.Second); told.Load() != 1000 {
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
		cfg := config(newOutage(503))
		cfg.ReportLost = true
		cfg.OnReport = func(r delivery.Report) {
			time.Sleep(time.Millisecond * time.Duration(len(r.Items)))
			told.Add(int64(len(r.Items)))
		}
		var d *delivery.Deliverer
		cfg.OnClose = func(ctx context.Context) int {
			for id := range 800 {
				_ = d.Enqueue(ctx, patientItem(id, 0))
			}
			return 0
		}
		d = delivery.New(cfg)
		if err := shutdownWithin(t, d, 9*time.Second); told.Load() != 800 {
			t.Errorf("told of %d items; %v", told.Load(), err)
		}
	})
}

// What a call has dropped is logged and reported by Shutdown, even if the call itself has not
// got round to anything since: here OnOutcome holds it up.
func TestShutdownTellsOfDropsUnderWay(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		change  func(cfg *delivery.Config)
		outcome delivery.Outcome
	}{
		{"DropOldest", func(cfg *delivery.Config) { cfg.Overflow = delivery.DropOldest }, delivery.Evicted},
		{"DropNewest", func(cfg *delivery.Config) { cfg.Overflow = delivery.DropNewest }, delivery.Evicted},
		{"Block", func(cfg *delivery.Config) { cfg.Overflow = delivery.Block }, delivery.Evicted},
		{"a full spool", func(cfg *delivery.Config) {
			cfg.Storage = delivery.Storage{Spool: newMemory(), WriteAhead: true, Fits: atMost(10)}
		}, delivery.SpoolFull},
	}
	for _, test := range tests {
		for _, reporting := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, reporting %v", test.name, reporting), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var told reports
					recovered, held := make(chan struct{}), make(chan struct{})
					e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
						<-recovered
						return ok(len(ids))
					}}
					cfg := config(e)
					cfg.QueueSize = 10
					log := keepLog(&cfg)
					test.change(&cfg)
					if reporting {
						cfg.OnReport = told.add
					}
					cfg.OnOutcome = func(_ uint64, outcome delivery.Outcome) {
						if outcome == test.outcome {
							<-held
						}
					}
					d := start(t, cfg)
					enqueueOwned(t, d, 1, 10)
					ended, end := context.WithCancel(t.Context())
					end()
					var call sync.WaitGroup
					call.Go(func() {
						it := item(11, false, 0)
						it.Token = 11
						_ = d.Enqueue(ended, it)
					})
					synctest.Wait()
					close(recovered)
					if err := shutdown(t, d); err != nil || d.Counts().Sent != 10 {
						t.Errorf("Shutdown: %v; %+v", err, d.Counts())
					}
					if items, _, _ := told.count(test.outcome); reporting && items != 1 {
						t.Errorf("reported %d", items)
					}
					if n := strings.Count(log.String(), "events dropped"); n != 1 {
						t.Errorf("%d lines: %s", n, log)
					}
					close(held)
					call.Wait()
				})
			})
		}
	}
}

// An answer that comes after Shutdown has given its events up changes neither the counts nor
// what was told of them.
func TestLateAnswerIsNotReported(t *testing.T) {
	t.Parallel()
	for _, code := range []int{200, 400} {
		synctest.Test(t, func(t *testing.T) {
			late := make(chan struct{})
			e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
				<-late
				if code == 200 {
					return ok(len(ids))
				}
				return status(code)
			}}
			var told reports
			cfg := config(e)
			cfg.ReportSent, cfg.ReportLost = true, true
			cfg.OnReport = func(r delivery.Report) {
				told.add(r)
				if r.Outcome == delivery.Abandoned {
					close(late)
					time.Sleep(100 * time.Millisecond) // it arrives
				}
			}
			d := start(t, cfg)
			enqueue(t, d, 1, 20)
			synctest.Wait()
			if err := shutdownWithin(t, d, 0); err == nil {
				t.Error("Shutdown: no error")
			}
			if _, untold, _ := told.count(delivery.Abandoned); untold != 20 || len(told.list()) != 1 {
				t.Errorf("%d: reports: %+v", code, told.list())
			}
		})
	}
}

// A context that had ended before the call, as that of a signal has, is a mistake that the
// error and the log name.
func TestShutdownWithAnEndedContext(t *testing.T) {
	t.Parallel()
	for _, ended := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			cfg := config(newOutage(503))
			log := keepLog(&cfg)
			d := delivery.New(cfg)
			enqueue(t, d, 1, 2)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if ended {
				cancel()
			}
			err := d.Shutdown(ctx)
			const text = "2 events not delivered: the context had ended before Shutdown: context canceled"
			if err == nil || strings.Contains(err.Error(), text) != ended || !strings.Contains(log.String(), fmt.Sprint("ended_before=", ended)) {
				t.Errorf("ended %v: %v; log: %s", ended, err, log)
			}
		})
	}
}

package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

func TestSendNow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newOutage(503)
		d := start(t, config(e))
		enqueue(t, d, 1, 20) // refused: the queue backs off
		synctest.Wait()
		begin := time.Now()
		var failure *delivery.SendError
		if _, err := d.SendNow(t.Context(), item(21, false, 0)); !errors.As(err, &failure) || failure.StatusCode != 503 {
			t.Errorf("while down: %v", err)
		}
		e.setStatus(200)
		if r, err := d.SendNow(t.Context(), item(22, false, 0)); err != nil || r.Accepted != 1 {
			t.Errorf("when good: %+v, %v", r, err)
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("waited %v for a backoff that is not its own", took)
		}
		mustShutdown(t, d)
		if c := d.Counts(); c.Sent != 21 || c.Failed != 1 {
			t.Errorf("counts: %+v", c)
		}
		checkSum(t, d)
		if _, err := d.SendNow(t.Context(), item(23, false, 0)); !errors.Is(err, delivery.ErrClosed) {
			t.Errorf("after Shutdown: %v", err)
		}
	})
}

// A one-shot send that meets a wrong key halts sending like any other. If nothing is queued,
// the probe before a later one carries no event.
func TestSendNowHalts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newOutage(401)
		d := start(t, config(e))
		for id := range 100 {
			_, _ = d.SendNow(t.Context(), item(id, false, 0))
			synctest.Wait()
		}
		if n := len(e.seen()); n != 1 || !d.Halted() {
			t.Errorf("%d requests, halted %v", n, d.Halted())
		}
		e.setStatus(200)
		time.Sleep(time.Minute)
		if _, err := d.SendNow(t.Context(), item(100, false, 0)); err != nil || d.Halted() {
			t.Errorf("when good: %v, halted %v", err, d.Halted())
		}
		if seen := e.seen(); len(seen) != 3 || len(seen[1].ids) != 0 {
			t.Errorf("requests: %+v", seen)
		}
	})
}

// A caller who comes while a probe is out waits for its end and no longer.
func TestSendNowDuringAProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(n int, ids []int) (delivery.Result, error) {
			switch n {
			case 1:
				return status(401)
			case 2:
				time.Sleep(5 * time.Second)
			}
			return ok(len(ids))
		}}
		d := start(t, config(e))
		enqueue(t, d, 1, 20)
		time.Sleep(61 * time.Second)
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var failure *delivery.SendError
		if _, err := d.SendNow(ctx, item(21, false, 0)); !errors.Is(err, context.DeadlineExceeded) ||
			!errors.As(err, &failure) || failure.StatusCode != 0 || failure.Attempts != 0 { // and not those of the halt
			t.Errorf("impatient: %v, %+v", err, failure)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := d.SendNow(ctx, item(21, false, 0)); err != nil || time.Since(begin) != 4*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

func TestSendNowWhileHalted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newOutage(401)
		d := start(t, config(e))
		enqueue(t, d, 1, 20)
		synctest.Wait()
		requests := len(e.seen())
		var failure *delivery.SendError
		if _, err := d.SendNow(t.Context(), item(21, false, 0)); !errors.As(err, &failure) || failure.StatusCode != 401 || failure.Attempts != 0 {
			t.Errorf("while halted: %v, %+v", err, failure)
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
		e.setStatus(200)
		time.Sleep(2 * time.Minute)
		if r, err := d.SendNow(t.Context(), item(22, false, 0)); err != nil || r.Accepted != 1 {
			t.Errorf("when good: %+v, %v", r, err)
		}
		mustShutdown(t, d)
	})
}

// After Shutdown nothing can end a halt.
func TestSendNowAfterShutdownWhileHalted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := start(t, config(newOutage(401)))
		enqueue(t, d, 1, 20)
		synctest.Wait()
		_ = shutdown(t, d)
		if _, err := d.SendNow(t.Context(), item(21, false, 0)); !errors.Is(err, delivery.ErrClosed) {
			t.Errorf("error: %v", err)
		}
	})
}

// A one-shot send may take as long as Shutdown may, whatever becomes of the queue. Only
// its caller is told how it ended.
func TestSendNowDuringShutdown(t *testing.T) {
	t.Parallel()
	const minute = time.Minute // of Shutdown
	for _, tt := range []struct {
		name   string
		answer time.Duration // of the one-shot send, 0 for never
		halted bool          // by what was queued
		queued int           // and not delivered
		wait   time.Duration // of Shutdown
	}{
		{name: "in time", answer: 300 * time.Millisecond, wait: 200 * time.Millisecond},
		{name: "in time, while halted", answer: 300 * time.Millisecond, halted: true, queued: 20, wait: 200 * time.Millisecond},
		{name: "never", wait: minute},
		{name: "never, while halted", halted: true, queued: 20, wait: minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var told reports
				cfg := config(&endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
					switch {
					case ids[0] != 0:
						return status(401)
					case tt.answer == 0:
						return delivery.Result{}, errHang
					default:
						time.Sleep(tt.answer)
						return ok(len(ids))
					}
				}})
				cfg.Timeout = time.Hour
				cfg.OnReport = func(r delivery.Report) {
					if len(r.Items)+r.Untold > 0 || r.Outcome != delivery.Failed { // not the halt
						told.add(r)
					}
				}
				d := start(t, cfg)
				sent := make(chan error, 1)
				go func() {
					_, err := d.SendNow(t.Context(), item(0, false, 0))
					sent <- err
				}()
				synctest.Wait()
				enqueue(t, d, 1, tt.queued)
				time.Sleep(100 * time.Millisecond)
				begin := time.Now()
				err := shutdown(t, d)
				if took := time.Since(begin); took != tt.wait {
					t.Errorf("Shutdown took %v", took)
				}
				if text := fmt.Sprint(err); (err != nil) != tt.halted || strings.Contains(text, "%!") ||
					tt.halted && !strings.HasPrefix(text, "20 events not delivered: status 401") {
					t.Errorf("Shutdown: %v", err)
				}
				if err := <-sent; (err != nil) != (tt.answer == 0) || errors.Is(err, delivery.ErrClosed) {
					t.Errorf("SendNow: %v", err)
				}
				items, untold, _ := told.count(delivery.Abandoned)
				if items != tt.queued || untold != 0 || len(told.list()) != min(tt.queued, 1) {
					t.Errorf("reported: %d undone, and %d more, in %d reports", items, untold, len(told.list()))
				}
				c := d.Counts()
				if c.Sent+c.Failed != 1 || (c.Failed == 1) != (tt.answer == 0) || c.Abandoned != uint64(tt.queued) || c.Held != 0 {
					t.Errorf("counts: %+v", c)
				}
			})
		})
	}
}

// A caller of SendNow that waits for the end of a halt need not wait for the end of
// Shutdown.
func TestSendNowHaltedDuringShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := start(t, config(&endpoint{answer: func(n int, _ []int) (delivery.Result, error) {
			if n == 1 {
				return status(401)
			}
			return delivery.Result{}, errHang // the probe
		}}))
		enqueue(t, d, 1, 20)
		time.Sleep(61 * time.Second)
		begin := time.Now()
		sent := make(chan error, 1)
		go func() {
			_, err := d.SendNow(t.Context(), item(21, false, 0))
			sent <- err
		}()
		synctest.Wait()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = shutdown(t, d)
		}()
		if err := <-sent; !errors.Is(err, delivery.ErrClosed) || time.Since(begin) != 0 {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		<-ended
		if c := d.Counts(); c.Late != 1 {
			t.Errorf("counts: %+v", c)
		}
	})
}

// A Transport that does not return when it should holds up neither its caller nor
// Shutdown. The caller is told that the send failed, and so it counts, whatever comes of it.
func TestSendNowByADeafTransport(t *testing.T) {
	t.Parallel()
	const grace = 250 * time.Millisecond
	for _, tt := range []struct {
		name                        string
		patience, timeout, shutdown time.Duration
		took                        time.Duration
		want                        error
	}{
		{"ctx", time.Second, time.Minute, time.Hour, time.Second, context.DeadlineExceeded},
		{"timeout", time.Hour, time.Second, time.Hour, time.Second, context.DeadlineExceeded},
		{"shutdown", time.Hour, time.Minute, time.Second, time.Second, context.Canceled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				transport := deaf{make(chan struct{})}
				cfg := config(transport)
				cfg.Timeout = tt.timeout
				var told []string
				cfg.OnRequest = func(_ int, _ time.Duration, failure *delivery.SendError) { told = append(told, failure.Verdict()) }
				d := start(t, cfg)
				ctx, cancel := context.WithTimeout(t.Context(), tt.patience)
				defer cancel()
				begin := time.Now()
				ended := make(chan error, 1)
				go func() {
					_, err := d.SendNow(ctx, item(1, false, 0))
					ended <- err
				}()
				synctest.Wait()
				within, cancel := context.WithTimeout(t.Context(), tt.shutdown)
				defer cancel()
				if err := d.Shutdown(within); err != nil || time.Since(begin) > tt.took+grace {
					t.Errorf("Shutdown: %v after %v", err, time.Since(begin))
				}
				var failure *delivery.SendError
				if err := <-ended; !errors.Is(err, tt.want) || !errors.As(err, &failure) || failure.Attempts != 1 || time.Since(begin) > tt.took+grace {
					t.Errorf("SendNow: %v after %v", err, time.Since(begin))
				}
				before := d.Counts()
				close(transport.hang)
				synctest.Wait()
				if after := d.Counts(); after != before || after.Failed != 1 || after.Held != 0 {
					t.Errorf("counts: %+v, and after the answer %+v", before, after)
				}
				if !slices.Equal(told, []string{"retried"}) {
					t.Errorf("OnRequest: %v", told)
				}
			})
		})
	}
}

func TestPingByADeafTransport(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		transport := deaf{make(chan struct{})}
		d := start(t, config(transport))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		if err := d.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > 2*time.Second {
			t.Errorf("Ping: %v after %v", err, time.Since(begin))
		}
		close(transport.hang)
	})
}

// A one-shot send does not use the disk, so it may take all of Shutdown's time.
func TestSendNowDuringShutdownWithSpool(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const answer = time.Minute - 100*time.Millisecond // after Shutdown has begun to write
		m := newMemory()
		cfg := spoolConfig(&endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
			if ids[0] != 0 {
				return status(503)
			}
			time.Sleep(answer)
			return ok(len(ids))
		}}, m)
		cfg.Timeout = time.Hour
		d := start(t, cfg)
		sent := make(chan error, 1)
		go func() {
			_, err := d.SendNow(t.Context(), item(0, false, 0))
			sent <- err
		}()
		synctest.Wait()
		enqueue(t, d, 1, 20)
		begin := time.Now()
		if err := shutdown(t, d); err != nil || time.Since(begin) != answer {
			t.Errorf("Shutdown: %v after %v", err, time.Since(begin))
		}
		if err := <-sent; err != nil || m.len() != 20 {
			t.Errorf("SendNow: %v; %d on disk", err, m.len())
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
				mustShutdown(t, d)
			})
		})
	}
}

// A failure says how many requests have carried its event, or its first one.
func TestAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told reports
		cfg := config(newOutage(503))
		cfg.MaxAttempts, cfg.OnReport = 3, told.add
		d := start(t, cfg)
		_, sent := d.SendNow(t.Context(), item(1, false, 0))
		pinged := d.Ping(t.Context())
		enqueue(t, d, 2, 3)
		time.Sleep(time.Minute)
		_, _, givenUp := told.count(delivery.Failed)
		for name, tt := range map[string]struct {
			err  error
			want int
		}{"SendNow": {sent, 1}, "Ping": {pinged, 1}, "given up": {givenUp, 3}} {
			var failure *delivery.SendError
			if !errors.As(tt.err, &failure) || failure.Attempts != tt.want {
				t.Errorf("%s: %+v, want %d attempts", name, tt.err, tt.want)
			}
		}
	})
}

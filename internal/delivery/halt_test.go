package delivery_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

func TestHalt(t *testing.T) {
	t.Parallel()
	for _, code := range []int{301, 401, 403, 404, 405} {
		synctest.Test(t, func(t *testing.T) {
			e := newOutage(code)
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
			} else if probes[0].ids[0] != 500 || probes[1].ids[0] == 500 { // one of them may be bad
				t.Errorf("%d: not the newest and an older one in turn: %v", code, probes)
			}
			if c := d.Counts(); c.Held != 500 {
				t.Errorf("%d: counts: %+v", code, c)
			}
			e.setStatus(200)
			time.Sleep(2 * time.Minute)
			if c := d.Counts(); c.Sent != 500 || d.Halted() {
				t.Errorf("%d: when good again: %+v, halted %v", code, c, d.Halted())
			}
			mustShutdown(t, d)
		})
	}
}

// An endpoint that has accepted events and then seems to be gone may be back soon. A key that
// is no longer accepted is not.
func TestHaltAfterEventsWereAccepted(t *testing.T) {
	t.Parallel()
	for code, soon := range map[int]bool{302: true, 401: false, 404: true, 405: true} {
		synctest.Test(t, func(t *testing.T) {
			e := newOutage(200)
			d := start(t, config(e))
			enqueue(t, d, 1, 1)
			mustFlush(t, d)
			for i := range 2 { // each halt begins anew
				e.setStatus(code)
				before := len(e.seen())
				enqueue(t, d, 2, 30)
				time.Sleep(10 * time.Second)
				if n := len(e.seen()) - before; soon != (n > 3) || n > 6 || !d.Halted() {
					t.Errorf("%d, halt %d: %d requests in 10 s, halted %v", code, i, n, d.Halted())
				}
				time.Sleep(10 * time.Minute)
				if n := len(e.seen()) - before; n > 20 {
					t.Errorf("%d, halt %d: %d requests in 10 minutes", code, i, n)
				}
				e.setStatus(200)
				time.Sleep(time.Minute)
				if d.Halted() {
					t.Errorf("%d, halt %d: still halted", code, i)
				}
			}
		})
	}
}

// A Ping that succeeds during a halt has the next probe go out at once.
func TestPingDuringAHalt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newOutage(401)
		d := start(t, config(e))
		enqueue(t, d, 1, 50)
		synctest.Wait()
		if err := d.Ping(t.Context()); err == nil || !d.Halted() {
			t.Errorf("Ping: %v, halted %v", err, d.Halted())
		}
		before := len(e.seen())
		synctest.Wait()
		if n := len(e.seen()) - before; n != 0 {
			t.Errorf("%d requests after a Ping that failed", n)
		}
		e.setStatus(200)
		if err := d.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if c := d.Counts(); d.Halted() || c.Sent != 50 {
			t.Errorf("halted %v, %+v", d.Halted(), c)
		}
	})
}

// It does so too if nothing is queued. Otherwise there is no probe then.
func TestPingDuringAHaltWithNothingToSend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newOutage(401)
		d := start(t, config(e))
		if _, err := d.SendNow(t.Context(), item(1, false, 0)); err == nil {
			t.Error("SendNow: no error")
		}
		time.Sleep(10 * time.Minute)
		if n := len(e.seen()); n != 1 {
			t.Errorf("%d requests", n)
		}
		e.setStatus(200)
		if err := d.Ping(t.Context()); err != nil || !d.Halted() {
			t.Errorf("Ping: %v, halted %v", err, d.Halted())
		}
		synctest.Wait()
		if d.Halted() {
			t.Error("still halted")
		}
	})
}

// A Ping that succeeds while a probe is out that fails is not forgotten.
func TestPingDuringAProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(n int, ids []int) (delivery.Result, error) {
			switch n {
			case 1:
				return status(401)
			case 2: // the probe, which Flush asks for
				time.Sleep(5 * time.Second)
				return status(401)
			default:
				return ok(len(ids))
			}
		}}
		d := start(t, config(e))
		if _, err := d.SendNow(t.Context(), item(1, false, 0)); err == nil {
			t.Error("SendNow: no error")
		}
		time.Sleep(2 * time.Minute)
		go func() { _, _ = d.SendNow(t.Context(), item(2, false, 0)) }()
		time.Sleep(time.Second)
		if err := d.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(10 * time.Second)
		if d.Halted() {
			t.Errorf("still halted after %d requests", len(e.seen()))
		}
	})
}

// One-shot sends show as well as batches that the endpoint was good before.
func TestHaltAfterOneShotsWereAccepted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newOutage(200)
		d := start(t, config(e))
		for _, code := range []int{200, 404} {
			e.setStatus(code)
			if _, err := d.SendNow(t.Context(), item(code, false, 0)); (err == nil) != (code == 200) {
				t.Errorf("SendNow with %d: %v", code, err)
			}
		}
		synctest.Wait()
		enqueue(t, d, 1, 1)
		e.setStatus(200)
		time.Sleep(5 * time.Second)
		if d.Halted() {
			t.Error("still halted after 5 s")
		}
	})
}

// A halt uses up no attempts of the events that probe it.
func TestProbesAreNoAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin, after := time.Now(), 0
		e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
			if time.Since(begin) < 10*time.Minute {
				return status(404)
			}
			if after++; after == 2 { // of the event that has not ended the halt
				return status(503) // the only attempt that counts
			}
			return ok(len(ids))
		}}
		cfg := config(e)
		cfg.MaxAttempts = 2
		d := start(t, cfg)
		enqueue(t, d, 1, 2)
		time.Sleep(20 * time.Minute)
		if c := d.Counts(); c.Sent != 2 || c.Failed != 0 || after != 3 {
			t.Errorf("%d requests after the halt, %+v", after, c)
		}
	})
}

// A request that went out before an outage does not end it.
func TestOutageIsNotOverTooSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(n int, ids []int) (delivery.Result, error) {
			if n == 1 {
				time.Sleep(500 * time.Millisecond)
				return ok(len(ids))
			}
			return status(503)
		}}
		cfg := config(e)
		log := keepLog(&cfg)
		d := start(t, cfg)
		enqueue(t, d, 1, 1000)
		time.Sleep(8 * time.Second)
		synctest.Wait()
		if !strings.Contains(log.String(), "delivery failed") || strings.Contains(log.String(), "works again") {
			t.Error(log.String())
		}
	})
}

// The log says when an outage is over, and how much is left to deliver.
func TestEndOfAnOutageIsLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newOutage(503)
		cfg := config(e)
		log := keepLog(&cfg)
		d := start(t, cfg)
		enqueue(t, d, 1, 250)
		time.Sleep(time.Minute)
		e.setStatus(200)
		time.Sleep(time.Minute)
		enqueue(t, d, 251, 300)
		mustFlush(t, d)
		synctest.Wait()
		if again := strings.Count(log.String(), `"klime: delivery works again" waiting=249`); again != 1 || strings.Count(log.String(), "works again") != 1 {
			t.Errorf("the log says so %d times:\n%s", again, log.String())
		}
	})
}

// Everything is answered with 400, and 10,000 events are queued.
func TestRefusalOfEverythingHalts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newOutage(400)
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
	})
}

// If an endpoint refuses all events but accepts empty batches, the events are kept and
// it is probed once a minute.
func TestRefusalOfEverythingKeepsTheRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var good atomic.Bool
		var told reports
		e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
			if len(ids) == 0 || good.Load() {
				return ok(len(ids))
			}
			return status(400)
		}}
		cfg := config(e)
		cfg.OnReport = told.add
		d := start(t, cfg)
		enqueue(t, d, 1, 10_000)
		synctest.Wait()
		requests, failed := len(e.seen()), d.Counts().Failed
		time.Sleep(time.Hour)
		if n := len(e.seen()) - requests; n > 60 {
			t.Errorf("%d requests in an hour", n)
		}
		if c := d.Counts(); c.Failed != failed || !d.Halted() {
			t.Errorf("halted %v, counts: %+v", d.Halted(), c)
		}
		halts := 0
		for _, report := range told.list() {
			if len(report.Items) == 0 {
				halts++
			}
		}
		if halts != 1 {
			t.Errorf("told of %d halts", halts)
		}
		good.Store(true)
		time.Sleep(2 * time.Minute)
		if c := d.Counts(); c.Held != 0 || c.Sent != 10_000-failed {
			t.Errorf("when good again: %+v", c)
		}
		mustShutdown(t, d)
	})
}

// A halt makes one report and one log line, however many requests meet it.
func TestHaltIsReportedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told reports
		cfg := config(newOutage(401))
		cfg.OnReport = told.add
		log := keepLog(&cfg)
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

// Behind a stuck callback reports are merged, and a halt is still reported.
func TestHaltIsToldAfterABacklog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newOutage(200)
		hang := make(chan struct{})
		var told reports
		cfg := config(e)
		cfg.BatchSize, cfg.ReportSent = 1, true
		cfg.OnReport = func(r delivery.Report) { <-hang; told.add(r) }
		d := start(t, cfg)
		for id := range 3000 {
			enqueue(t, d, id, id)
			synctest.Wait()
		}
		e.setStatus(401)
		enqueue(t, d, 1, 1)
		synctest.Wait()
		close(hang)
		synctest.Wait()
		accepted := 0
		for _, report := range told.list() {
			accepted += report.Result.Accepted
		}
		if accepted != 3000 {
			t.Errorf("told of %d", accepted)
		}
		if !slices.ContainsFunc(told.list(), func(r delivery.Report) bool { return r.Outcome == delivery.Failed }) {
			t.Error("not told of the halt")
		}
	})
}

// Who waits is told of a halt at once, though a request is still out, and then of the
// latest reason.
func TestReasonOfAHalt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newOutage(404)
		answer := e.answer
		e.answer = func(n int, ids []int) (delivery.Result, error) {
			if n == 1 {
				return delivery.Result{}, errHang
			}
			return answer(n, ids)
		}
		cfg := config(e)
		cfg.BatchSize = 1
		d := start(t, cfg)
		for i, code := range []int{404, 401} {
			e.setStatus(code)
			time.Sleep(time.Duration(i) * 2 * time.Minute) // for a probe
			enqueue(t, d, 2*i, 2*i)
			synctest.Wait()
			enqueue(t, d, 2*i+1, 2*i+1)
			begin := time.Now()
			err := d.Flush(t.Context())
			var failure *delivery.SendError
			if took := time.Since(begin); !errors.As(err, &failure) || failure.StatusCode != code || took > 0 {
				t.Errorf("Flush: %v after %v, want %d", err, took, code)
			}
		}
	})
}

// A halt is probed with an event of the quarantine if there are no others.
func TestProbesFromQuarantine(t *testing.T) {
	t.Parallel()
	for name, others := range map[string]int{"a suspect": 0, "a culprit": 1} {
		synctest.Test(t, func(t *testing.T) {
			var code atomic.Int64
			e := newPoisoned(func(id int) bool { return id == 1 || code.Load() == 401 }, func([]int) error {
				return &delivery.SendError{StatusCode: int(code.Load())}
			})
			code.Store(500)
			d := start(t, config(e))
			enqueue(t, d, 1, 1)
			time.Sleep(3 * time.Second)
			enqueue(t, d, 2, 1+others)
			time.Sleep(10 * time.Second)
			code.Store(401)
			time.Sleep(time.Minute)
			before := len(e.seen())
			if !d.Halted() {
				t.Fatalf("%s: not halted", name)
			}
			time.Sleep(10 * time.Minute)
			e.mended.Store(true)
			mustShutdown(t, d)
			probes := e.seen()[before:]
			for _, probe := range probes {
				if !slices.Equal(probe.ids, []int{1}) {
					t.Errorf("%s: a probe with %v", name, probe.ids)
				}
			}
			if len(probes) != 11 {
				t.Errorf("%s: %d probes", name, len(probes))
			}
		})
	}
}

// A probe that ends without an answer that halts, and takes longer than the next one is away,
// is still the one that a caller waits for.
func TestSlowProbesTurnCallersAway(t *testing.T) {
	t.Parallel()
	for name, slow := range map[string]func() (delivery.Result, error){
		"a time-out": func() (delivery.Result, error) { return delivery.Result{}, errHang },
		"503": func() (delivery.Result, error) {
			time.Sleep(5 * time.Second)
			return status(503)
		},
	} {
		for call, wait := range map[string]func(context.Context, *delivery.Deliverer) error{
			"Flush": func(ctx context.Context, d *delivery.Deliverer) error { return d.Flush(ctx) },
			"SendNow": func(ctx context.Context, d *delivery.Deliverer) error {
				_, err := d.SendNow(ctx, item(99, false, 0))
				return err
			},
		} {
			synctest.Test(t, func(t *testing.T) {
				var code atomic.Int32 // 0 for slow
				code.Store(200)
				e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
					switch code.Load() {
					case 0:
						return slow()
					case 200:
						return ok(len(ids))
					default:
						return status(404)
					}
				}}
				d := start(t, config(e))
				enqueue(t, d, 1, 1)
				mustFlush(t, d)
				code.Store(404)
				enqueue(t, d, 2, 30)
				synctest.Wait()
				code.Store(0)
				time.Sleep(1200 * time.Millisecond) // the first probe is out: a proven endpoint may be back soon
				before := len(e.seen())
				var failure *delivery.SendError
				if err := wait(t.Context(), d); !errors.As(err, &failure) || failure.StatusCode != 404 {
					t.Errorf("%s, %s: %v", name, call, err)
				}
				if probes := len(e.seen()) - before; probes > 1 { // perhaps the next one is out by now
					t.Errorf("%s, %s: %d further probes", name, call, probes)
				}
				code.Store(200)
			})
		}
	}
}

package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// poisoned is an endpoint that fails on some events until it is mended.
type poisoned struct {
	endpoint

	fails  func(ids []int) error
	isBad  func(id int) bool
	mended atomic.Bool
}

func newPoisoned(isBad func(id int) bool, fails func(ids []int) error) *poisoned {
	e := &poisoned{fails: fails, isBad: isBad}
	e.answer = func(_ int, ids []int) (delivery.Result, error) {
		if !e.mended.Load() && slices.ContainsFunc(ids, isBad) {
			return delivery.Result{}, fails(ids)
		}
		return ok(len(ids))
	}
	return e
}

// delivered returns the events of all requests without a bad one, sorted by ID.
func (e *poisoned) delivered() []int {
	var ids []int
	for _, r := range e.seen() {
		if !slices.ContainsFunc(r.ids, e.isBad) {
			ids = append(ids, r.ids...)
		}
	}
	slices.Sort(ids)
	return ids
}

func failsWith(code int) func([]int) error {
	return func([]int) error { return &delivery.SendError{StatusCode: code} }
}

func only(id int) func(int) bool { return func(other int) bool { return other == id } }

// upToExcept returns the IDs up to n that are not bad.
func upToExcept(n int, isBad func(int) bool) []int { return slices.DeleteFunc(upTo(n), isBad) }

// One event on which the server always fails, in whatever way, does not hold up the
// others for long.
func TestOneBadEventHoldsUpNobody(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]func([]int) error{
		"internal error": failsWith(500),
		"bad gateway":    failsWith(502),
		"unavailable":    failsWith(503),
		"unforeseen":     failsWith(418),
		"hung up":        func([]int) error { return errors.New("connection reset by peer") },
		"no answer":      func([]int) error { return errHang },
		"panic":          func([]int) error { panic("of the transport") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, senders := range []int{1, 4} {
				synctest.Test(t, func(t *testing.T) {
					const n, bad = 3000, 50
					e := newPoisoned(only(bad), fails)
					cfg := config(e)
					cfg.Senders = senders
					d := start(t, cfg)
					for id := 1; id <= n; id++ {
						_ = d.Enqueue(t.Context(), item(id, id%2 == 0, 0))
						time.Sleep(100 * time.Millisecond)
						if c := d.Counts(); c.Held > 1+450 { // 45 s, as each failure may take 10 s
							t.Fatalf("%d senders: after %d: %+v", senders, id, c)
						}
					}
					time.Sleep(20 * time.Second)
					if got := e.delivered(); !slices.Equal(got, upToExcept(n, only(bad))) {
						t.Errorf("%d senders: %d of %d delivered, or some twice", senders, len(got), n-1)
					}
					requests := len(e.seen())
					time.Sleep(10 * time.Minute)
					if again := len(e.seen()) - requests; again > 10*60/8+1 || again < 10 {
						t.Errorf("%d senders: the bad one was tried %d times in ten minutes", senders, again)
					}
					if c := d.Counts(); c.Held != 1 || d.Halted() {
						t.Errorf("%d senders: %+v", senders, c)
					}
					e.mended.Store(true)
					mustShutdown(t, d)
					if c := d.Counts(); c.Sent != n {
						t.Errorf("%d senders: mended: %+v", senders, c)
					}
				})
			}
		})
	}
}

// What is in quarantine takes one sender at a time, however long its requests take. The
// others are free for new events.
func TestSuspectsTakeOneSender(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(n int, ids []int) (delivery.Result, error) {
			switch {
			case ids[0] > 200:
				return ok(len(ids))
			case n <= 2:
				time.Sleep(time.Millisecond) // both are in flight
				return status(500)
			default:
				return delivery.Result{}, errHang
			}
		}}
		cfg := config(e)
		cfg.BatchSize = 100
		d := start(t, cfg)
		enqueue(t, d, 1, 300)
		time.Sleep(2 * time.Second) // the last hundred are delivered: the first 200 are tried again, and hang
		enqueue(t, d, 301, 400)
		synctest.Wait()
		if c := d.Counts(); c.Sent != 200 || e.inFlight != 1 {
			t.Errorf("%d requests hang, counts %+v", e.inFlight, c)
		}
	})
}

// Many bad events slow down the rest, but do not stop it.
func TestManyBadEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 3000
		isBad := func(id int) bool { return id%100 == 7 }
		e := newPoisoned(isBad, failsWith(500))
		d := start(t, config(e))
		enqueue(t, d, 1, n)
		time.Sleep(5 * time.Minute)
		if got := e.delivered(); !slices.Equal(got, upToExcept(n, isBad)) {
			t.Errorf("%d of %d delivered, or some twice", len(got), n-n/100)
		}
		if c := d.Counts(); c.Held != n/100 {
			t.Errorf("%+v", c)
		}
		e.mended.Store(true)
		mustShutdown(t, d)
	})
}

// If nothing else shows which event is at fault, smaller parts of the batch do.
func TestABadEventAtShutdown(t *testing.T) {
	t.Parallel()
	for _, code := range []int{500, 403} {
		synctest.Test(t, func(t *testing.T) {
			const bad = 2
			e := newPoisoned(only(bad), failsWith(code))
			d := start(t, config(e))
			enqueue(t, d, 1, 1) // accepted first
			time.Sleep(3 * time.Second)
			enqueue(t, d, 2, 20)
			if err := shutdownWithin(t, d, 10*time.Second); err == nil {
				t.Errorf("%d: Shutdown says that all is delivered", code)
			}
			if got := e.delivered(); !slices.Equal(got, upToExcept(20, only(bad))) {
				t.Errorf("%d: delivered %v", code, got)
			}
			if c := d.Counts(); c.Abandoned != 1 {
				t.Errorf("%d: %+v", code, c)
			}
		})
	}
}

// A server may fail on a batch for its bad events, and refuse them where they are alone or
// few. However many there are, that does not halt sending while others are delivered.
func TestRefusedInQuarantine(t *testing.T) {
	t.Parallel()
	isBad := func(id int) bool { return id > 30 && id <= 60 }
	for name, fails := range map[string]func([]int) error{
		"refused alone": func(ids []int) error {
			if len(ids) > 1 {
				return &delivery.SendError{StatusCode: 500}
			}
			return &delivery.SendError{StatusCode: 400}
		},
		"refused where it does not hang up": func(ids []int) error {
			if len(ids) > 4 {
				return errors.New("connection reset by peer")
			}
			return &delivery.SendError{StatusCode: 413}
		},
	} {
		for _, ends := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, Shutdown %v", name, ends), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					const n = 200
					e := newPoisoned(isBad, fails)
					d := start(t, config(e))
					enqueue(t, d, 1, n)
					last := n
					for range 120 {
						if ends {
							break
						}
						last++
						enqueue(t, d, last, last)
						time.Sleep(time.Second)
						if d.Halted() {
							t.Fatalf("halted after %d: %+v", last, d.Counts())
						}
					}
					mustShutdown(t, d)
					if got := e.delivered(); !slices.Equal(got, upToExcept(last, isBad)) {
						t.Errorf("%d of %d delivered, or some twice", len(got), last-30)
					}
					if c := d.Counts(); c.Failed != 30 {
						t.Errorf("%+v", c)
					}
				})
			})
		}
	}
}

// If nothing was delivered since, refusals of what is in quarantine halt sending: it may be
// the endpoint that refuses everything.
func TestRefusalsAfterAnOutageHalt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newOutage(500)
		d := start(t, config(e))
		enqueue(t, d, 1, 1000)
		time.Sleep(time.Hour) // all are in quarantine
		e.setStatus(400)
		time.Sleep(30 * time.Second)
		if c := d.Counts(); !d.Halted() || c.Failed > 300 {
			t.Errorf("halted %v, %+v", d.Halted(), c)
		}
		e.setStatus(200)
		mustShutdown(t, d)
	})
}

// A rare event does not have to wait for the next attempt of a bad one.
func TestARareEventBesideABadOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newPoisoned(only(1), failsWith(500))
		d := start(t, config(e))
		enqueue(t, d, 1, 2)
		time.Sleep(5 * time.Minute)
		for id := 3; id <= 20; id++ {
			enqueue(t, d, id, id)
			time.Sleep(2*time.Second + time.Millisecond)
			if got := e.delivered(); !slices.Contains(got, id) {
				t.Errorf("%d waits: delivered %v", id, got)
			}
			time.Sleep(time.Duration(id) * 3 * time.Second)
		}
	})
}

// Attempts count in quarantine too.
func TestABadEventIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n, bad = 500, 50
		var told reports
		e := newPoisoned(only(bad), failsWith(500))
		cfg := config(e)
		cfg.MaxAttempts, cfg.OnReport = 3, told.add
		d := start(t, cfg)
		for id := 1; id <= n; id++ {
			enqueue(t, d, id, id)
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(5 * time.Minute)
		if c := d.Counts(); c.Sent != n-1 || c.Failed != 1 || c.Held != 0 {
			t.Errorf("%+v", c)
		}
		items, _, err := told.count(delivery.Failed)
		if items != 1 || err == nil {
			t.Errorf("told of %d, %v", items, err)
		}
		mustShutdown(t, d)
	})
}

// An outage is none of the events' fault: it is probed as ever, and what was out
// when it began is soon delivered.
func TestAnOutageIsNobodysFault(t *testing.T) {
	t.Parallel()
	for _, traffic := range []int{0, 5} { // events a second
		synctest.Test(t, func(t *testing.T) {
			e := newPoisoned(func(int) bool { return true }, failsWith(500))
			d := start(t, config(e))
			enqueue(t, d, 1, 400)
			last := 400
			for range 600 {
				enqueue(t, d, last+1, last+traffic)
				last += traffic
				time.Sleep(time.Second)
			}
			if n := len(e.seen()); n > 600/8+10 || n < 600/16 {
				t.Errorf("%d requests in ten minutes", n)
			}
			e.mended.Store(true)
			time.Sleep(20 * time.Second)
			if c := d.Counts(); c.Sent != uint64(last) {
				t.Errorf("%+v", c)
			}
			mustShutdown(t, d)
		})
	}
}

// Nor does an outage leave small batches behind, however long it was.
func TestAfterALongOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newPoisoned(func(int) bool { return true }, failsWith(503))
		d := start(t, config(e))
		enqueue(t, d, 1, 10_000)
		time.Sleep(24 * time.Hour)
		before := len(e.seen())
		e.mended.Store(true)
		mustFlush(t, d)
		if n := len(e.seen()) - before; n > 110 {
			t.Errorf("%d requests for 10,000 events", n)
		}
		mustShutdown(t, d)
	})
}

// Over a slow link, batches that are too large for it time out, and smaller ones do not.
// Where the size is found that gets through, it is kept for a while: batches that grow at
// once would time out every other time.
func TestASlowLink(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const events, size, bytesPerSecond = 300, 60_000, 140_000
		timeouts := 0
		cfg := config(nil)
		e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
			takes := time.Duration(len(ids)) * size * time.Second / bytesPerSecond
			if takes > cfg.Timeout {
				timeouts++
				return delivery.Result{}, errHang
			}
			time.Sleep(takes)
			return ok(len(ids))
		}}
		cfg.Transport, cfg.Senders = e, 1
		d := start(t, cfg)
		for id := 1; id <= events; id++ {
			if err := d.Enqueue(t.Context(), item(id, false, size)); err != nil {
				t.Fatal(err)
			}
		}
		begin := time.Now()
		mustFlush(t, d)
		if took := time.Since(begin); timeouts > 10 || took > 250*time.Second {
			t.Errorf("%d events of 0.4 s took %v, with %d timeouts", events, took, timeouts)
		}
	})
}

// A wait that an answer asks for counts in quarantine too.
func TestQuarantineHonoursRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asks atomic.Bool
		e := newPoisoned(only(1), func([]int) error {
			if asks.Load() {
				return &delivery.SendError{StatusCode: 429, RetryAfter: time.Minute}
			}
			return &delivery.SendError{StatusCode: 500}
		})
		d := start(t, config(e))
		enqueue(t, d, 1, 1)
		time.Sleep(time.Minute)
		asks.Store(true)
		time.Sleep(20 * time.Second) // by now the event was tried once more
		before := len(e.seen())
		enqueue(t, d, 2, 2)
		time.Sleep(30 * time.Second)
		if n := len(e.seen()) - before; n != 0 {
			t.Errorf("%d requests", n)
		}
	})
}

// When the queue is full, quarantined items are evicted before others of their kind.
func TestQuarantineGivesWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newPoisoned(func(id int) bool { return id <= 2 || id > 100 }, failsWith(500))
		evicted := map[uint64]bool{}
		cfg := config(e)
		cfg.QueueSize = 100
		cfg.OnOutcome = func(token uint64, outcome delivery.Outcome) { evicted[token] = outcome == delivery.Evicted }
		d := start(t, cfg)
		for id, automatic := range map[int]bool{1: false, 2: true} {
			it := item(id, automatic, 0)
			it.Token = uint64(id)
			_ = d.Enqueue(t.Context(), it)
		}
		enqueue(t, d, 3, 4)
		time.Sleep(5 * time.Minute)
		if c := d.Counts(); c.Held != 2 {
			t.Fatalf("%+v", c)
		}
		enqueue(t, d, 101, 199)
		if !evicted[2] || len(evicted) != 1 {
			t.Errorf("evicted %v, want the automatic one", evicted)
		}
		enqueue(t, d, 200, 200)
		if !evicted[1] || len(evicted) != 2 {
			t.Errorf("evicted %v, want the explicit one too", evicted)
		}
	})
}

// Culprits never fill the queue, whatever its overflow policy.
func TestCulpritsGiveWay(t *testing.T) {
	t.Parallel()
	for _, overflow := range []delivery.Overflow{delivery.DropOldest, delivery.DropNewest, delivery.Block} {
		synctest.Test(t, func(t *testing.T) {
			e := newPoisoned(func(id int) bool { return id%2 == 0 }, failsWith(500))
			cfg := config(e)
			cfg.QueueSize, cfg.Overflow = 20, overflow
			d := start(t, cfg)
			for id := 1; id <= 100; id++ {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				if err := d.Enqueue(ctx, item(id, false, 0)); err != nil {
					t.Errorf("policy %v: item %d: %v", overflow, id, err)
				}
				cancel()
				time.Sleep(30 * time.Second)
			}
			if c := d.Counts(); c.Sent != 50 || c.Held > 20 || c.Evicted < 30 {
				t.Errorf("policy %v: %+v", overflow, c)
			}
		})
	}
}

// With a spool, quarantined items are on disk too, and the next process goes on with
// them.
func TestQuarantineIsOnDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n, bad = 600, 50
		m := newMemory()
		e := newPoisoned(only(bad), failsWith(500))
		d := start(t, spoolConfig(e, m))
		for id := 1; id <= n; id++ {
			_ = d.Enqueue(t.Context(), item(id, id%2 == 0, 0))
			time.Sleep(100 * time.Millisecond)
			if c := d.Counts(); c.Held > 51 || c.Held+c.Spooled+int(c.Sent) != id { // 5 s, as documented
				t.Fatalf("after %d: %+v", id, c)
			}
		}
		time.Sleep(5 * time.Minute)
		if c := d.Counts(); c.Sent != n-1 || c.Spooled != 1 || !slices.Equal(m.kept(t), []int{bad}) {
			t.Errorf("%+v, on disk %v", c, m.kept(t))
		}
		_ = shutdown(t, d)
		checkSum(t, d)
		if got := m.kept(t); !slices.Equal(got, []int{bad}) {
			t.Fatalf("on disk after Shutdown: %v", got)
		}

		m.closed = false
		e.mended.Store(true)
		d = start(t, spoolConfig(e, m))
		if err := shutdown(t, d); err != nil || m.len() != 0 || d.Counts().Sent != 1 {
			t.Errorf("the next process: %v, %d on disk, %+v", err, m.len(), d.Counts())
		}
	})
}

// After a spool was lost, quarantined items are written to it again when it works.
func TestQuarantineOutlivesTheDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const bad = 1
		var down atomic.Bool
		m := newMemory()
		e := newPoisoned(func(id int) bool { return id == bad || down.Load() }, failsWith(500))
		d := start(t, spoolConfig(e, m))
		enqueue(t, d, 1, 20)
		time.Sleep(5 * time.Minute)
		if got := m.kept(t); !slices.Equal(got, []int{bad}) {
			t.Fatalf("on disk %v", got)
		}
		down.Store(true)
		m.set(func(m *memory) { m.broken, m.lost = true, true })
		enqueue(t, d, 21, 40)
		time.Sleep(time.Minute)
		m.set(func(m *memory) { m.broken = false })
		time.Sleep(time.Minute)
		down.Store(false)
		time.Sleep(5 * time.Minute)
		if c := d.Counts(); c.Sent != 39 || c.Held != 0 || c.Spooled != 1 || !slices.Equal(m.kept(t), []int{bad}) {
			t.Errorf("%+v, on disk %v", c, m.kept(t))
		}
	})
}

// Even if a Transport does not return, Shutdown hands over what is in quarantine.
func TestStuckTransportKeepsNothingInQuarantine(t *testing.T) {
	t.Parallel()
	for _, withSpool := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			stuck := make(chan struct{})
			e := &endpoint{answer: func(n int, ids []int) (delivery.Result, error) {
				if n == 1 {
					return status(500)
				}
				<-stuck
				return ok(len(ids))
			}}
			var told reports
			cfg := config(e)
			cfg.OnReport, cfg.Senders = told.add, 1
			if withSpool {
				cfg.Spool = newMemory()
			}
			d := start(t, cfg)
			enqueue(t, d, 1, 20)
			synctest.Wait()
			enqueue(t, d, 21, 40)
			time.Sleep(3 * time.Second) // the first are suspects now, and the others in flight
			_ = shutdownWithin(t, d, time.Second)
			items, untold, _ := told.count(delivery.Abandoned)
			c := d.Counts()
			if untold != 20 || items+c.Spooled != 20 {
				t.Errorf("spool %v: %d told, %d untold; %+v", withSpool, items, untold, c)
			}
			checkSum(t, d)
			close(stuck)
		})
	}
}

// An event that fails by itself is tried alone, and at once when Shutdown begins.
func TestCulpritsAreTriedAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newPoisoned(func(id int) bool { return id == 1 || id == 6 }, failsWith(500))
		cfg := config(e)
		cfg.BatchSize = 1
		d := start(t, cfg)
		for id := 1; id <= 20; id++ {
			enqueue(t, d, id, id)
			time.Sleep(10 * time.Second)
		}
		for _, r := range e.seen() {
			if slices.ContainsFunc(r.ids, e.isBad) && len(r.ids) > 1 {
				t.Errorf("a request with %v", r.ids)
			}
		}
		e.mended.Store(true)
		if err := shutdownWithin(t, d, time.Second); err != nil || d.Counts().Sent != 20 {
			t.Errorf("Shutdown: %v, counts %+v", err, d.Counts())
		}
	})
}

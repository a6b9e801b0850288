package delivery_test

import (
	"bytes"
	"errors"
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

// An answer may name events in any order: each is told with what the answer says of it.
func TestRejectionsAreOfTheirItems(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told reports
		cfg := config(&endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
			return delivery.NewResult(len(ids), []delivery.Rejection{{Index: 7}, {Index: 2}, {Index: 5}}), nil
		}})
		cfg.OnReport, cfg.ReportSent = told.add, true
		d := start(t, cfg)
		enqueue(t, d, 0, 9)
		mustShutdown(t, d)
		report := told.list()[0]
		for i, rejected := range report.Result.Rejected {
			if want := item(rejected.Index, false, 0).Body; !bytes.Equal(report.Items[i].Body, want) {
				t.Errorf("event %d is told as %s", rejected.Index, report.Items[i].Body)
			}
		}
		if n := len(report.Result.Rejected); n != 3 {
			t.Errorf("%d rejected", n)
		}
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
		mustShutdown(t, d)
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
		mustShutdown(t, d)
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

// Reports of refused events that wait for a slow callback are added up. That leaves the
// rest of their batches, which is still being sent, as it was.
func TestSlowCallbackLeavesBatchesAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const others, refused, retried, alsoRefused, last = 1001, 2001, 2002, 2003, 2004 // one of others is being told, 1,000 wait
		hold, up := make(chan struct{}), make(chan struct{})
		var tries atomic.Int32 // of that event
		e := newOutage(200)
		accept := e.answer
		e.answer = func(n int, ids []int) (delivery.Result, error) {
			switch {
			case slices.Contains(ids, refused), slices.Contains(ids, alsoRefused):
				return status(400)
			case slices.Equal(ids, []int{retried}):
				if tries.Add(1) == 1 {
					<-up
					return status(503)
				}
			}
			return accept(n, ids)
		}
		cfg := config(e)
		cfg.BatchSize, cfg.ReportSent, cfg.OnReport = 2, true, func(delivery.Report) { <-hold }
		d := start(t, cfg)
		for id := range others {
			enqueue(t, d, id+1, id+1)
			mustFlush(t, d)
			synctest.Wait()
		}
		enqueue(t, d, refused, retried)
		synctest.Wait() // the first has been refused, the second is in flight
		enqueue(t, d, alsoRefused, last)
		synctest.Wait()
		close(up)
		mustFlush(t, d)
		if got, want := e.delivered(), append(upTo(others), retried, last); !slices.Equal(got, want) {
			t.Errorf("delivered %v, want %v", got[min(others, len(got)):], want[others:])
		}
		if c := d.Counts(); c.Failed != 2 || c.HeldBytes != 0 {
			t.Errorf("counts: %+v", c)
		}
		close(hold)
		mustShutdown(t, d)
	})
}

// Drops are logged, but not one by one.
func TestDropsAreLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := config(&endpoint{answer: func(int, []int) (delivery.Result, error) { return delivery.Result{}, errHang }})
		cfg.QueueSize, cfg.Timeout = 100, time.Hour
		log := keepLog(&cfg)
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
				mustShutdown(t, d)
				if c := d.Counts(); c.Sent != 50 || panics != 3 {
					t.Errorf("%d panics, counts: %+v", panics, c)
				}
			})
		})
	}
}

// What an answer says could repeat what events say, and is not logged.
func TestAnswersAreNotLogged(t *testing.T) {
	t.Parallel()
	for _, code := range []int{400, 401, 503} {
		synctest.Test(t, func(t *testing.T) {
			cfg := config(&endpoint{answer: func(int, []int) (delivery.Result, error) {
				return delivery.Result{}, &delivery.SendError{
					StatusCode: code, Message: "jane@acme.test is no user",
					Rejected: []delivery.Rejection{{Index: 0, Code: "bad", Message: "jane@acme.test"}},
				}
			}})
			log := keepLog(&cfg)
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

// The code of a refusal is logged, unless it may hold what the event says.
func TestCodesThatRepeatEventsAreNotLogged(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{"bad": `code=bad`, "jane": `code=""`, "no_user:usr_8": `code=""`, "usr_8": `code=""`} {
		synctest.Test(t, func(t *testing.T) {
			cfg := config(&endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
				return delivery.Result{Failed: len(ids), Rejected: []delivery.Rejection{{Code: code}}}, nil
			}})
			log := keepLog(&cfg)
			d := start(t, cfg)
			if err := d.Enqueue(t.Context(), delivery.Item{Body: []byte(`{"id":7,"userId":"jane"}`)}); err != nil {
				t.Error(err)
			}
			mustShutdown(t, d)
			if !strings.Contains(log.String(), want) {
				t.Errorf("%s: log %s", code, log.String())
			}
		})
	}
}

// The log says now and then how many events were refused in all.
func TestRefusedEventsAreLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := config(&endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
			return delivery.NewResult(len(ids), make([]delivery.Rejection, 1)), nil // the first of each batch
		}})
		log := keepLog(&cfg)
		d := start(t, cfg)
		for wave := range 3 {
			enqueue(t, d, 20*wave+1, 20*wave+20)
			time.Sleep(6 * time.Second)
		}
		mustShutdown(t, d)
		var totals []string
		for line := range strings.Lines(log.String()) {
			_, after, _ := strings.Cut(line, "total=")
			total, _, _ := strings.Cut(after, " ")
			totals = append(totals, total)
		}
		if want := []string{"1", "3"}; !slices.Equal(totals, want) { // one of each batch
			t.Errorf("totals %q, want %q: %s", totals, want, log)
		}
	})
}

// Events that an answer counts as failed, but does not name, count as sent. The log says
// so, but not with each answer.
func TestUnnamedFailuresAreLogged(t *testing.T) {
	t.Parallel()
	for _, oneShot := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			cfg := config(&endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
				r := delivery.NewResult(len(ids), make([]delivery.Rejection, len(ids)-1))
				r.Unnamed = 1
				return r, nil
			}})
			log := keepLog(&cfg)
			d := start(t, cfg)
			for id := range 3 {
				if oneShot {
					if _, err := d.SendNow(t.Context(), item(id, false, 10)); err != nil {
						t.Error(err)
					}
				} else {
					enqueue(t, d, 2*id+1, 2*id+2)
					mustFlush(t, d)
				}
			}
			mustShutdown(t, d)
			want := `msg="klime: an answer does not name all events that it counts as failed, the others count as sent" failed=2 named=1`
			if oneShot {
				want = strings.ReplaceAll(want, "failed=2 named=1", "failed=1 named=0")
			}
			if n := strings.Count(log.String(), "does not name"); n != 1 || !strings.Contains(log.String(), want) {
				t.Errorf("one-shot %v: log %s", oneShot, log.String())
			}
			if c := d.Counts(); c.Sent != 3 {
				t.Errorf("one-shot %v: counts %+v", oneShot, c)
			}
		})
	}
}

// Items that a full queue refuses are reported and logged like those that it evicts.
func TestRefusedItemsAreReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told reports
		cfg := config(&endpoint{answer: func(int, []int) (delivery.Result, error) { return delivery.Result{}, errHang }})
		cfg.QueueSize, cfg.Overflow, cfg.Timeout, cfg.OnReport = 10, delivery.DropNewest, time.Hour, told.add
		log := keepLog(&cfg)
		d := start(t, cfg)
		for id := range 30 {
			_ = d.Enqueue(t.Context(), item(id, false, 0))
		}
		synctest.Wait()
		if items, _, err := told.count(delivery.Evicted); items != 20 || !errors.Is(err, delivery.ErrQueueFull) {
			t.Errorf("reported %d, %v", items, err)
		}
		_ = shutdownWithin(t, d, time.Second)
		for _, want := range []string{"queue full, events dropped", "shut down before all events were delivered"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("log lacks %q: %s", want, log.String())
			}
		}
	})
}

// What an answer says of a refused event is the message of its error if there is no other.
func TestMessageOfARefusedEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told reports
		cfg := config(&endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
			return delivery.NewResult(len(ids), []delivery.Rejection{{Message: "no such event"}}), nil
		}})
		cfg.OnReport = told.add
		d := start(t, cfg)
		enqueue(t, d, 1, 1)
		mustShutdown(t, d)
		_, _, err := told.count(delivery.Failed)
		var failure *delivery.SendError
		if !errors.As(err, &failure) || failure.Error() != "status 200: no such event" || failure.Attempts != 1 {
			t.Errorf("error %+v", err)
		}
	})
}

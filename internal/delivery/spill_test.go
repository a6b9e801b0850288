package delivery_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// What is left at Shutdown is on disk, and the next process delivers it.
func TestSpoolTakesWhatShutdownLeaves(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]int{"down": 503, "halted": 401} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m, e := newMemory(), newOutage(code)
				d := start(t, spoolConfig(e, m))
				enqueue(t, d, 1, 500)
				begin := time.Now()
				if err := shutdownWithin(t, d, 10*time.Second); err != nil {
					t.Errorf("Shutdown: %v, though nothing is lost", err)
				}
				if took := time.Since(begin); took >= 10*time.Second {
					t.Errorf("Shutdown took %v, beyond its context", took)
				}
				checkSum(t, d)
				if c := d.Counts(); c.Spooled != 500 || c.Abandoned != 0 || c.Held != 0 || !slices.Equal(m.kept(t), upTo(500)) {
					t.Errorf("counts %+v, %d on disk", c, m.len())
				}
				if !m.closed {
					t.Error("the spool is not closed")
				}

				m.closed = false
				e.setStatus(200)
				d = start(t, spoolConfig(e, m))
				mustFlush(t, d)
				if c := d.Counts(); c.Recovered != 500 || c.Accepted != 500 || c.Sent != 500 || c.Spooled != 0 {
					t.Errorf("counts of the next: %+v", c)
				}
				if err := shutdown(t, d); err != nil || m.len() != 0 || !slices.Equal(e.delivered(), upTo(500)) {
					t.Errorf("Shutdown: %v; %d on disk, %d delivered", err, m.len(), len(e.delivered()))
				}
			})
		})
	}
}

// So is what is in flight then: a request that hangs costs nothing.
func TestSpoolTakesWhatIsInFlightAtShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		e := &endpoint{answer: func(int, []int) (delivery.Result, error) { return delivery.Result{}, errHang }}
		d := start(t, spoolConfig(e, m))
		enqueue(t, d, 1, 50)
		synctest.Wait()
		if err := shutdownWithin(t, d, time.Second); err != nil || !slices.Equal(m.kept(t), upTo(50)) {
			t.Errorf("Shutdown: %v; on disk %v", err, m.kept(t))
		}
	})
}

// Items that memory cannot hold go to disk, whatever the overflow policy, and nobody
// waits.
func TestSpoolTakesWhatMemoryCannotHold(t *testing.T) {
	t.Parallel()
	for _, overflow := range []delivery.Overflow{delivery.DropOldest, delivery.DropNewest, delivery.Block} {
		for _, automatic := range []bool{false, true} {
			t.Run(fmt.Sprint(overflow, automatic), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					m, e := newMemory(), newOutage(503)
					m.latency = 10 * time.Millisecond
					cfg := spoolConfig(e, m)
					cfg.QueueSize, cfg.Overflow = 100, overflow
					d := start(t, cfg)
					begin := time.Now()
					for id := 1; id <= 5000; id++ {
						if err := d.Enqueue(t.Context(), item(id, automatic, 0)); err != nil {
							t.Fatalf("item %d: %v", id, err)
						}
					}
					if time.Since(begin) != 0 {
						t.Error("waited for the disk")
					}
					checkSum(t, d)
					time.Sleep(time.Second)
					if c := d.Counts(); c.Held > 100 || c.Held+c.Spooled != 5000 {
						t.Errorf("counts %+v", c)
					}
					checkSum(t, d)
					e.setStatus(200)
					if err := shutdown(t, d); err != nil || !slices.Equal(e.delivered(), upTo(5000)) {
						t.Errorf("Shutdown: %v; %d delivered", err, len(e.delivered()))
					}
					if m.len() != 0 {
						t.Errorf("%d left on disk", m.len())
					}
				})
			})
		}
	}
}

// Automatic items go to disk first, then the oldest.
func TestSpoolTakesAutomaticItemsFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		cfg := spoolConfig(newOutage(503), m)
		cfg.QueueSize, cfg.RetryDelay = 100, time.Hour
		d := start(t, cfg)
		enqueue(t, d, 1, 20)
		synctest.Wait() // refused, and back in the queue
		for id := 21; id <= 100; id++ {
			_ = d.Enqueue(t.Context(), item(id, true, 0))
		}
		enqueue(t, d, 101, 190) // 80 automatic ones go, and 10 of the oldest
		time.Sleep(time.Millisecond)
		want := append(upTo(10), upTo(100)[20:]...)
		if got := m.kept(t); !slices.Equal(got, want) {
			t.Errorf("on disk %v", got)
		}
	})
}

// In a long outage, no item is in memory alone for longer than documented.
func TestSpoolTakesWhatAnOutageKeepsWaiting(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]int{"down": 503, "halted": 401} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m, e := newMemory(), newOutage(code)
				cfg := spoolConfig(e, m)
				d := start(t, cfg)
				for id := 1; id <= 600; id++ {
					_ = d.Enqueue(t.Context(), item(id, id%2 == 0, 0))
					time.Sleep(100 * time.Millisecond)
					// 5 s, and the item that was queued just now
					if c := d.Counts(); c.Held > 51 || c.Held+c.Spooled != id {
						t.Fatalf("after %d: %+v", id, c)
					}
				}
				checkSum(t, d)
				e.setStatus(200)
				time.Sleep(2 * time.Minute)
				if c := d.Counts(); c.Sent != 600 || c.Held != 0 || c.Spooled != 0 || m.len() != 0 {
					t.Errorf("when good again: %+v, %d on disk", c, m.len())
				}
				if err := shutdown(t, d); err != nil || !slices.Equal(e.delivered(), upTo(600)) {
					t.Errorf("Shutdown: %v; %d delivered", err, len(e.delivered()))
				}
			})
		})
	}
}

// That also holds for events that come now and then while others wait on disk.
func TestSpoolTakesARareEventInAnOutage(t *testing.T) {
	t.Parallel()
	failures := map[string]*delivery.SendError{
		"down": {StatusCode: 503, RetryAfter: 5 * time.Minute}, "halted": {StatusCode: 401},
	}
	for name, failure := range failures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := newMemory()
				e := &endpoint{answer: func(int, []int) (delivery.Result, error) { return delivery.Result{}, failure }}
				d := start(t, spoolConfig(e, m))
				for id := 1; id <= 20; id++ {
					enqueue(t, d, id, id)
					time.Sleep(5*time.Second + 10*time.Millisecond)
					if got := m.len(); got < id {
						t.Fatalf("%d of %d events are on disk", got, id)
					}
				}
			})
		})
	}
}

// While all is well, the disk is not used.
func TestSpoolIsIdleInGoodTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		d := start(t, spoolConfig(newOutage(200), m))
		for id := range 1000 {
			enqueue(t, d, id, id)
			time.Sleep(10 * time.Millisecond)
		}
		if err := shutdown(t, d); err != nil || m.commits != 0 {
			t.Errorf("Shutdown: %v; %d commits", err, m.commits)
		}
	})
}

// A disk that cannot keep up costs events, which are counted and reported by a reason
// of their own.
func TestSpoolTooSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told reports
		m := newMemory()
		m.latency = time.Hour
		cfg := spoolConfig(newOutage(503), m)
		cfg.QueueSize, cfg.OnReport = 100, told.add
		log := keepLog(&cfg)
		d := start(t, cfg)
		const all = 120_000
		enqueue(t, d, 1, all)
		c := d.Counts()
		if c.SpoolBusy == 0 || c.Evicted != 0 || c.HeldBytes > 17<<20 {
			t.Errorf("counts %+v", c)
		}
		checkSum(t, d)
		synctest.Wait()
		items, untold, err := told.count(delivery.SpoolBusy)
		if uint64(items+untold) != c.SpoolBusy || !errors.Is(err, delivery.ErrSpoolBusy) {
			t.Errorf("told of %d and %d, %v", items, untold, err)
		}
		begin := time.Now()
		if err := shutdownWithin(t, d, 10*time.Second); err == nil || !strings.Contains(err.Error(), "not delivered") {
			t.Errorf("Shutdown: %v", err)
		}
		if took := time.Since(begin); took > 13*time.Second {
			t.Errorf("Shutdown took %v", took)
		}
		checkSum(t, d)
		if !strings.Contains(log.String(), "spool too slow, events dropped") {
			t.Errorf("log: %s", log.String())
		}
		time.Sleep(10 * time.Hour) // the disk is back, and no item is counted twice
		checkSum(t, d)
	})
}

// What is written says what the next process must know of an event.
func TestWhatIsWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		d := start(t, spoolConfig(newOutage(503), m))
		enqueue(t, d, 1, 1)
		if err := d.Enqueue(t.Context(), item(2, true, 0)); err != nil {
			t.Error(err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		tries := m.records[1].Attempts
		for key, r := range m.records {
			if r.Key != key || r.Automatic != (key == 2) || r.Attempts == 0 || r.Attempts != tries || !bytes.Equal(r.Body, item(int(key), false, 0).Body) {
				t.Errorf("record %d: %+v", key, r)
			}
		}
		if len(m.records) != 2 {
			t.Errorf("%d records", len(m.records))
		}
	})
}

package delivery_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				if err := d.Shutdown(ctx); err != nil {
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
				if err := d.Flush(t.Context()); err != nil {
					t.Error(err)
				}
				if c := d.Counts(); c.Recovered != 500 || c.Accepted != 500 || c.Sent != 500 || c.Spooled != 0 {
					t.Errorf("counts of the next: %+v", c)
				}
				if err := shutdown(t, d); err != nil || m.len() != 0 || !slices.Equal(e.delivered(), upTo(500)) {
					t.Errorf("Shutdown: %v; %d on disk, %d delivered", err, m.len(), len(e.delivered()))
				}
				checkSum(t, d)
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
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := d.Shutdown(ctx); err != nil || !slices.Equal(m.kept(t), upTo(50)) {
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
					checkSum(t, d)
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
		var log bytes.Buffer
		m := newMemory()
		m.latency = time.Hour
		cfg := spoolConfig(newOutage(503), m)
		cfg.QueueSize, cfg.OnReport = 100, told.add
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
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
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := d.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), "not delivered") {
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

// Records that make room on a full disk are counted and reported, and Flush does not
// wait for them.
func TestSpoolFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told reports
		m, e := newMemory(), newOutage(503)
		m.max, m.latency = 1000, time.Millisecond
		cfg := spoolConfig(e, m)
		cfg.QueueSize, cfg.OnReport = 100, told.add
		d := start(t, cfg)
		enqueue(t, d, 1, 5000)
		flushed := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			flushed <- d.Flush(ctx)
		}()
		time.Sleep(10 * time.Second)
		c := d.Counts()
		if c.SpoolFull < 3900 || c.Spooled > 1000 || m.len() > 1000 {
			t.Errorf("counts %+v, %d on disk", c, m.len())
		}
		checkSum(t, d)
		items, untold, err := told.count(delivery.SpoolFull)
		if uint64(items+untold) != c.SpoolFull || !errors.Is(err, delivery.ErrSpoolFull) {
			t.Errorf("told of %d and %d, %v", items, untold, err)
		}
		e.setStatus(200)
		if err := <-flushed; err != nil {
			t.Errorf("Flush: %v", err)
		}
		if err := shutdown(t, d); err != nil {
			t.Error(err)
		}
		checkSum(t, d)
		if c := d.Counts(); c.Spooled != 0 || c.Sent+c.SpoolFull != 5000 {
			t.Errorf("counts %+v", c)
		}
	})
}

// Replay begins with the oldest records, and new events do not wait for it.
func TestReplayIsPaced(t *testing.T) {
	t.Parallel()
	for _, senders := range []int{1, 2} {
		t.Run(fmt.Sprint(senders), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const old = 20_000
				m := newMemory(recordsUpTo(old)...)
				e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
					time.Sleep(100 * time.Millisecond)
					return ok(len(ids))
				}}
				cfg := spoolConfig(e, m)
				cfg.Senders = senders
				d := start(t, cfg)
				synctest.Wait()
				if seen := e.seen(); len(seen) == 0 || seen[0].ids[0] != 1 {
					t.Error("replay does not begin with the oldest at once")
				}
				begin := time.Now()
				for id := old + 1; id <= old+200; id++ { // 20 of them start a send
					enqueue(t, d, id, id)
				}
				arrived := func() (n int) {
					for _, id := range e.ids() {
						if id > old {
							n++
						}
					}
					return n
				}
				for arrived() < 200 {
					time.Sleep(10 * time.Millisecond)
				}
				if took := time.Since(begin); took > 500*time.Millisecond {
					t.Errorf("new events waited %v for old ones", took)
				}
				if err := d.Flush(t.Context()); err != nil {
					t.Error(err)
				}
				ids := slices.DeleteFunc(e.ids(), func(id int) bool { return id > old })
				if !slices.Equal(ids, upTo(old)) {
					t.Error("not each old event once, in order")
				}
				if err := shutdown(t, d); err != nil || m.len() != 0 {
					t.Errorf("Shutdown: %v; %d on disk", err, m.len())
				}
				checkSum(t, d)
			})
		})
	}
}

// A record that is larger than memory may be now, as an earlier process had more, is
// delivered, and holds up no others.
func TestReplayOfALargeRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(recordsUpTo(3)...)
		m.records[2] = delivery.Record{Key: 2, Body: item(2, false, 5000).Body}
		e := newOutage(200)
		cfg := spoolConfig(e, m)
		cfg.QueueBytes = 1000
		d := start(t, cfg)
		if err := shutdown(t, d); err != nil || !slices.Equal(e.delivered(), upTo(3)) {
			t.Errorf("Shutdown: %v; delivered %v", err, e.delivered())
		}
	})
}

// At Shutdown, replay need not leave a sender free.
func TestReplayTakesAllSendersAtShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(recordsUpTo(4000)...)
		e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
			time.Sleep(100 * time.Millisecond)
			return ok(len(ids))
		}}
		d := start(t, spoolConfig(e, m))
		begin := time.Now()
		if err := shutdown(t, d); err != nil || m.len() != 0 {
			t.Errorf("Shutdown: %v; %d on disk", err, m.len())
		}
		if took := time.Since(begin); took > 2200*time.Millisecond || e.most != 2 {
			t.Errorf("40 requests of 100 ms took %v, %d at the same time", took, e.most)
		}
	})
}

// An event that Klime refuses by itself is removed from the spool and reported.
func TestPoisonLeavesTheSpool(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told reports
		m := newMemory(recordsUpTo(300)...)
		e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
			if slices.Contains(ids, 37) {
				return status(400)
			}
			return ok(len(ids))
		}}
		cfg := spoolConfig(e, m)
		cfg.OnReport = told.add
		d := start(t, cfg)
		if err := d.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if c := d.Counts(); c.Sent != 299 || c.Failed != 1 {
			t.Errorf("counts %+v", c)
		}
		if err := shutdown(t, d); err != nil || m.len() != 0 {
			t.Errorf("Shutdown: %v; %d on disk", err, m.len())
		}
		if items, _, _ := told.count(delivery.Failed); items != 1 {
			t.Errorf("told of %d", items)
		}
	})
}

// Nothing is removed from disk before it has been delivered.
func TestNothingIsRemovedTooEarly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, e := newMemory(recordsUpTo(1000)...), newOutage(503)
		d := start(t, spoolConfig(e, m))
		time.Sleep(10 * time.Minute)
		if m.len() != 1000 {
			t.Errorf("%d on disk in an outage", m.len())
		}
		e.setStatus(200)
		for d.Counts().Sent < 1000 {
			if sent := d.Counts().Sent; m.len() < 1000-int(sent) {
				t.Fatalf("%d on disk, %d sent", m.len(), sent)
			}
			time.Sleep(time.Millisecond)
		}
		_ = shutdown(t, d)
	})
}

// While the disk fails, events are kept in memory, and one line is logged. When the disk
// works again, it is used again.
func TestSpoolFails(t *testing.T) {
	t.Parallel()
	for name, applied := range map[string]bool{"nothing is written": false, "it is written all the same": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				m, e := newMemory(), newOutage(503)
				cfg := spoolConfig(e, m)
				cfg.QueueSize = 100
				cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
				d := start(t, cfg)
				enqueue(t, d, 1, 200)
				time.Sleep(10 * time.Second)
				m.set(func(m *memory) { m.broken, m.applyBad = true, applied })
				enqueue(t, d, 201, 400)
				time.Sleep(time.Minute)
				c := d.Counts()
				if !c.SpoolDown || c.Evicted == 0 || c.Spooled > 200 {
					t.Errorf("while it fails: %+v", c)
				}
				checkSum(t, d)
				m.set(func(m *memory) { m.broken = false })
				time.Sleep(10 * time.Second)
				enqueue(t, d, 401, 600)
				time.Sleep(10 * time.Second)
				if c := d.Counts(); c.SpoolDown || c.Held != 0 || c.Evicted != 100 {
					t.Errorf("when it works again: %+v", c)
				}
				checkSum(t, d)
				e.setStatus(200)
				if err := shutdown(t, d); err != nil || m.len() != 0 {
					t.Errorf("Shutdown: %v; %d on disk", err, m.len())
				}
				checkSum(t, d)
				if c := d.Counts(); c.Sent != 500 || len(slices.Compact(e.delivered())) != 500 {
					t.Errorf("counts %+v, %d delivered", c, len(e.delivered()))
				}
				if n, m := strings.Count(log.String(), "spool fails"), strings.Count(log.String(), "spool works again"); n != 1 || m != 1 {
					t.Errorf("log: %s", log.String())
				}
			})
		})
	}
}

// Items that come back from a disk that fails, and for which memory has no room, are
// evicted: their owners are told, and Flush does not wait for them.
func TestSpoolFailsBesideAFullMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, e, told := newMemory(), newOutage(503), newTally()
		m.failing, m.latency = true, time.Second
		cfg := spoolConfig(e, m)
		cfg.QueueSize, cfg.OnOutcome = 100, told.add
		d := start(t, cfg)
		enqueueOwned(t, d, 1, 200)
		time.AfterFunc(2*time.Second, func() { e.setStatus(200) }) // the first commit has failed
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := d.Flush(ctx); err != nil {
			t.Error(err)
		}
		c := d.Counts()
		evicted, sent := told.of(delivery.Evicted), told.of(delivery.Sent)
		if evicted == 0 || evicted != int(c.Evicted) || sent != int(c.Sent) || evicted+sent != 200 {
			t.Errorf("told of %d evicted and %d sent, counts %+v", evicted, sent, c)
		}
	})
}

// A fault that shows only when Shutdown writes what is left costs nothing if the disk is
// good again.
func TestSpoolFailsAtShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.failing = true
		d := start(t, spoolConfig(newOutage(503), m))
		enqueue(t, d, 1, 50)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := d.Shutdown(ctx); err != nil || !slices.Equal(m.kept(t), upTo(50)) {
			t.Errorf("Shutdown: %v; %d on disk", err, m.len())
		}
		if c := d.Counts(); c.Spooled != 50 || c.SpoolDown {
			t.Errorf("counts %+v", c)
		}
	})
}

// Items that were read from disk, and whose records had to go since, are reported if they
// cannot be written again.
func TestShutdownReportsWhatIsNoLongerOnDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(recordsUpTo(20)...)
		m.max = 20
		cfg := spoolConfig(newOutage(401), m)
		cfg.WriteAhead = true
		var told []int
		cfg.OnReport = func(r delivery.Report) {
			if r.Untold > 0 {
				t.Errorf("%d items reported without their bodies: %v", r.Untold, r.Err)
			}
			for _, it := range r.Items {
				id, err := idIn(it.Body)
				if err != nil {
					t.Error(err)
				}
				told = append(told, id)
			}
		}
		d := start(t, cfg)
		synctest.Wait() // all are in memory too
		enqueue(t, d, 21, 30)
		m.set(func(m *memory) { m.broken = true })
		if err := d.Enqueue(t.Context(), item(31, false, 0)); !errors.Is(err, delivery.ErrNotDurable) {
			t.Errorf("on a broken disk: %v", err)
		}
		if err := shutdown(t, d); err == nil {
			t.Error("Shutdown says that nothing is lost")
		}
		if want := append(upTo(10), 31); !slices.Equal(told, want) {
			t.Errorf("told of %v, want %v", told, want)
		}
	})
}

// A full disk takes nothing, but what is on it is delivered and removed.
func TestSpoolOnAFullDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, e := newMemory(), newOutage(503)
		cfg := spoolConfig(e, m)
		cfg.QueueSize = 1000
		d := start(t, cfg)
		enqueue(t, d, 1, 5000)
		time.Sleep(time.Minute)
		m.set(func(m *memory) { m.full = true })
		enqueue(t, d, 5001, 5100)
		time.Sleep(time.Minute)
		if c := d.Counts(); !c.SpoolDown || c.Held != 100 || c.Spooled != 5000 {
			t.Errorf("when it is full: %+v", c)
		}
		checkSum(t, d)
		e.setStatus(200)
		time.Sleep(5 * time.Minute)
		if c := d.Counts(); c.Sent != 5100 || m.len() != 0 || !c.SpoolDown {
			t.Errorf("when Klime is back: %+v, %d on disk", c, m.len())
		}
		m.set(func(m *memory) { m.full = false })
		time.Sleep(10 * time.Second)
		if c := d.Counts(); c.SpoolDown {
			t.Errorf("when there is room again: %+v", c)
		}
		if err := shutdown(t, d); err != nil {
			t.Error(err)
		}
	})
}

// A disk may be so full that not even a record can be removed. What is on it is delivered
// all the same, once, and removed when there is room.
func TestSpoolOnADiskWithoutRoomToRemove(t *testing.T) {
	t.Parallel()
	for name, removable := range map[string]int{"none": 0, "few": 7} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m, e := newMemory(recordsUpTo(9000)...), newOutage(200)
				m.tight, m.removable = true, removable
				d := start(t, spoolConfig(e, m))
				time.Sleep(5 * time.Minute)
				if c := d.Counts(); c.Sent != 9000 || !c.SpoolDown || !slices.Equal(e.delivered(), upTo(9000)) {
					t.Errorf("on the full disk: %+v", c)
				}
				if removable > 0 && m.len() == 9000 {
					t.Error("nothing has been removed")
				}
				m.set(func(m *memory) { m.tight = false })
				time.Sleep(30 * time.Second)
				if c := d.Counts(); c.SpoolDown || m.len() != 0 {
					t.Errorf("when there is room again: %+v, %d on disk", c, m.len())
				}
			})
		})
	}
}

// A spool that comes back empty costs what was on disk alone, and no more. A caller who
// waits for that gets an error, when the rest is delivered.
func TestSpoolIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told reports
		m, e := newMemory(), newOutage(503)
		cfg := spoolConfig(e, m)
		cfg.QueueSize, cfg.OnReport = 1000, told.add
		d := start(t, cfg)
		enqueue(t, d, 1, 3000)
		time.Sleep(time.Minute)
		m.set(func(m *memory) { m.broken, m.lost = true, true })
		enqueue(t, d, 3001, 3001)
		time.Sleep(time.Minute) // it is old enough now to be written
		flushed := make(chan error, 1)
		go func() { flushed <- d.Flush(context.Background()) }()
		synctest.Wait()
		m.set(func(m *memory) { m.broken = false })
		time.Sleep(10 * time.Second)
		checkSum(t, d)
		c := d.Counts()
		if c.SpoolLost == 0 || c.SpoolLost > 3000 || len(flushed) > 0 {
			t.Errorf("counts %+v, %d Flushes over", c, len(flushed))
		}
		e.setStatus(200)
		if err := <-flushed; !errors.Is(err, delivery.ErrSpoolLost) || d.Counts().Sent+c.SpoolLost != 3001 {
			t.Errorf("Flush: %v, counts %+v", err, d.Counts())
		}
		if err := shutdown(t, d); err != nil || m.len() != 0 {
			t.Errorf("Shutdown: %v; %d on disk", err, m.len())
		}
		checkSum(t, d)
		if _, untold, err := told.count(delivery.SpoolLost); uint64(untold) != c.SpoolLost || !errors.Is(err, delivery.ErrSpoolLost) {
			t.Errorf("told of %d, %v", untold, err)
		}
		if c := d.Counts(); c.Sent+c.SpoolLost != 3001 || c.Spooled != 0 {
			t.Errorf("counts %+v", c)
		}
	})
}

// A Flush that ends early after that tells of both, and so does Shutdown.
func TestFlushTellsOfALossAndMore(t *testing.T) {
	t.Parallel()
	type call = func(*delivery.Deliverer, context.Context) error
	for i, call := range []call{(*delivery.Deliverer).Flush, (*delivery.Deliverer).Flush, (*delivery.Deliverer).Shutdown, (*delivery.Deliverer).Shutdown} {
		code := []int{503, 401}[i%2]
		synctest.Test(t, func(t *testing.T) {
			m, e := newMemory(recordsUpTo(3000)...), newOutage(503)
			cfg := spoolConfig(e, m)
			cfg.QueueSize = 1000
			d := start(t, cfg)
			m.set(func(m *memory) { m.failing, m.lost = true, true })
			enqueue(t, d, 3001, 3050)
			time.AfterFunc(15*time.Second, func() { e.setStatus(code) })
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			var failure *delivery.SendError
			err := call(d, ctx)
			if !errors.Is(err, delivery.ErrSpoolLost) || !errors.As(err, &failure) || failure.StatusCode != code {
				t.Errorf("%d: %v", i, err)
			}
			m.set(func(m *memory) { m.failing = false })
			e.setStatus(200)
		})
	}
}

// A spool that turns out to be damaged at the start is made anew at once. What was in it
// is counted and told.
func TestSpoolIsLostAtTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told reports
		m := newMemory(recordsUpTo(300)...)
		m.startBad, m.lost = true, true
		cfg := spoolConfig(newOutage(503), m)
		cfg.WriteAhead, cfg.OnReport = true, told.add
		d := start(t, cfg)
		enqueue(t, d, 1, 50)
		if c := d.Counts(); c.Recovered != 300 || c.SpoolLost != 300 || c.Spooled != 50 || c.SpoolDown {
			t.Errorf("counts %+v", c)
		}
		if err := shutdown(t, d); err != nil || !slices.Equal(m.kept(t), upTo(50)) {
			t.Errorf("Shutdown: %v; %d on disk", err, m.len())
		}
		if _, untold, err := told.count(delivery.SpoolLost); untold != 300 || !errors.Is(err, delivery.ErrSpoolLost) {
			t.Errorf("told of %d, %v", untold, err)
		}
	})
}

// A spool that does not work at the start is tried again.
func TestSpoolFailsAtTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		m := newMemory()
		m.startBad, m.broken = true, true
		cfg := spoolConfig(newOutage(503), m)
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		d := start(t, cfg)
		if c := d.Counts(); !c.SpoolDown {
			t.Errorf("counts %+v", c)
		}
		m.set(func(m *memory) { m.broken = false })
		time.Sleep(6 * time.Second)
		if c := d.Counts(); c.SpoolDown {
			t.Errorf("when it works: %+v", c)
		}
		enqueue(t, d, 1, 50)
		if err := shutdown(t, d); err != nil || m.len() != 50 {
			t.Errorf("Shutdown: %v; %d on disk", err, m.len())
		}
		if n, m := strings.Count(log.String(), "spool fails"), strings.Count(log.String(), "spool works again"); n != 1 || m != 1 {
			t.Errorf("log: %s", log.String())
		}
	})
}

// Shutdown goes on delivering what is in memory when the spool is lost meanwhile.
func TestShutdownOutlastsTheSpool(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, e := newMemory(recordsUpTo(3000)...), newOutage(503)
		cfg := spoolConfig(e, m)
		cfg.QueueSize = 1000
		d := start(t, cfg)
		m.set(func(m *memory) { m.failing, m.lost = true, true })
		enqueue(t, d, 3001, 3050)
		time.AfterFunc(20*time.Second, func() { e.setStatus(200) })
		err := shutdown(t, d)
		c := d.Counts()
		if c.Sent < 50 || c.SpoolLost == 0 || c.Sent+c.SpoolLost != 3050 {
			t.Errorf("counts %+v", c)
		}
		if !errors.Is(err, delivery.ErrSpoolLost) || !strings.Contains(err.Error(), fmt.Sprint(c.SpoolLost, " events")) {
			t.Errorf("Shutdown: %v, counts %+v", err, c)
		}
	})
}

// What is lost with the spool during Shutdown is in its error, with what was in memory
// too.
func TestSpoolIsLostAtShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told reports
		m, e := newMemory(), newOutage(503)
		m.closeBad = true
		cfg := spoolConfig(e, m)
		cfg.WriteAhead, cfg.QueueSize, cfg.OnReport = true, 100, told.add
		d := start(t, cfg)
		enqueue(t, d, 1, 500)
		err := shutdown(t, d)
		if !errors.Is(err, delivery.ErrSpoolLost) || !strings.Contains(err.Error(), "500 events") {
			t.Errorf("Shutdown: %v", err)
		}
		c := d.Counts()
		if c.SpoolLost < 400 || c.SpoolLost+c.Abandoned != 500 || c.Spooled != 0 || c.Held != 0 {
			t.Errorf("counts %+v", c)
		}
		for outcome, n := range map[delivery.Outcome]uint64{delivery.SpoolLost: c.SpoolLost, delivery.Abandoned: c.Abandoned} {
			if items, untold, _ := told.count(outcome); uint64(items+untold) != n {
				t.Errorf("told of %d and %d, counts %+v", items, untold, c)
			}
		}
	})
}

// Items whose records are still being moved when Shutdown must return are lost if the
// process ends then. Its error says so, but they are not counted.
func TestShutdownBeforeTheSpoolIsReady(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spoil  func(*memory)
		undone int
		atRisk bool
	}{
		"closed in time": {func(m *memory) { m.move = time.Second }, 0, false},
		"closed late":    {func(m *memory) { m.move = time.Minute }, 0, true},
		"reopened late":  {func(m *memory) { m.move, m.failing = time.Minute, true }, 1, true},
		"written late":   {func(m *memory) { m.latency = time.Minute }, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				m := newMemory(recordsUpTo(300)...)
				test.spoil(m)
				cfg := spoolConfig(newOutage(503), m)
				cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
				d := start(t, cfg)
				enqueue(t, d, 301, 301)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				begin := time.Now()
				err := d.Shutdown(ctx)
				if took := time.Since(begin); took > 13*time.Second {
					t.Errorf("Shutdown took %v", took)
				}
				text, onDisk := fmt.Sprint(err), 301-test.undone
				if (err != nil) != (test.undone > 0 || test.atRisk) || strings.HasPrefix(text, "1 event not delivered") != (test.undone > 0) ||
					strings.HasSuffix(text, fmt.Sprint(onDisk, " events on disk may be lost")) != test.atRisk {
					t.Errorf("Shutdown: %v", err)
				}
				if waits := strings.Contains(log.String(), "events wait in the spool"); waits == test.atRisk {
					t.Errorf("log: %s", log.String())
				}
				if c := d.Counts(); c.Spooled != onDisk || c.SpoolLost != 0 || c.Abandoned != uint64(test.undone) {
					t.Errorf("counts %+v", c)
				}
				time.Sleep(5 * time.Minute) // the keeper ends
			})
		})
	}
}

// Damaged and missing records are counted, and hold up no others.
func TestDamagedRecords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		records := recordsUpTo(500)
		for i := 0; i < 500; i += 50 {
			records[i].Damaged = true
		}
		m, e := newMemory(records...), newOutage(200)
		d := start(t, spoolConfig(e, m))
		m.set(func(m *memory) { delete(m.records, 499) })
		if err := d.Flush(t.Context()); err != nil && !errors.Is(err, delivery.ErrSpoolLost) {
			t.Error(err)
		}
		if err := shutdown(t, d); err != nil || m.len() != 0 {
			t.Errorf("Shutdown: %v; %d on disk", err, m.len())
		}
		if c := d.Counts(); c.Sent != 489 || c.SpoolLost != 11 {
			t.Errorf("counts %+v", c)
		}
		checkSum(t, d)
	})
}

// With write-ahead an item is on disk when Enqueue returns. Callers that wait at the
// same time share a commit.
func TestWriteAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, e := newMemory(), newOutage(200)
		m.latency = 5 * time.Millisecond
		cfg := spoolConfig(e, m)
		cfg.WriteAhead = true
		d := start(t, cfg)
		begin := time.Now()
		var callers sync.WaitGroup
		for id := 1; id <= 1000; id++ {
			callers.Go(func() {
				if err := d.Enqueue(t.Context(), item(id, false, 0)); err != nil {
					t.Error(err)
				}
				if !slices.Contains(e.delivered(), id) && !slices.Contains(m.kept(t), id) {
					t.Errorf("Enqueue has returned, and %d is nowhere", id)
				}
			})
		}
		callers.Wait()
		if took := time.Since(begin); took > 15*time.Millisecond {
			t.Errorf("1000 callers waited %v: more than two commits", took)
		}
		if c := d.Counts(); c.Held != 0 {
			t.Errorf("counts %+v", c)
		}
		if err := d.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		checkSum(t, d)
		if err := shutdown(t, d); err != nil || m.len() != 0 || !slices.Equal(e.delivered(), upTo(1000)) {
			t.Errorf("Shutdown: %v; %d on disk, %d delivered", err, m.len(), len(e.delivered()))
		}
		checkSum(t, d)
	})
}

// A context that has ended does not keep an item from being written.
func TestWriteAheadOutlastsItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.latency = 5 * time.Millisecond
		cfg := spoolConfig(newOutage(503), m)
		cfg.WriteAhead = true
		d := start(t, cfg)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := d.Enqueue(ctx, item(1, false, 0)); err != nil || m.len() != 1 {
			t.Errorf("Enqueue: %v; %d on disk", err, m.len())
		}
		_ = shutdown(t, d)
		if err := d.Enqueue(t.Context(), item(2, false, 0)); !errors.Is(err, delivery.ErrClosed) || d.Counts().Late != 1 {
			t.Errorf("after Shutdown: %v; counts %+v", err, d.Counts())
		}
		checkSum(t, d)
	})
}

// Items that memory cannot hold are on disk alone, and are delivered in their turn.
func TestWriteAheadBeyondMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, e := newMemory(), newOutage(503)
		cfg := spoolConfig(e, m)
		cfg.WriteAhead, cfg.QueueSize = true, 100
		d := start(t, cfg)
		enqueue(t, d, 1, 2000)
		if c := d.Counts(); c.Spooled != 2000 || c.Held != 0 {
			t.Errorf("counts %+v", c)
		}
		for id := 2001; id <= 2200; id++ { // these have items that are on disk leave memory
			_ = d.Enqueue(t.Context(), item(id, true, 0))
		}
		checkSum(t, d)
		e.setStatus(200)
		if err := shutdown(t, d); err != nil || m.len() != 0 || !slices.Equal(e.delivered(), upTo(2200)) {
			t.Errorf("Shutdown: %v; %d on disk, %d delivered", err, m.len(), len(e.delivered()))
		}
		checkSum(t, d)
	})
}

// If the disk does not work, the error says that the item is in memory only, and why, and
// it is sent.
func TestWriteAheadWithoutADisk(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spoil func(*memory)
		why   error
	}{
		"broken": {func(m *memory) { m.broken = true }, errDisk},
		"full":   {func(m *memory) { m.full = true }, errDisk},
		"hung":   {func(m *memory) { m.latency = 10 * time.Second }, delivery.ErrSpoolBusy},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m, e := newMemory(), newOutage(200)
				cfg := spoolConfig(e, m)
				cfg.WriteAhead = true
				d := start(t, cfg)
				m.set(test.spoil)
				begin := time.Now()
				for id := 1; id <= 10; id++ {
					if err := d.Enqueue(t.Context(), item(id, false, 0)); !errors.Is(err, delivery.ErrNotDurable) || !errors.Is(err, test.why) {
						t.Errorf("item %d: %v", id, err)
					}
				}
				if took := time.Since(begin); took > 2*time.Second {
					t.Errorf("waited %v", took)
				}
				if c := d.Counts(); !c.SpoolDown || c.Spooled != 0 {
					t.Errorf("counts %+v", c)
				}
				m.set(func(m *memory) { m.broken, m.full, m.latency = false, false, 0 })
				time.Sleep(time.Minute)
				if c := d.Counts(); c.SpoolDown || c.Sent != 10 {
					t.Errorf("when it works again: %+v", c)
				}
				if err := d.Enqueue(t.Context(), item(11, false, 0)); err != nil {
					t.Error(err)
				}
				if err := shutdown(t, d); err != nil || !slices.Equal(e.delivered(), upTo(11)) {
					t.Errorf("Shutdown: %v; delivered %v", err, e.delivered())
				}
				checkSum(t, d)
			})
		})
	}
}

// If memory has no room for it either, the error says that instead.
func TestWriteAheadWithoutADiskOrRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.failing, m.latency = true, 500*time.Millisecond // as long as they wait for one commit
		cfg := spoolConfig(newOutage(503), m)
		cfg.WriteAhead, cfg.QueueSize = true, 10
		d := start(t, cfg)
		results := make(chan error)
		for id := range 20 {
			go func() { results <- d.Enqueue(t.Context(), item(id, false, 0)) }()
		}
		full, inMemory := 0, 0
		for range 20 {
			switch err := <-results; {
			case errors.Is(err, delivery.ErrQueueFull):
				full++
			case errors.Is(err, delivery.ErrNotDurable):
				inMemory++
			default:
				t.Error(err)
			}
		}
		if c := d.Counts(); full == 0 || full != int(c.Evicted) || inMemory != c.Held {
			t.Errorf("%d evicted and %d in memory, counts %+v", full, inMemory, c)
		}
	})
}

// An item that is read from disk gets its token back.
func TestTokensOutlastTheDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		outcomes := map[uint64][]delivery.Outcome{}
		m, e := newMemory(), newOutage(503)
		m.max = 50
		cfg := spoolConfig(e, m)
		cfg.OnOutcome = func(token uint64, outcome delivery.Outcome) {
			mu.Lock()
			defer mu.Unlock()
			outcomes[token] = append(outcomes[token], outcome)
		}
		d := start(t, cfg)
		for id := 1; id <= 60; id++ {
			it := item(id, false, 0)
			it.Token = uint64(id)
			_ = d.Enqueue(t.Context(), it)
		}
		time.Sleep(time.Minute)
		e.setStatus(200)
		if err := shutdown(t, d); err != nil {
			t.Error(err)
		}
		c := d.Counts()
		sent, full := 0, 0
		for token, o := range outcomes {
			switch {
			case len(o) != 1:
				t.Errorf("token %d: %v", token, o)
			case o[0] == delivery.Sent:
				sent++
			case o[0] == delivery.SpoolFull:
				full++
			}
		}
		if uint64(sent) != c.Sent || uint64(full) != c.SpoolFull || sent+full != 60 {
			t.Errorf("%d sent, %d dropped; counts %+v", sent, full, c)
		}
	})
}

// The owner of a token learns that its item was lost with the spool, however that shows.
func TestTokensEndWithTheSpool(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*memory){
		"it comes back empty": func(m *memory) { m.failing, m.lost = true, true },
		"records are gone":    func(m *memory) { clear(m.records) },
		"records are damaged": func(m *memory) {
			for key, r := range m.records {
				r.Damaged = true
				m.records[key] = r
			}
		},
		"lost when closed": func(m *memory) { m.closeBad = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m, e, told := newMemory(), newOutage(503), newTally()
				cfg := spoolConfig(e, m)
				cfg.QueueSize, cfg.OnOutcome = 100, told.add
				d := start(t, cfg)
				enqueueOwned(t, d, 1, 500)
				time.Sleep(20 * time.Second) // all are on disk
				m.set(spoil)
				enqueueOwned(t, d, 501, 501)
				time.Sleep(20 * time.Second)
				if !m.closeBad {
					e.setStatus(200)
				}
				_ = shutdown(t, d)
				c := d.Counts()
				lost, sent := told.of(delivery.SpoolLost), told.of(delivery.Sent)
				if lost == 0 || lost != int(c.SpoolLost) || sent != int(c.Sent) || lost+sent != 501 {
					t.Errorf("told of %d lost and %d sent, counts %+v", lost, sent, c)
				}
			})
		})
	}
}

// How many tokens of items on disk are kept is bounded. The owners of those that are not
// kept are told that their items are evicted, once, though these are delivered. With
// write-ahead, items also lose their tokens when they leave memory for others.
func TestTokensAreBounded(t *testing.T) {
	t.Parallel()
	for _, writeAhead := range []bool{false, true} {
		t.Run(fmt.Sprintf("write-ahead %v", writeAhead), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { testTokensAreBounded(t, writeAhead) })
		})
	}
}

func testTokensAreBounded(t *testing.T, writeAhead bool) {
	t.Helper()
	const most, over = 10_000, 500
	m, e, told := newMemory(), newOutage(503), newTally()
	cfg := spoolConfig(e, m)
	cfg.QueueSize, cfg.OnOutcome, cfg.WriteAhead = 100, told.add, writeAhead
	d := start(t, cfg)
	enqueueOwned(t, d, 1, most+over)
	for id := range cfg.QueueSize {
		if err := d.Enqueue(t.Context(), item(most+over+id+1, true, 0)); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(time.Minute)
	evicted := told.of(delivery.Evicted)
	if c := d.Counts(); evicted < over-cfg.QueueSize || evicted > over || c.Evicted != 0 {
		t.Errorf("told of %d evicted, counts %+v", evicted, c)
	}
	e.setStatus(200)
	if err := shutdown(t, d); err != nil {
		t.Error(err)
	}
	if c := d.Counts(); c.Sent != most+over+100 || told.of(delivery.Sent) != most+over-evicted || told.of(delivery.Evicted) != evicted {
		t.Errorf("told of %d sent and %d evicted, counts %+v", told.of(delivery.Sent), told.of(delivery.Evicted), c)
	}
}

// After random faults of the disk and of Klime, concurrent callers and a recovery, the
// counts add up, and all items that were acknowledged as durable have arrived.
func TestSpoolAccountBalances(t *testing.T) {
	t.Parallel()
	for _, ahead := range []bool{false, true} {
		rejected := 0
		for seed := range 8 {
			synctest.Test(t, func(t *testing.T) { spoolStorm(t, ahead, seed, nil) })
			synctest.Test(t, func(t *testing.T) { rejected += spoolStorm(t, ahead, seed, atMost(100)) })
		}
		if rejected == 0 {
			t.Error("no full spool has rejected an item")
		}
	}
}

func spoolStorm(t *testing.T, ahead bool, seed int, fits func(records, size int, automatic bool) bool) (rejected int) {
	t.Helper()
	m, e := newMemory(), newOutage(200)
	m.latency = time.Millisecond
	cfg := spoolConfig(e, m)
	cfg.QueueSize, cfg.WriteAhead, cfg.Fits = 300, ahead, fits
	d := start(t, cfg)
	var mu sync.Mutex
	durable := map[int]bool{}
	var callers sync.WaitGroup
	for g := range 20 {
		callers.Go(func() {
			for i := range 200 {
				id := 1 + g*200 + i
				err := d.Enqueue(t.Context(), item(id, id%3 == 0, 0))
				mu.Lock()
				durable[id] = err == nil && ahead && id%3 != 0
				mu.Unlock()
				time.Sleep(time.Duration(id*7919%40) * time.Millisecond)
			}
		})
	}
	codes := []int{200, 503, 401, 429, 200, 503}
	for step := range 20 {
		e.setStatus(codes[(seed*5+step*7)%len(codes)])
		m.set(func(m *memory) {
			m.broken, m.applyBad = (seed+step)%3 == 0, (seed+step)%6 == 0
			m.latency = time.Duration((seed+step)%4*500) * time.Millisecond
		})
		time.Sleep(time.Duration(200+(seed*31+step*17)%300) * time.Millisecond)
		checkSum(t, d)
	}
	callers.Wait()
	e.setStatus(200)
	m.set(func(m *memory) { m.broken, m.latency = false, 0 })
	time.Sleep(10 * time.Minute)
	if err := d.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	checkSum(t, d)
	arrived := slices.Compact(e.delivered())
	c := d.Counts()
	if c.Spooled != 0 || c.Held != 0 || c.Sent != uint64(len(arrived)) || len(arrived)+int(c.Evicted+c.SpoolBusy+c.SpoolFull) != 4000 {
		t.Errorf("ahead %v, seed %d: %+v, %d arrived", ahead, seed, c, len(arrived))
	}
	for id, is := range durable {
		if _, has := slices.BinarySearch(arrived, id); is && !has {
			t.Errorf("ahead %v, seed %d: %d was durable and is lost", ahead, seed, id)
		}
	}
	if err := shutdown(t, d); err != nil || m.len() != 0 {
		t.Errorf("Shutdown: %v; %d on disk", err, m.len())
	}
	return int(c.SpoolFull)
}

// A commit that ends at the moment when its caller stops waiting leaves the disk in use.
func TestCommitAtTheEndOfPatience(t *testing.T) {
	t.Parallel()
	for range 30 { // which of the two comes first is up to the scheduler
		synctest.Test(t, func(t *testing.T) {
			m, e := newMemory(), newOutage(503)
			m.latency = 2 * time.Second
			cfg := spoolConfig(e, m)
			cfg.WriteAhead = true
			d := start(t, cfg)
			_ = d.Enqueue(t.Context(), item(1, false, 0))
			m.set(func(m *memory) { m.latency = time.Millisecond })
			time.Sleep(time.Minute)
			if err := d.Enqueue(t.Context(), item(2, false, 0)); err != nil {
				t.Error(err)
			}
			e.setStatus(200)
		})
	}
}

// Whatever the disk is like, Shutdown removes what was delivered, and no more than that, and
// writes what it can.
func TestShutdownOnAPoorDisk(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		disk  func(*memory)
		saved int // of the events that are left
	}{
		"full":  {func(m *memory) { m.full = true }, 0},
		"tight": {func(m *memory) { m.tight, m.removable = true, 20 }, 10},     // it takes two attempts
		"slow":  {func(m *memory) { m.latency = 1500 * time.Millisecond }, 10}, // there is time for one
	} {
		synctest.Test(t, func(t *testing.T) {
			m, e := newMemory(recordsUpTo(25)...), newOutage(200)
			d := start(t, spoolConfig(e, m))
			for d.Counts().Sent != 25 {
				time.Sleep(10 * time.Millisecond)
			}
			e.setStatus(503)
			enqueue(t, d, 101, 110)
			m.set(tt.disk)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			_ = d.Shutdown(ctx)
			c := d.Counts()
			time.Sleep(time.Minute) // the keeper ends
			if m.len() != tt.saved || c.Spooled != tt.saved || c.Abandoned != uint64(10-tt.saved) {
				t.Errorf("%s: %d on disk: %+v", name, m.len(), c)
			}
		})
	}
}

// However much is to be removed from a disk that has no room to remove it at once,
// Shutdown saves what is left.
func TestShutdownWithManyRemovals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, e := newMemory(recordsUpTo(9000)...), newOutage(200)
		d := start(t, spoolConfig(e, m))
		m.set(func(m *memory) { m.tight, m.removable = true, 0 })
		for d.Counts().Sent != 9000 {
			time.Sleep(10 * time.Millisecond)
		}
		e.setStatus(503)
		enqueue(t, d, 10001, 10010)
		m.set(func(m *memory) { m.removable = 5000 })
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_ = d.Shutdown(ctx)
		if c := d.Counts(); c.Abandoned != 0 || m.len() != 10 {
			t.Errorf("%d on disk: %+v", m.len(), c)
		}
	})
}

// rejecting is a memory that holds so many records and refuses others.
type rejecting struct {
	*memory

	most int
}

func (r rejecting) Commit(add []delivery.Record, remove []uint64) (dropped []delivery.Record, err error) {
	room := r.most - r.len()
	for _, key := range remove {
		if r.has(key) {
			room++
		}
	}
	if room = max(room, 0); len(add) > room {
		add, dropped = add[:room], add[room:]
	}
	if _, err := r.memory.Commit(add, remove); err != nil {
		return nil, err
	}
	return dropped, nil
}

// After a fault, too, what waits to be removed is removed before others are written: the
// account counts on its room.
func TestRemovalGoesFirstAfterAFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, e := newMemory(recordsUpTo(50)...), newOutage(200)
		cfg := config(e)
		cfg.Spool = rejecting{m, 60}
		cfg.Fits = func(records, _ int, _ bool) bool { return records <= 60 }
		d := start(t, cfg)
		for d.Counts().Sent != 50 {
			time.Sleep(10 * time.Millisecond)
		}
		e.setStatus(503)
		m.set(func(m *memory) { m.failing = true }) // until Reopen
		enqueue(t, d, 101, 150)
		time.Sleep(time.Minute)
		if c := d.Counts(); c.SpoolFull != 0 || c.Spooled != 50 {
			t.Errorf("counts %+v", c)
		}
	})
}

// A disk from which nothing can be removed is tried now and then.
func TestRemovalDoesNotSpin(t *testing.T) {
	t.Parallel()
	for name, spool := range map[string]func(*memory) delivery.Spool{
		"and its probe fails":    func(m *memory) delivery.Spool { return m },
		"and its probe succeeds": func(m *memory) delivery.Spool { return roomy{m} },
	} {
		synctest.Test(t, func(t *testing.T) {
			m, e := newMemory(recordsUpTo(90)...), newOutage(200)
			m.tight = true
			counted := &counted{Spool: spool(m)}
			cfg := config(e)
			cfg.Spool = counted
			start(t, cfg)
			time.Sleep(10 * time.Minute)
			if n := counted.commits.Load(); n < 10 || n > 300 {
				t.Errorf("%s: %d commits in 10 minutes", name, n)
			}
		})
	}
}

// counted counts the commits of a Spool.
type counted struct {
	delivery.Spool

	commits atomic.Int64
}

func (c *counted) Commit(add []delivery.Record, remove []uint64) (dropped []delivery.Record, err error) {
	c.commits.Add(1)
	return c.Spool.Commit(add, remove)
}

// roomy is a memory whose Reopen finds room for what it tries.
type roomy struct{ *memory }

func (r roomy) Reopen() (lost, writable bool, err error) {
	lost, _, err = r.memory.Reopen()
	return lost, err == nil, err
}

// A disk that seems to work again, but has no room to remove everything at once, is
// emptied in portions.
func TestRemovalInPortions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, e := newMemory(recordsUpTo(9000)...), newOutage(200)
		m.tight, m.removable = true, 500
		cfg := config(e)
		cfg.Spool = roomy{m}
		d := start(t, cfg)
		time.Sleep(10 * time.Minute)
		if n := m.len(); n != 0 || d.Counts().Sent != 9000 {
			t.Errorf("%d still on disk: %+v", n, d.Counts())
		}
	})
}

// A commit that failed may have written its records, so they are to be removed. If they are
// written again meanwhile, they stay.
func TestWrittenAgainBeforeRemoval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, e := newMemory(recordsUpTo(50)...), newOutage(200)
		cfg := config(e)
		cfg.Spool, cfg.WriteAhead = roomy{m}, true
		d := start(t, cfg)
		for d.Counts().Sent != 50 {
			time.Sleep(10 * time.Millisecond)
		}
		e.setStatus(503)
		m.set(func(m *memory) { m.tight, m.removable = true, 20 })
		if err := d.Enqueue(t.Context(), item(101, false, 0)); !errors.Is(err, delivery.ErrNotDurable) {
			t.Errorf("error %v", err)
		}
		time.Sleep(10 * time.Minute)
		if c := d.Counts(); m.len() != 1 || c.Spooled != 1 {
			t.Errorf("%d on disk: %+v", m.len(), c)
		}
	})
}

// locked is a memory that cannot be opened again.
type locked struct{ *memory }

var errLocked = errors.New("folder in use")

func (locked) Reopen() (lost, writable bool, err error) { return false, false, errLocked }

// Whoever asks for a durable event learns what is wrong now, not what was at first.
func TestNotDurableSaysWhatIsWrongNow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		cfg := config(newOutage(200))
		cfg.Spool, cfg.WriteAhead = locked{m}, true
		d := start(t, cfg)
		m.set(func(m *memory) { m.failing = true })
		_ = d.Enqueue(t.Context(), item(1, false, 0))
		time.Sleep(time.Minute)
		if err := d.Enqueue(t.Context(), item(2, false, 0)); !errors.Is(err, errLocked) || !errors.Is(err, delivery.ErrNotDurable) {
			t.Error(err)
		}
	})
}

package delivery_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// While the disk fails, events are kept in memory, and one line is logged. When the disk
// works again, it is used again.
func TestSpoolFails(t *testing.T) {
	t.Parallel()
	for name, applied := range map[string]bool{"nothing is written": false, "it is written all the same": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m, e := newMemory(), newOutage(503)
				cfg := spoolConfig(e, m)
				cfg.QueueSize = 100
				log := keepLog(&cfg)
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
		if err := shutdownWithin(t, d, time.Second); err != nil || !slices.Equal(m.kept(t), upTo(50)) {
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
		mustShutdown(t, d)
	})
}

// A spool that does not work at the start is tried again.
func TestSpoolFailsAtTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.startBad, m.broken = true, true
		cfg := spoolConfig(newOutage(503), m)
		log := keepLog(&cfg)
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

// After a read that failed, too, what is on disk is sent from the oldest on.
func TestReplayAfterAFailedRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, e := newMemory(recordsUpTo(50)...), newOutage(401)
		m.broken = true
		cfg := spoolConfig(e, m)
		cfg.QueueSize, cfg.Senders = 20, 1
		d := start(t, cfg)
		synctest.Wait()       // the first read has failed
		enqueue(t, d, 51, 70) // memory has no room for others
		synctest.Wait()
		m.set(func(m *memory) { m.broken = false })
		time.Sleep(20 * time.Second) // all are on disk
		e.setStatus(200)
		time.Sleep(time.Minute) // until a probe has ended the halt
		synctest.Wait()
		if len(e.took) != 70 || !slices.IsSorted(e.took[1:]) { // the first is a probe
			t.Errorf("sent %v", e.took)
		}
	})
}

// Callers who wait for room need not wait for it in memory once the disk works again.
func TestBlockEndsWhenTheDiskWorksAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.startBad, m.broken = true, true
		cfg := spoolConfig(newOutage(503), m)
		cfg.QueueSize, cfg.Overflow, cfg.FlushInterval = 10, delivery.Block, time.Hour
		d := start(t, cfg)
		begin := time.Now()
		m.set(func(m *memory) { m.broken = false })
		enqueue(t, d, 1, 11)
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("the last one has waited %v, for a disk that is tried again after 5 s", took)
		}
	})
}

// Nor once a commit that took too long has ended.
func TestBlockEndsWhenTheDiskIsFree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.latency = 10 * time.Second
		cfg := spoolConfig(&endpoint{answer: func(int, []int) (delivery.Result, error) { return delivery.Result{}, errHang }}, m)
		cfg.WriteAhead, cfg.QueueSize, cfg.Overflow, cfg.FlushInterval, cfg.Timeout = true, 10, delivery.Block, time.Hour, time.Hour
		d := start(t, cfg)
		begin := time.Now()
		for id := 1; id <= 12; id++ { // the first is being written, and the last has no room
			if err := d.Enqueue(t.Context(), item(id, false, 0)); !errors.Is(err, delivery.ErrNotDurable) {
				t.Errorf("item %d: %v", id, err)
			}
		}
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("the last one has waited %v, and the disk took 10 s", took)
		}
		_ = shutdownWithin(t, d, time.Second)
		time.Sleep(time.Minute) // the keeper ends
	})
}

// If the disk hangs, Shutdown tells which events are given up, but for those that may be
// written yet.
func TestShutdownReportsWhatADiskThatHangsHasNotBegun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told reports
		m := newMemory()
		m.latency = time.Minute
		cfg := spoolConfig(newOutage(503), m)
		cfg.QueueSize, cfg.OnReport = 10, told.add
		d := start(t, cfg)
		enqueue(t, d, 1, 11)
		synctest.Wait() // one is being written
		enqueue(t, d, 12, 30)
		if err := shutdownWithin(t, d, time.Second); err == nil {
			t.Error("Shutdown says that nothing is lost")
		}
		if items, untold, _ := told.count(delivery.Abandoned); items != 29 || untold != 1 {
			t.Errorf("told of %d, and %d more", items, untold)
		}
		time.Sleep(5 * time.Minute) // the keeper ends
	})
}

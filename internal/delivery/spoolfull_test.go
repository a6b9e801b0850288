package delivery_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// When a spool is full and may drop nothing, memory is used, and then its overflow
// policy.
func TestSpoolRejects(t *testing.T) {
	t.Parallel()
	for _, overflow := range []delivery.Overflow{delivery.DropOldest, delivery.DropNewest} {
		synctest.Test(t, func(t *testing.T) {
			var told reports
			m, e := newMemory(), newOutage(503)
			cfg := spoolConfig(e, m)
			cfg.QueueSize, cfg.Overflow, cfg.Fits, cfg.OnReport = 100, overflow, atMost(1000), told.add
			cfg.Timeout, cfg.RetryDelay = time.Hour, time.Hour
			d := start(t, cfg)
			onDisk := upTo(1000) // memory has the newest, or under DropNewest the oldest
			if overflow == delivery.DropNewest {
				onDisk = upTo(1100)[100:]
			}
			for id := 1; id <= 5000; id++ {
				err := d.Enqueue(t.Context(), item(id, false, 0))
				synctest.Wait()
				refused := id > 1100 && overflow == delivery.DropNewest
				if (err != nil) != refused || refused && (!errors.Is(err, delivery.ErrQueueFull) || !errors.Is(err, delivery.ErrSpoolFull)) {
					t.Fatalf("item %d: %v", id, err)
				}
			}
			time.Sleep(time.Minute)
			c := d.Counts()
			if c.SpoolFull != 3900 || c.Held != 100 || c.Spooled != 1000 || !slices.Equal(m.kept(t), onDisk) {
				t.Errorf("policy %v: %+v, %d on disk", overflow, c, m.len())
			}
			checkSum(t, d)
			items, untold, err := told.count(delivery.SpoolFull)
			if items+untold != 3900 || !errors.Is(err, delivery.ErrSpoolFull) {
				t.Errorf("told of %d and %d, %v", items, untold, err)
			}
			e.setStatus(200)
			if err := shutdown(t, d); err != nil || m.len() != 0 || len(e.delivered()) != 1100 {
				t.Errorf("Shutdown: %v; %d on disk, %d delivered", err, m.len(), len(e.delivered()))
			}
		})
	}
}

// A spool that is full and may drop nothing refuses items that are to be written ahead:
// the caller gets an error, it is counted and reported, and what is on disk stays.
func TestWriteAheadIsRejected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told reports
		var outcomes []delivery.Outcome
		m, e := newMemory(), newOutage(503)
		cfg := spoolConfig(e, m)
		cfg.WriteAhead, cfg.Fits, cfg.OnReport = true, atMost(100), told.add
		cfg.OnOutcome = func(_ uint64, outcome delivery.Outcome) { outcomes = append(outcomes, outcome) }
		d := start(t, cfg)
		enqueue(t, d, 1, 100)
		it := item(101, false, 0)
		it.Token = 1
		if err := d.Enqueue(t.Context(), it); !errors.Is(err, delivery.ErrSpoolFull) || errors.Is(err, delivery.ErrNotDurable) {
			t.Errorf("a full spool: %v", err)
		}
		synctest.Wait()
		if items, _, err := told.count(delivery.SpoolFull); items != 1 || !errors.Is(err, delivery.ErrSpoolFull) {
			t.Errorf("told of %d, %v", items, err)
		}
		if c := d.Counts(); c.SpoolFull != 1 || c.Held != 0 || !slices.Equal(m.kept(t), upTo(100)) {
			t.Errorf("counts %+v, on disk %v", c, m.kept(t))
		}
		if !slices.Equal(outcomes, []delivery.Outcome{delivery.SpoolFull}) {
			t.Errorf("outcomes %v", outcomes)
		}
		checkSum(t, d)
		e.setStatus(200)
		mustFlush(t, d)
		enqueue(t, d, 101, 200) // there is room again, though nothing is removed from disk yet
		if err := shutdown(t, d); err != nil || m.len() != 0 || !slices.Equal(e.delivered(), upTo(200)) {
			t.Errorf("Shutdown: %v; %d on disk, %d delivered", err, m.len(), len(e.delivered()))
		}
	})
}

// Items for which memory has room are kept if the disk has none.
func TestRejectedItemsStayInMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, e := newMemory(), newOutage(503)
		cfg := spoolConfig(e, m)
		cfg.Fits = atMost(100)
		d := start(t, cfg)
		for id := 1; id <= 500; id++ {
			_ = d.Enqueue(t.Context(), item(id, id%2 == 0, 0))
		}
		time.Sleep(time.Minute) // all are old enough for the disk
		if c := d.Counts(); c.Spooled != 100 || c.Held != 400 {
			t.Errorf("counts %+v", c)
		}
		checkSum(t, d)
		e.setStatus(200)
		if err := shutdown(t, d); err != nil || m.len() != 0 || !slices.Equal(e.delivered(), upTo(500)) {
			t.Errorf("Shutdown: %v; %d on disk, %d delivered", err, m.len(), len(e.delivered()))
		}
	})
}

// While the disk takes no more automatic items, explicit ones still go there.
func TestExplicitItemsHaveDiskToThemselves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, e := newMemory(), newOutage(503)
		cfg := spoolConfig(e, m)
		cfg.QueueSize, cfg.Fits, cfg.RetryDelay = 100, atMost(100), time.Hour
		d := start(t, cfg)
		for id := 1; id <= 160; id++ { // fills both shares
			_ = d.Enqueue(t.Context(), item(id, true, 0))
			synctest.Wait()
		}
		if c := d.Counts(); c.Spooled != 80 || c.SpoolFull != 0 {
			t.Fatalf("the test fills too little, or too much: %+v", c)
		}
		for id := 161; id <= 200; id++ {
			_ = d.Enqueue(t.Context(), item(id, false, 0))
			synctest.Wait()
		}
		if c := d.Counts(); c.Spooled != 100 || c.Held != 100 || c.SpoolFull != 0 {
			t.Errorf("counts %+v", c)
		}
		checkSum(t, d)
		e.setStatus(200)
		if err := shutdown(t, d); err != nil || !slices.Equal(e.delivered(), upTo(200)) {
			t.Errorf("Shutdown: %v; %d delivered", err, len(e.delivered()))
		}
	})
}

// Items that Shutdown cannot leave on disk are in its error. Explicit items go to disk
// first, and automatic ones never take all of it.
func TestShutdownBesideAFullSpool(t *testing.T) {
	t.Parallel()
	for _, explicit := range []int{10, 60} {
		synctest.Test(t, func(t *testing.T) {
			var told reports
			m, e := newMemory(), newOutage(503)
			cfg := spoolConfig(e, m)
			cfg.Fits, cfg.OnReport = atMost(100), told.add
			d := start(t, cfg)
			for id := 1; id <= 200; id++ {
				_ = d.Enqueue(t.Context(), item(id, id <= 200-explicit, 0))
			}
			err := shutdownWithin(t, d, time.Second)
			if err == nil || !strings.HasPrefix(err.Error(), "120 events not delivered") {
				t.Errorf("Shutdown: %v", err)
			}
			kept := m.kept(t)
			if c := d.Counts(); c.Spooled != 80 || c.Abandoned != 120 || kept[len(kept)-explicit] != 200-explicit+1 {
				t.Errorf("counts %+v, on disk %v", c, kept)
			}
			if items, _, _ := told.count(delivery.Abandoned); items != 120 {
				t.Errorf("told of %d", items)
			}
		})
	}
}

// An item that was reported as being in memory is delivered. One that was dropped in its
// own commit may be lost, and then its caller knows.
func TestWriteAheadOfMoreThanFits(t *testing.T) {
	t.Parallel()
	var inMemory, gone int
	for round := 0; inMemory == 0 || gone == 0; round++ {
		if round == 50 { // which of the two happens is up to the scheduler
			t.Fatalf("%d in memory alone, %d gone: the test does not see both", inMemory, gone)
		}
		m, g := writeAheadOfMoreThanFits(t)
		inMemory, gone = inMemory+m, gone+g
	}
}

// atMost is the Fits of a spool for n records, of which four fifths may be automatic.
func atMost(n int) func(records, _ int, automatic bool) bool {
	return func(records, _ int, automatic bool) bool { return records <= n && (!automatic || records <= n*4/5) }
}

// writeAheadOfMoreThanFits returns how many items were in memory alone, and how many
// were lost.
func writeAheadOfMoreThanFits(t *testing.T) (inMemory, lost int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m, e := newMemory(), newOutage(503)
		m.max, m.latency = 100, 5*time.Millisecond
		cfg := spoolConfig(e, m)
		cfg.WriteAhead, cfg.QueueSize = true, 50
		d := start(t, cfg)
		var mu sync.Mutex
		kept, gone := map[int]bool{}, map[int]bool{}
		var callers sync.WaitGroup
		for id := 1; id <= 1000; id++ {
			callers.Go(func() {
				err := d.Enqueue(t.Context(), item(id, false, 0))
				mu.Lock()
				defer mu.Unlock()
				kept[id] = errors.Is(err, delivery.ErrNotDurable)
				gone[id] = errors.Is(err, delivery.ErrSpoolFull) && !kept[id]
			})
		}
		callers.Wait()
		checkSum(t, d)
		e.setStatus(200)
		mustShutdown(t, d)
		for id := 1; id <= 1000; id++ {
			_, arrived := slices.BinarySearch(e.delivered(), id)
			if kept[id] && !arrived || gone[id] && arrived {
				t.Errorf("item %d: told that it is in memory %v, or gone %v; arrived %v", id, kept[id], gone[id], arrived)
			}
			inMemory, lost = inMemory+btoi(kept[id]), lost+btoi(gone[id])
		}
	})
	return inMemory, lost
}

func btoi(is bool) int {
	if is {
		return 1
	}
	return 0
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
		mustShutdown(t, d)
		checkSum(t, d)
		if c := d.Counts(); c.Spooled != 0 || c.SpooledBytes != 0 || c.Sent+c.SpoolFull != 5000 {
			t.Errorf("counts %+v", c)
		}
	})
}

// A record may have to go when its item has just ended: then nothing more is lost.
func TestSpoolFullOfWhatHasEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.max, m.latency = 1, time.Second
		e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
			time.Sleep(time.Second / 2)
			return ok(len(ids))
		}}
		cfg := spoolConfig(e, m)
		cfg.WriteAhead, cfg.BatchSize = true, 1
		d := start(t, cfg)
		enqueue(t, d, 1, 2) // the first is delivered while the second is written
		if c := d.Counts(); c.Sent != 1 || c.SpoolFull != 0 || c.Spooled != 1 {
			t.Errorf("counts %+v", c)
		}
		mustShutdown(t, d)
		if c := d.Counts(); c.Sent != 2 || c.Spooled != 0 {
			t.Errorf("when both are delivered: %+v", c)
		}
	})
}

package delivery_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// estate is Leftovers in memory.
type estate struct {
	mu      sync.Mutex
	records []delivery.Record
	looks   int   // calls of TakeOver
	size    int   // what the last of them asked for
	stays   int   // those that have removed nothing of what was there
	readBad error // why some cannot be read
	sticky  bool  // nothing can be removed
	full    bool  // the heir's own spool has no room
	slow    time.Duration
	removal time.Duration // that it takes to remove
}

func (e *estate) TakeOver(records, size int, keep func([]delivery.Record) error) (n int, err error) {
	time.Sleep(e.slow)
	e.mu.Lock()
	e.looks++
	if e.full {
		e.mu.Unlock()
		return 0, delivery.ErrSpoolFull
	}
	e.size = size
	for n < min(records, len(e.records)) {
		if size -= len(e.records[n].Body); size < 0 && n > 0 {
			break
		}
		n++
	}
	taken := slices.Clone(e.records[:n])
	e.mu.Unlock()
	if n > 0 {
		err = keep(taken)
		time.Sleep(e.removal)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil || e.sticky {
		e.stays++
		return 0, errors.Join(err, e.readBad)
	}
	e.records = e.records[n:]
	return n, e.readBad
}

func (e *estate) leave(records ...delivery.Record) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.records = append(e.records, records...)
}

func (e *estate) set(change func(*estate)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(e)
}

// clone returns what the next process finds.
func (e *estate) clone() *estate {
	e.mu.Lock()
	defer e.mu.Unlock()
	return &estate{records: slices.Clone(e.records)}
}

func (e *estate) len() int {
	if e == nil {
		return 0
	}
	n, _ := e.left()
	return n
}

// left returns how many records are left, and how often somebody looked.
func (e *estate) left() (records, looks int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.records), e.looks
}

func heirConfig(t delivery.Transport, m *memory, e *estate) delivery.Config {
	cfg := spoolConfig(t, m)
	cfg.Leftovers = e
	return cfg
}

// What ended processes have left is delivered, at the start and later, whatever its keys were.
func TestLeftoversAreDelivered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, e := newMemory(), newOutage(200)
		var left estate
		left.leave(recordsUpTo(300)...)
		cfg := heirConfig(e, m, &left)
		cfg.OnReport = func(r delivery.Report) { t.Errorf("told of %+v", r) }
		d := start(t, cfg)
		enqueue(t, d, 301, 310)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if !slices.Equal(e.delivered(), upTo(310)) {
			t.Errorf("%d delivered", len(e.delivered()))
		}
		checkSum(t, d)
		if c := d.Counts(); c.Recovered != 300 || c.Accepted != 310 || c.Sent != 310 || c.Spooled != 0 {
			t.Errorf("counts %+v", c)
		}

		left.leave(recordsUpTo(311)[310])
		time.Sleep(time.Minute)
		synctest.Wait()
		if err := d.Flush(t.Context()); err != nil || !slices.Equal(e.delivered(), upTo(311)) {
			t.Errorf("Flush: %v, %d delivered", err, len(e.delivered()))
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if records, looks := left.left(); records != 0 || looks > 15 || m.len() != 0 {
			t.Errorf("%d left, %d looks in some 11 minutes, %d on disk", records, looks, m.len())
		}
	})
}

// In an outage only a portion is taken over, and the rest stays where it is for any process.
// What was taken over is on disk: the next process delivers it.
func TestLeftoversAreTakenOverInPortions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const all, portion = 20_000, 5000
		m, e := newMemory(), newOutage(503)
		var left estate
		left.leave(recordsUpTo(all)...)
		d := start(t, heirConfig(e, m, &left))
		time.Sleep(time.Hour)
		synctest.Wait()
		if records, _ := left.left(); records != all-portion || m.len() != portion {
			t.Errorf("%d left and %d on disk", records, m.len())
		}
		_, size, _, _ := m.Kept()
		if c := d.Counts(); c.Recovered != portion || c.Spooled != portion || c.SpooledBytes != size {
			t.Errorf("counts %+v, %d bytes on disk", c, size)
		}
		if err := shutdown(t, d); err != nil || m.len() != portion {
			t.Errorf("Shutdown: %v, %d on disk", err, m.len())
		}

		m.closed = false
		e.setStatus(200)
		start(t, heirConfig(e, m, &left))
		time.Sleep(50 * time.Second) // the next portion does not wait for a minute
		synctest.Wait()
		if records, _ := left.left(); records != 0 || m.len() != 0 || !slices.Equal(e.delivered(), upTo(all)) {
			t.Errorf("%d left, %d on disk, %d delivered", records, m.len(), len(e.delivered()))
		}
	})
}

// What is written to the own disk is what was left.
func TestLeftoversStayAsTheyAre(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		var left estate
		left.leave(recordsUpTo(2)...)
		left.records[0].Automatic, left.records[0].Attempts, left.records[0].Key = true, 7, 1000
		want := slices.Clone(left.records)
		d := start(t, heirConfig(newOutage(503), m, &left))
		enqueue(t, d, 3, 3)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		for i, key := range slices.Sorted(maps.Keys(m.records)) {
			r := m.records[key]
			if !bytes.Equal(r.Body, want[i].Body) || r.Automatic != want[i].Automatic || r.Attempts != want[i].Attempts || key > 3 {
				t.Errorf("record %d is %+v, want %+v", key, r, want[i])
			}
		}
		if len(m.records) != 2 {
			t.Errorf("%d records", len(m.records))
		}
	})
}

// Nothing is taken over once the queue is sealed. Shutdown leaves the first look some time, so that
// a command which lives for a moment takes its share, but not much of its own.
func TestLeftoversAtShutdown(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		look, patience, waits time.Duration
		stay                  int
	}{
		{look: 20 * time.Millisecond, patience: time.Minute, waits: 40 * time.Millisecond},
		{look: 300 * time.Millisecond, patience: time.Minute, waits: 300 * time.Millisecond, stay: 10},
		{look: 20 * time.Millisecond, patience: 50 * time.Millisecond, waits: 20 * time.Millisecond, stay: 10},
	} {
		synctest.Test(t, func(t *testing.T) {
			e, left := newOutage(200), estate{slow: test.look}
			left.leave(recordsUpTo(10)...)
			cfg := heirConfig(e, newMemory(), &left)
			d := start(t, cfg)
			enqueue(t, d, 11, 12)
			ctx, cancel := context.WithTimeout(t.Context(), test.patience)
			defer cancel()
			begun := time.Now()
			err := d.Shutdown(ctx)
			if took := time.Since(begun); err != nil || took > test.waits+10*time.Millisecond {
				t.Errorf("%+v: Shutdown: %v after %v", test, err, took)
			}
			if sent := len(e.delivered()); sent != 12-test.stay || left.len() != test.stay {
				t.Errorf("%+v: %d delivered, %d left", test, sent, left.len())
			}
		})
	}
}

// During the first look too, further items are refused, and a second call of Shutdown ends
// nothing.
func TestShutdownDuringTheFirstLook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, left := newOutage(200), estate{slow: 200 * time.Millisecond}
		d := start(t, heirConfig(e, newMemory(), &left))
		enqueue(t, d, 1, 2)
		first := make(chan error)
		go func() { first <- shutdownWithin(t, d, time.Minute) }()
		synctest.Wait()
		if err := d.Enqueue(t.Context(), item(3, false, 0)); !errors.Is(err, delivery.ErrClosed) {
			t.Errorf("Enqueue: %v", err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := d.Shutdown(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("second Shutdown: %v", err)
		}
		if err := <-first; err != nil || !slices.Equal(e.delivered(), upTo(2)) {
			t.Errorf("first Shutdown: %v, delivered %v", err, e.delivered())
		}
	})
}

// tightDisk is a disk with room for small commits, and for the probe of Reopen.
type tightDisk struct {
	*memory

	most int // bytes that a commit may add
}

func (n *tightDisk) Commit(add []delivery.Record, remove []uint64) ([]delivery.Record, error) {
	size := 0
	for _, r := range add {
		size += len(r.Body)
	}
	if size > n.most {
		return nil, errDisk
	}
	return n.memory.Commit(add, remove)
}

// Where a portion has no room on the disk, nothing happens to it, nor to the app's own
// events, and a smaller one is tried.
func TestLeftoversOnANarrowDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, e := newMemory(), newOutage(200)
		var left estate
		for id := range 5000 {
			left.leave(delivery.Record{Key: uint64(id + 1), Body: item(id+1, false, 500).Body})
		}
		cfg := heirConfig(e, m, &left)
		cfg.Spool, cfg.WriteAhead, cfg.QueueSize = &tightDisk{m, 300 << 10}, true, 1000
		log := keepLog(&cfg)
		d := start(t, cfg)
		enqueue(t, d, 5001, 5900)
		flushed := make(chan error, 1)
		go func() { flushed <- d.Flush(t.Context()) }()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		checkSum(t, d)
		if !slices.Equal(e.delivered(), upTo(5900)) || left.len() > 0 || m.len() > 0 || len(flushed) == 0 {
			t.Errorf("%d delivered, %d left, %d on disk, flushed: %v", len(e.delivered()), left.len(), m.len(), len(flushed) > 0)
		}
		if c := d.Counts(); c.Sent != 5900 || c.Recovered != 5000 {
			t.Errorf("counts %+v", c)
		}
		if text := log.String(); strings.Count(text, "level=WARN") != 1 || !strings.Contains(text, "cannot be taken over") {
			t.Errorf("log:\n%s", text)
		}
	})
}

// Damaged records count as lost, once.
func TestLeftoversMayBeDamaged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newOutage(200)
		var left estate
		left.leave(recordsUpTo(3)...)
		left.records[1].Damaged = true
		cfg := heirConfig(e, newMemory(), &left)
		var reports []delivery.Report
		cfg.OnReport = func(r delivery.Report) { reports = append(reports, r) }
		d := start(t, cfg)
		time.Sleep(time.Hour)
		synctest.Wait()
		if !slices.Equal(e.delivered(), []int{1, 3}) {
			t.Errorf("delivered %v", e.delivered())
		}
		if c := d.Counts(); c.Accepted != 3 || c.Sent != 2 || c.SpoolLost != 1 {
			t.Errorf("counts %+v", c)
		}
		if len(reports) != 1 || !errors.Is(reports[0].Err, delivery.ErrSpoolLost) || reports[0].Untold != 1 {
			t.Errorf("reports %+v", reports)
		}
	})
}

// If they cannot be written they are not removed either, and are taken over when the
// disk works again.
func TestLeftoversStayWhenTheDiskFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, e := newMemory(), newOutage(200)
		m.full = true
		var left estate
		left.leave(recordsUpTo(10)...)
		d := start(t, heirConfig(e, m, &left))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if records, _ := left.left(); records != 10 || left.stays == 0 {
			t.Errorf("%d are left, after %d attempts", records, left.stays)
		}
		checkSum(t, d)
		m.set(func(m *memory) { m.full = false })
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if records, _ := left.left(); records != 0 || m.len() != 0 {
			t.Errorf("%d are left, %d on disk", records, m.len())
		}
		checkSum(t, d)
		delivered := e.delivered()
		slices.Sort(delivered)
		if !slices.Equal(slices.Compact(delivered), upTo(10)) {
			t.Errorf("delivered %v", delivered)
		}
	})
}

// A folder that cannot be read, or not be written, does not keep events of this process from
// being delivered. That it cannot be read is logged, not every minute.
func TestLeftoversMayBeOutOfReach(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, e := newMemory(), newOutage(200)
		left := estate{readBad: errDisk}
		cfg := heirConfig(e, m, &left)
		log := keepLog(&cfg)
		d := start(t, cfg)
		enqueue(t, d, 1, 10)
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := strings.Count(log.String(), "cannot be taken over"); n != 1 || !strings.Contains(log.String(), errDisk.Error()) {
			t.Errorf("logged %d times:\n%s", n, log)
		}
		left.set(func(e *estate) { e.readBad, e.sticky = nil, true })
		left.leave(recordsUpTo(11)[10])
		time.Sleep(time.Minute)
		synctest.Wait()
		left.set(func(e *estate) { e.sticky = false })
		time.Sleep(time.Minute)
		synctest.Wait()
		if records, _ := left.left(); records != 0 {
			t.Errorf("%d are left", records)
		}
		twice := append(upTo(11), 11)
		if err := d.Flush(t.Context()); err != nil || !slices.Equal(e.delivered(), twice) {
			t.Errorf("Flush: %v; delivered %v", err, e.delivered())
		}
		checkSum(t, d)
	})
}

// halfway is a disk that fails once although it has written.
type halfway struct {
	*memory

	failed bool
}

func (h *halfway) Commit(add []delivery.Record, remove []uint64) ([]delivery.Record, error) {
	dropped, err := h.memory.Commit(add, remove)
	if !h.failed && len(add) > 0 {
		h.failed, err = true, errDisk
	}
	return dropped, err
}

// A portion that was written though the commit failed is not there twice, and a Flush that
// has seen it ends.
func TestLeftoversWrittenAllTheSame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, e := newMemory(), newOutage(200)
		m.latency = time.Second
		var left estate
		left.leave(recordsUpTo(10)...)
		cfg := heirConfig(e, m, &left)
		cfg.Spool = &halfway{memory: m}
		d := start(t, cfg)
		time.Sleep(500 * time.Millisecond)
		begin := time.Now()
		if err := d.Flush(t.Context()); err != nil || time.Since(begin) != 500*time.Millisecond {
			t.Errorf("Flush: %v after %v", err, time.Since(begin))
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		checkSum(t, d)
		if !slices.Equal(e.delivered(), upTo(10)) || m.len() > 0 || left.len() > 0 {
			t.Errorf("delivered %v, %d on disk, %d left", e.delivered(), m.len(), left.len())
		}
	})
}

// If Shutdown gives up while a portion is written, it is on disk for the next process, and
// counted there.
func TestLeftoversWrittenTooLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.latency = 10 * time.Second
		var left estate
		left.leave(recordsUpTo(10)...)
		d := start(t, heirConfig(newOutage(200), m, &left))
		time.Sleep(time.Second)
		err := shutdownWithin(t, d, time.Second)
		before := d.Counts()
		time.Sleep(time.Minute)
		synctest.Wait()
		checkSum(t, d)
		if c := d.Counts(); err != nil || c != before || c.Accepted > 0 || m.len() != 10 || left.len() != 0 {
			t.Errorf("Shutdown: %v; counts %+v, then %+v; %d on disk, %d left", err, before, c, m.len(), left.len())
		}
	})
}

// A spool that makes room for a portion drops the oldest records: those of events in memory
// too stay there, and of the portion itself some end.
func TestLeftoversInAFullSpool(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, e := newMemory(recordsUpTo(10)...), newOutage(503)
		m.max = 12
		var left estate
		left.leave(recordsUpTo(40)[10:]...)
		cfg := heirConfig(e, m, &left)
		full := 0
		cfg.OnReport = func(r delivery.Report) {
			if r.Outcome == delivery.SpoolFull && errors.Is(r.Err, delivery.ErrSpoolFull) {
				full += len(r.Items)
			}
		}
		d := start(t, cfg)
		time.Sleep(time.Second)
		synctest.Wait()
		checkSum(t, d)
		if c := d.Counts(); c.Recovered != 40 || c.SpoolFull != 18 || c.Held+c.Spooled != 22 || full != 18 || m.len() != 12 {
			t.Errorf("%d reported as dropped, %d on disk, counts %+v", full, m.len(), c)
		}
		e.setStatus(200)
		if err := shutdown(t, d); err != nil || !slices.Equal(e.delivered(), slices.Concat(upTo(10), upTo(40)[28:])) || m.len() > 0 {
			t.Errorf("Shutdown: %v; delivered %v, %d on disk", err, e.delivered(), m.len())
		}
	})
}

// Once a portion is written that took too long, the disk takes events again, and whoever waits
// for room gets it, also while the portion is still to be removed elsewhere.
func TestLeftoversWrittenSlowly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, left := newMemory(), estate{removal: 10 * time.Second}
		m.latency = 3 * time.Second
		left.leave(recordsUpTo(1)...)
		cfg := heirConfig(newOutage(503), m, &left)
		cfg.WriteAhead, cfg.Overflow, cfg.QueueSize = true, delivery.Block, 10
		d := start(t, cfg)
		time.Sleep(500 * time.Millisecond)
		for id := range 11 { // the first is yet to be written, the others are in memory
			if err := d.Enqueue(t.Context(), item(id, false, 0)); !errors.Is(err, delivery.ErrSpoolBusy) {
				t.Errorf("item %d: %v", id, err)
			}
		}
		waiting := make(chan error, 1)
		go func() { waiting <- d.Enqueue(t.Context(), item(11, false, 0)) }()
		synctest.Wait()
		if !d.Counts().SpoolDown || len(waiting) > 0 {
			t.Errorf("while it is written: %+v, the last item waits: %v", d.Counts(), len(waiting) == 0)
		}
		time.Sleep(time.Second)
		if d.Counts().SpoolDown || len(waiting) == 0 {
			t.Errorf("when it is written: %+v, the last item waits: %v", d.Counts(), len(waiting) == 0)
		}
	})
}

// After a failure the portions are small until nothing is left, also if a part cannot be read
// meanwhile. What could not be removed is still there.
func TestLeftoversInSmallPortions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		then  func(*estate)
		small bool
	}{
		"nothing is left":                {func(*estate) {}, false},
		"another part cannot be read":    {func(e *estate) { e.readBad = errDisk }, false},
		"it is written, and not removed": {func(e *estate) { e.sticky = true }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m, left := newMemory(), estate{}
				m.full = true
				left.leave(recordsUpTo(10)...)
				start(t, heirConfig(newOutage(200), m, &left))
				synctest.Wait()
				usual := left.size
				m.set(func(m *memory) { m.full = false })
				left.set(test.then)
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				if left.looks < 4 || (left.size < usual) != test.small {
					t.Errorf("%d bytes asked for at first, %d in look %d", usual, left.size, left.looks)
				}
			})
		})
	}
}

// Each cause is logged once, and a fault of the own disk as such.
func TestLeftoversAndTheLog(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		full bool  // from then on
		next error // of reading, from then on
		want []string
	}{
		"own disk":  {true, errDisk, []string{"the spool fails", "cannot be taken over"}},
		"two parts": {false, errHang, []string{"cannot be taken over\" error=\"disk on fire", "cannot be taken over\" error=hang"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m, left := newMemory(), estate{readBad: errDisk}
				cfg := heirConfig(newOutage(200), m, &left)
				log := keepLog(&cfg)
				start(t, cfg)
				time.Sleep(10 * time.Minute)
				m.set(func(m *memory) { m.full = test.full })
				left.set(func(e *estate) { e.readBad = test.next })
				if test.full {
					left.leave(recordsUpTo(10)...)
				}
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				for _, line := range test.want {
					if n := strings.Count(log.String(), line); n != 1 {
						t.Errorf("%q is logged %d times:\n%s", line, n, log)
					}
				}
			})
		})
	}
}

// If the own spool has no room now, there is another look soon, and no fuss.
func TestLeftoversWaitForRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		left := estate{full: true}
		left.leave(recordsUpTo(10)...)
		e := newOutage(200)
		cfg := heirConfig(e, newMemory(), &left)
		log := keepLog(&cfg)
		start(t, cfg)
		time.Sleep(10 * time.Second)
		if _, looks := left.left(); looks < 5 || looks > 11 || log.Len() > 0 {
			t.Errorf("%d looks in 10 s, log: %s", looks, log)
		}
		left.set(func(e *estate) { e.full = false })
		time.Sleep(2 * time.Second)
		if !slices.Equal(e.delivered(), upTo(10)) {
			t.Errorf("delivered %v", e.delivered())
		}
	})
}

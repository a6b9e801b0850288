package delivery_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

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
			_ = shutdownWithin(t, d, 500*time.Millisecond)
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
		_ = shutdownWithin(t, d, 500*time.Millisecond)
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

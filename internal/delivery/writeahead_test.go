package delivery_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

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
		mustFlush(t, d)
		checkSum(t, d)
		if err := shutdown(t, d); err != nil || m.len() != 0 || !slices.Equal(e.delivered(), upTo(1000)) {
			t.Errorf("Shutdown: %v; %d on disk, %d delivered", err, m.len(), len(e.delivered()))
		}
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
				enqueue := func(id int) {
					if err := d.Enqueue(t.Context(), item(id, false, 0)); !errors.Is(err, delivery.ErrNotDurable) || !errors.Is(err, test.why) {
						t.Errorf("item %d: %v", id, err)
					}
				}
				for id := 1; id <= 9; id++ {
					enqueue(id)
				}
				if took := time.Since(begin); took > 2*time.Second {
					t.Errorf("waited %v", took)
				}
				if c := d.Counts(); !c.SpoolDown || c.Spooled != 0 {
					t.Errorf("counts %+v", c)
				}
				time.Sleep(7 * time.Second) // it has been tried again
				enqueue(10)
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

// locked is a memory that cannot be opened again.
type locked struct{ *memory }

func (locked) Reopen() (lost, writable bool, err error) { return false, false, errLocked }

var errLocked = errors.New("folder in use")

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

// An item that is larger than memory may be is refused: it could not be sent.
func TestWriteAheadOfALargeItem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		cfg := spoolConfig(newOutage(200), m)
		cfg.WriteAhead, cfg.QueueBytes = true, 1000
		d := start(t, cfg)
		for size, isRefused := range map[int]bool{900: false, 1100: true} {
			if err := d.Enqueue(t.Context(), item(1, false, size)); errors.Is(err, delivery.ErrQueueFull) != isRefused || (err == nil) == isRefused {
				t.Errorf("%d bytes: %v", size, err)
			}
		}
	})
}

// An item for which memory has no room either is dropped, and its error says that.
func TestWriteAheadIntoAFullQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.startBad, m.broken = true, true
		cfg := spoolConfig(newOutage(503), m)
		cfg.WriteAhead, cfg.QueueSize, cfg.Overflow = true, 10, delivery.DropNewest
		d := start(t, cfg)
		for id := 1; id <= 11; id++ {
			err := d.Enqueue(t.Context(), item(id, false, 0))
			if dropped := id == 11; errors.Is(err, delivery.ErrNotDurable) == dropped || errors.Is(err, delivery.ErrQueueFull) != dropped {
				t.Errorf("item %d: %v", id, err)
			}
		}
	})
}

// Shutdown takes no more items to write, even before it is over.
func TestWriteAheadDuringShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		cfg := spoolConfig(newOutage(200), m)
		cfg.WriteAhead = true
		var d *delivery.Deliverer
		cfg.OnClose = func(ctx context.Context) int {
			if err := d.Enqueue(ctx, item(1, false, 0)); !errors.Is(err, delivery.ErrClosed) {
				t.Errorf("Enqueue: %v", err)
			}
			return 0
		}
		d = start(t, cfg)
		if err := shutdown(t, d); err != nil || d.Counts().Accepted != 0 {
			t.Errorf("Shutdown: %v, counts %+v", err, d.Counts())
		}
	})
}

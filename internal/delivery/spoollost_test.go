package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

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
		"fails late":     {func(m *memory) { m.latency, m.failing = time.Minute, true }, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := newMemory(recordsUpTo(300)...)
				test.spoil(m)
				cfg := spoolConfig(newOutage(503), m)
				log := keepLog(&cfg)
				d := start(t, cfg)
				enqueue(t, d, 301, 301)
				begin := time.Now()
				err := shutdownWithin(t, d, 10*time.Second)
				if took := time.Since(begin); took > 13*time.Second {
					t.Errorf("Shutdown took %v", took)
				}
				text, onDisk := fmt.Sprint(err), 301-test.undone
				if (err != nil) != (test.undone > 0 || test.atRisk) || strings.HasPrefix(text, "1 event not delivered") != (test.undone > 0) ||
					strings.HasSuffix(text, fmt.Sprint(onDisk, " events on disk may be lost")) != test.atRisk {
					t.Errorf("Shutdown: %v", err)
				}
				c := d.Counts()
				if c.Spooled != onDisk || c.SpoolLost != 0 || c.Abandoned != uint64(test.undone) {
					t.Errorf("counts %+v", c)
				}
				time.Sleep(5 * time.Minute) // the keeper ends
				synctest.Wait()
				if waits := strings.Contains(log.String(), "events wait in the spool"); waits == test.atRisk {
					t.Errorf("log: %s", log.String())
				}
				later := d.Counts()
				if later.SpoolDown = c.SpoolDown; later != c {
					t.Errorf("counts %+v, and later %+v", c, later)
				}
			})
		})
	}
}

// What is still in memory when the spool is lost is written to the new one before long,
// wherever it waits. If that is all, nothing is lost.
func TestWhatOutlivesTheSpoolIsWrittenAgain(t *testing.T) {
	t.Parallel()
	for _, isHalted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var told reports
			m, e := newMemory(recordsUpTo(150)...), newOutage(503)
			cfg := spoolConfig(e, m)
			cfg.OnReport = func(r delivery.Report) {
				if r.Outcome != delivery.Failed { // a halt
					told.add(r)
				}
			}
			d := start(t, cfg)
			synctest.Wait() // some are suspects, the others wait for a sender
			flushed := make(chan error, 1)
			if isHalted { // nothing is tried again
				e.setStatus(401)
				time.Sleep(10 * time.Second)
			} else {
				go func() { flushed <- d.Flush(context.Background()) }()
			}
			m.set(func(m *memory) { m.failing, m.lost = true, true })
			enqueue(t, d, 151, 151)
			time.Sleep(20 * time.Second)
			if c := d.Counts(); m.len() != 151 || c.Spooled != 151 || d.Halted() != isHalted {
				t.Errorf("halted %v: %d on disk: %+v", isHalted, m.len(), c)
			}
			e.setStatus(200)
			if !isHalted {
				if err := <-flushed; err != nil {
					t.Errorf("Flush: %v", err)
				}
			}
			if all := told.list(); len(all) > 0 {
				t.Errorf("told of %+v", all)
			}
		})
	}
}

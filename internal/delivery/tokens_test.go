package delivery_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

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
		enqueueOwned(t, d, 1, 60)
		time.Sleep(time.Minute)
		e.setStatus(200)
		mustShutdown(t, d)
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
		"lost when closed":              func(m *memory) { m.closeBad = true },
		"it comes back empty two times": func(m *memory) { m.failing, m.lost, m.closeBad = true, true, true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m, e, told := newMemory(), newOutage(503), newTally()
				m.max = 400
				cfg := spoolConfig(e, m)
				cfg.QueueSize, cfg.OnOutcome = 100, told.add
				d := start(t, cfg)
				enqueueOwned(t, d, 1, 500)
				time.Sleep(20 * time.Second) // all are on disk, or had to go
				m.set(spoil)
				enqueueOwned(t, d, 501, 501)
				time.Sleep(20 * time.Second)
				if !m.closeBad {
					e.setStatus(200)
				}
				_ = shutdown(t, d)
				c := d.Counts()
				lost, sent, full := told.of(delivery.SpoolLost), told.of(delivery.Sent), told.of(delivery.SpoolFull)
				if lost == 0 || lost != int(c.SpoolLost) || sent != int(c.Sent) || full != int(c.SpoolFull) || lost+sent+full != 501 {
					t.Errorf("told of %d lost, %d sent and %d dropped, counts %+v", lost, sent, full, c)
				}
				if c.Spooled != 0 || c.SpooledBytes != 0 {
					t.Errorf("counts %+v", c)
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
	mustShutdown(t, d)
	if c := d.Counts(); c.Sent != most+over+100 || told.of(delivery.Sent) != most+over-evicted || told.of(delivery.Evicted) != evicted {
		t.Errorf("told of %d sent and %d evicted, counts %+v", told.of(delivery.Sent), told.of(delivery.Evicted), c)
	}
}

// The owner of a forgotten token is told of it however busy the disk is.
func TestTokensAreForgottenOnABusyDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, told := newMemory(), newTally()
		m.latency = 5 * time.Millisecond
		cfg := spoolConfig(newOutage(503), m)
		cfg.QueueSize, cfg.OnOutcome = 100, told.add
		d := start(t, cfg)
		enqueueOwned(t, d, 1, 10_500)
		for id := range 1000 {
			enqueue(t, d, 20_000+id, 20_000+id)
			time.Sleep(time.Millisecond)
		}
		if n := told.of(delivery.Evicted); n == 0 {
			t.Errorf("nobody is told, counts %+v", d.Counts())
		}
	})
}

package delivery_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

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
				mustFlush(t, d)
				ids := slices.DeleteFunc(e.ids(), func(id int) bool { return id > old })
				if !slices.Equal(ids, upTo(old)) {
					t.Error("not each old event once, in order")
				}
				if err := shutdown(t, d); err != nil || m.len() != 0 {
					t.Errorf("Shutdown: %v; %d on disk", err, m.len())
				}
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
		mustFlush(t, d)
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
	})
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
	})
}

// What an earlier process left is delivered however busy callers keep the disk.
func TestReplayFromABusyDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, e := newMemory(recordsUpTo(1000)...), newOutage(200)
		m.latency = 5 * time.Millisecond
		cfg := spoolConfig(e, m)
		cfg.WriteAhead = true
		d := start(t, cfg)
		for id := range 3000 {
			go func() { _ = d.Enqueue(t.Context(), item(1001+id, false, 0)) }()
			time.Sleep(3 * time.Millisecond)
		}
		if !slices.Equal(e.delivered()[:1000], upTo(1000)) {
			t.Errorf("old ones are not delivered, %+v", d.Counts())
		}
	})
}

// However fast new events come, those from disk and new ones take turns.
func TestReplayTakesTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const old = 5000
		m := newMemory(recordsUpTo(old)...)
		e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
			time.Sleep(100 * time.Millisecond)
			return ok(len(ids))
		}}
		cfg := spoolConfig(e, m)
		cfg.Senders = 1
		d := start(t, cfg)
		for id := range 4000 {
			enqueue(t, d, old+1+id, old+1+id)
			time.Sleep(time.Millisecond)
		}
		replayed := 0
		for _, r := range e.seen() {
			if r.ids[0] <= old {
				replayed++
			}
		}
		if all := len(e.seen()); replayed < all/2-2 || replayed > all/2+2 {
			t.Errorf("%d of %d requests carried events from disk", replayed, all)
		}
	})
}

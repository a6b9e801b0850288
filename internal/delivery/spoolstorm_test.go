package delivery_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

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
	mustFlush(t, d)
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

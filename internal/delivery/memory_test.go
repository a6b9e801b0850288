package delivery_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

var errDisk = errors.New("disk on fire")

// memory is a Spool without a disk that fails as it is told.
type memory struct {
	mu        sync.Mutex
	records   map[uint64]delivery.Record
	max       int           // the most records; 0 for any number
	latency   time.Duration // of a commit
	move      time.Duration // that Reopen and Close take
	broken    bool          // everything fails, Reopen too
	full      bool          // records can be removed, but not added
	tight     bool          // no more than removable can be removed at once
	removable int
	lost      bool // the next Reopen finds nothing left
	commits   int
	closed    bool
	using     bool // a method is running
	applyBad  bool // a commit that fails is applied nevertheless
	failing   bool // Commit fails until Reopen
	faulted   bool // something has failed, and Reopen has not succeeded since
	closeBad  bool // Close loses everything
	startBad  bool // Kept fails
}

func newMemory(records ...delivery.Record) *memory {
	m := &memory{records: map[uint64]delivery.Record{}}
	for _, r := range records {
		m.records[r.Key] = r
	}
	return m
}

func (m *memory) has(key uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, is := m.records[key]
	return is
}

func (m *memory) enter() func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.using || m.closed {
		panic("a spool is used by one goroutine, and not after Close")
	}
	m.using = true
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.using = false
	}
}

// checkFaultless is part of Commit and Read.
func (m *memory) checkFaultless() {
	if m.faulted {
		panic("a spool is not used after a fault, until Reopen has succeeded")
	}
}

func (m *memory) set(change func(*memory)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m)
}

func (m *memory) Kept() (records, size int, last uint64, err error) {
	for key, r := range m.records {
		last = max(last, key)
		size += len(r.Body)
	}
	if m.startBad {
		m.faulted = true
		return len(m.records), size, 0, errDisk
	}
	return len(m.records), size, last, nil
}

func (m *memory) Commit(add []delivery.Record, remove []uint64) (dropped []delivery.Record, err error) {
	defer m.enter()()
	m.mu.Lock()
	latency := m.latency
	m.mu.Unlock()
	time.Sleep(latency)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.checkFaultless()
	if m.failing || m.broken && !m.applyBad || m.full && len(add) > 0 || m.tight && len(remove) > m.removable {
		m.faulted = true
		return nil, errDisk
	}
	m.commits++
	for _, key := range remove {
		delete(m.records, key)
	}
	for _, r := range add {
		if r.Damaged {
			panic("a damaged record, written as a good one")
		}
		if _, twice := m.records[r.Key]; twice && !m.broken {
			panic(fmt.Sprintf("record %d added twice", r.Key))
		}
		m.records[r.Key] = r
	}
	if m.broken {
		m.faulted = true
		return nil, errDisk
	}
	for m.max > 0 && len(m.records) > m.max {
		oldest := slices.Min(slices.Collect(maps.Keys(m.records)))
		dropped = append(dropped, m.records[oldest])
		delete(m.records, oldest)
	}
	return dropped, nil
}

func (m *memory) Read(from uint64, records, size int, skip func(uint64) bool) ([]delivery.Record, error) {
	defer m.enter()()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.checkFaultless()
	if m.broken {
		m.faulted = true
		return nil, errDisk
	}
	var read []delivery.Record
	for _, key := range slices.Sorted(maps.Keys(m.records)) {
		if key < from || skip(key) {
			continue
		}
		if size -= len(m.records[key].Body); len(read) == records || size < 0 && len(read) > 0 {
			break
		}
		read = append(read, m.records[key])
	}
	return read, nil
}

func (m *memory) Reopen() (lost, writable bool, err error) {
	defer m.enter()()
	time.Sleep(m.move)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return false, false, errDisk
	}
	lost, m.failing, m.faulted = m.lost, false, false
	if m.lost = false; lost {
		clear(m.records)
	}
	return lost, !m.full && !m.tight, nil
}

func (m *memory) Close() error {
	defer m.enter()()
	time.Sleep(m.move)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	if m.closeBad {
		clear(m.records)
		return fmt.Errorf("%w: %w", delivery.ErrSpoolLost, errDisk)
	}
	return nil
}

func (m *memory) len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.records)
}

// kept returns the IDs of the events on disk, in order.
func (m *memory) kept(tb testing.TB) []int {
	tb.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	var ids []int
	for _, key := range slices.Sorted(maps.Keys(m.records)) {
		id, err := idIn(m.records[key].Body)
		if err != nil {
			tb.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

// recordsUpTo returns records as an earlier process left them.
func recordsUpTo(n int) []delivery.Record {
	records := make([]delivery.Record, n)
	for i := range records {
		records[i] = delivery.Record{Key: uint64(i + 1), Body: item(i+1, false, 0).Body}
	}
	return records
}

func spoolConfig(t delivery.Transport, m *memory) delivery.Config {
	cfg := config(t)
	cfg.Spool = m
	return cfg
}

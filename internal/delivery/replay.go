package delivery

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// reading is what to read from disk: from which key, and how much. alone is how many records
// were on disk alone when it began.
type reading struct {
	from                 uint64
	records, size, alone int
}

// nextRead says what to read from disk next: no records if enough items wait for a
// sender, or if memory has no room.
func (q *queue) nextRead() reading {
	q.mu.Lock()
	defer q.mu.Unlock()
	disk := q.disk
	window := amount{4 * q.takeItems, q.maxBytes / 4}
	if !disk.readable() || disk.alone() == 0 || disk.replay.len() >= window.items/2 || disk.replay.bytes >= window.bytes/2 {
		return reading{}
	}
	records := min(window.items-disk.replay.len(), q.maxItems-q.held.items)
	size := min(window.bytes-disk.replay.bytes, q.maxBytes-q.held.bytes)
	if records <= 0 || size <= 0 {
		return reading{}
	}
	from := disk.cursor
	disk.cursor = math.MaxUint64
	return reading{from, records, size, disk.alone()}
}

// isKnown reports whether a record need not be read: its item is in memory, or has
// ended.
func (q *queue) isKnown(key uint64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, ended := q.disk.removing[key]
	return ended || q.disk.hasLoaded(key)
}

// loss is items that ended because their records are damaged or gone.
type loss struct {
	items  int
	tokens []uint64
}

// load handles the records that were read. It returns what is lost, and whether there may be
// more to read now.
func (q *queue) load(r reading, records []Record) (lost loss, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	disk := q.disk
	if len(records) == 0 {
		disk.cursor = 0
		if r.from > 0 {
			return loss{}, true
		}
		return q.lose(r.alone), false
	}
	var items []Item
	from := r.from
	now := time.Now()
	for i := range records {
		rec := &records[i]
		if rec.Damaged {
			if it, ended := q.dropRecord(rec, SpoolLost); ended {
				lost.items++
				lost.tokens = append(lost.tokens, it.Token)
			}
			disk.removing[rec.Key] = struct{}{}
			from = rec.Key + 1
			continue
		}
		it := Item{
			Body: rec.Body, Automatic: rec.Automatic, Token: disk.tokens[rec.Key], Queued: now,
			seq: rec.Key, attempts: int32(rec.Attempts), replayed: true, //nolint:gosec // small
		}
		if !q.fits(&it) && q.held.items > 0 {
			break // it is read again later
		}
		delete(disk.tokens, rec.Key)
		disk.loaded[rec.Key] = struct{}{}
		disk.inMemory.add(&it)
		q.enterMemory(&it)
		items = append(items, it)
		from = rec.Key + 1
	}
	disk.cursor = min(disk.cursor, from)
	disk.replay.restore(items)
	q.reportLost(lost.items)
	return lost, from > r.from
}

// takeReplay removes items for one request from those that were read from disk.
func (q *queue) takeReplay(shrink int) []Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.refillReplay()
	return q.takeFrom(shrink, q.disk.replay.len(), func() *deque { return &q.disk.replay })
}

// refillReplay has the keeper read more from disk if few items are left to send.
func (q *queue) refillReplay() {
	if disk := q.disk; disk.readable() && disk.alone() > 0 && disk.replay.len() < 2*q.takeItems {
		disk.wakeKeeper()
	}
}

// reopened handles the recovery of the spool, which at least can be read again. If
// everything on disk was lost, it returns the items that ended by that.
func (q *queue) reopened(lost, writable bool) loss {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.disk.state = readOnly
	if writable {
		q.disk.state = working
	}
	q.announceRoom()
	if !lost {
		return loss{}
	}
	return q.diskLost()
}

// stillFails notes why the spool cannot be opened again.
func (q *queue) stillFails(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.disk.fault = err
}

// closedLost handles a spool that lost everything when it was closed. It returns the
// items that ended by that.
func (q *queue) closedLost() loss {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.disk.state = broken
	return q.diskLost()
}

// diskLost ends all items that were on disk alone. Those in memory too stay there.
func (q *queue) diskLost() loss {
	disk := q.disk
	lost := q.lose(disk.alone())
	disk.kept, disk.inMemory = amount{}, amount{}
	clear(disk.loaded)
	clear(disk.removing)
	if q.quarantine.suspects.len()+q.quarantine.culprits.len() > 0 {
		q.quarantine.unspilledSince = time.Now()
	}
	q.restore(disk.replay.drainTo(nil)) // they are like all others now
	return lost
}

// lose ends n items that were on disk alone and are not there any more. All waiters
// end with an error, since each may have waited for one of these, and wait anew for
// the others. Nor is it known whose tokens end, so that all do: one whose item is there
// after all, as it left memory during the read, ends too early.
func (q *queue) lose(n int) loss {
	disk := q.disk
	q.ended[SpoolLost] += uint64(n) //nolint:gosec // an amount
	q.reportLost(n)
	if disk.kept.items -= n; disk.alone() == 0 {
		disk.kept = disk.inMemory
	}
	if n > 0 {
		q.waiters.endAll(ErrSpoolLost)
	}
	tokens := slices.Collect(maps.Values(disk.tokens))
	clear(disk.tokens)
	return loss{n, tokens}
}

// reportLost reports items that were on disk and are lost.
func (q *queue) reportLost(n int) {
	if n > 0 {
		q.reporter.add(Report{Outcome: SpoolLost, Err: errDamaged(n), Untold: n})
	}
}

// errDamaged is the error for so many records that are damaged or gone.
func errDamaged(n int) error { return fmt.Errorf("%w: %s", ErrSpoolLost, count(n, "record")) }

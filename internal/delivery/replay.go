package delivery

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// nextRead says what to read from disk next: from which key, and how much. It asks
// for no records if enough items wait for a sender, or if memory has no room.
func (q *queue) nextRead() (from uint64, records, size int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	k := q.disk
	window := amount{4 * q.takeItems, q.maxBytes / 4}
	if !k.readable() || k.kept.items == k.inMemory.items || k.replay.len() >= window.items/2 || k.replay.bytes >= window.bytes/2 {
		return 0, 0, 0
	}
	room := min(window.items-k.replay.len(), q.maxItems-q.held.items)
	size = min(window.bytes-k.replay.bytes, q.maxBytes-q.held.bytes)
	if room <= 0 || size <= 0 {
		return 0, 0, 0
	}
	from, k.cursor = k.cursor, math.MaxUint64
	k.expected = k.kept.items - k.inMemory.items
	return from, room, size
}

// isKnown reports whether a record need not be read: its item is in memory, or has
// ended.
func (q *queue) isKnown(key uint64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, ended := q.disk.removing[key]
	return ended || q.disk.hasLoaded(key)
}

// loadResult is what came of a read.
type loadResult struct {
	damaged  []Item // items that ended because their records were damaged
	missing  loss   // those that ended because their records are not there
	progress bool   // there may be more to read now
}

// loss is items that ended because the spool was lost, or a part of it.
type loss struct {
	items  int
	tokens []uint64 // of those that had one
}

// load handles the records that were read, from the given key on.
func (q *queue) load(from uint64, records []Record) loadResult {
	q.mu.Lock()
	defer q.mu.Unlock()
	k := q.disk
	if len(records) == 0 {
		k.cursor = 0
		if from > 0 {
			return loadResult{progress: true}
		}
		return loadResult{missing: q.lose(k.expected)}
	}
	var l loadResult
	var items []Item
	now := time.Now()
	for i := range records {
		r := &records[i]
		if r.Damaged {
			it, ended := q.dropRecord(r, SpoolLost)
			if ended {
				l.damaged = append(l.damaged, it)
			}
			k.removing[r.Key] = struct{}{}
			from, l.progress = r.Key+1, true
			continue
		}
		it := Item{
			Body: r.Body, Automatic: r.Automatic, Token: k.tokens[r.Key], Queued: now,
			seq: r.Key, attempts: int32(r.Attempts), replayed: true, //nolint:gosec // small
		}
		if !q.fits(&it) && q.held.items > 0 {
			break // it is read again later
		}
		delete(k.tokens, r.Key)
		k.loaded[r.Key] = struct{}{}
		k.inMemory.add(&it)
		q.enterMemory(&it)
		items = append(items, it)
		from, l.progress = r.Key+1, true
	}
	k.cursor = min(k.cursor, from)
	k.replay.restore(items)
	return l
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
	if k := q.disk; k.readable() && k.kept.items > k.inMemory.items && k.replay.len() < 2*q.takeItems {
		k.wakeKeeper()
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
	k := q.disk
	lost := q.lose(k.kept.items - k.inMemory.items)
	k.kept, k.inMemory = amount{}, amount{}
	clear(k.loaded)
	clear(k.removing)
	if q.quarantine.suspects.len()+q.quarantine.culprits.len() > 0 {
		q.quarantine.unspilledSince = time.Now()
	}
	for k.replay.len() > 0 { // they are like all others now
		q.restore([]Item{k.replay.popFront()})
	}
	return lost
}

// lose ends n items that were on disk alone and are not there any more. All waiters
// end with an error, since each may have waited for one of these, and wait anew for
// the others. Nor is it known whose tokens end, so that all do: one whose item is there
// after all, as it left memory during the read, ends too early.
func (q *queue) lose(n int) loss {
	k := q.disk
	q.ended[SpoolLost] += uint64(n) //nolint:gosec // an amount
	if k.kept.items -= n; k.kept.items == k.inMemory.items {
		k.kept = k.inMemory
	}
	if n > 0 {
		q.waiters.endAll(ErrSpoolLost)
	}
	tokens := slices.Collect(maps.Values(k.tokens))
	clear(k.tokens)
	return loss{n, tokens}
}

// errDamaged is the error for so many records that are damaged or gone.
func errDamaged(n int) error { return fmt.Errorf("%w: %s", ErrSpoolLost, count(n, "record")) }

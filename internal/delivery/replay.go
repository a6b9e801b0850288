package delivery

import (
	"math"
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

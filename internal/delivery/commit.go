package delivery

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// diskWrite is an item on its way to the disk.
type diskWrite struct {
	Item

	done chan error // nil, or gets one result when the item is written or cannot be; buffered
}

// writeAhead accepts an item that is to be on disk before it is queued. If the disk does
// not take it now, it does not accept the item, and the error is ErrNotDurable.
func (q *queue) writeAhead(it Item) (written <-chan error, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.phase >= closing {
		return nil, ErrClosed
	}
	switch {
	case q.disk.state != working:
		return nil, notDurable(q.disk.fault)
	case q.disk.stalled:
		return nil, notDurable(ErrSpoolBusy)
	case len(it.Body) > q.maxBytes:
		return nil, notDurable(ErrQueueFull)
	}
	if !q.disk.hasRoom(&it) {
		q.accepted++
		q.ended[SpoolFull]++
		q.reporter.add(Report{Items: []Item{it}, Outcome: SpoolFull, Err: ErrSpoolFull})
		return nil, ErrSpoolFull
	}
	q.register(&it)
	done := make(chan error, 1)
	q.disk.urgent = append(q.disk.urgent, diskWrite{it, done})
	q.disk.unwritten.add(&it)
	q.disk.wakeKeeper()
	return done, nil
}

// stall notes, until it ends, that the commit under way takes too long. If the item
// has its result already, stall notes nothing and reports false.
func (q *queue) stall(written <-chan error) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(written) > 0 {
		return false
	}
	q.disk.stalled = true
	return true
}

// work is what one commit is to do.
type work struct {
	items  []diskWrite
	remove []uint64
}

func (w work) isNothing() bool { return len(w.items) == 0 && len(w.remove) == 0 }

// records are what is to be written.
func (w work) records() []Record {
	add := make([]Record, len(w.items))
	for i := range w.items {
		it := &w.items[i]
		add[i] = Record{Key: it.seq, Body: it.Body, Automatic: it.Automatic, Attempts: int(it.attempts - it.pardoned)}
	}
	return add
}

// takeWork takes what the next commit is to write and remove. Removals alone are
// worth a commit only if they are due (removals), or if they are many and the disk works.
// If a portion is given, it takes at most that many removals and nothing to write, until
// there are no more of them: that makes room first, and keeps an item that is written
// again from being removed by the removal of its old record.
func (q *queue) takeWork(removals bool, portion int) work {
	q.mu.Lock()
	defer q.mu.Unlock()
	disk := q.disk
	if portion > 0 && len(disk.removing) > 0 && (removals || disk.state == working) {
		return work{remove: disk.takeRemovals(portion)}
	}
	w := work{items: disk.takeWrites(maxCommitItems, maxCommitBytes)}
	if len(w.items) > 0 || removals || disk.state == working && len(disk.removing) >= maxRemovals {
		w.remove = disk.takeRemovals(math.MaxInt)
	}
	return w
}

// takeRemovals takes the keys of records to remove, at most so many, the oldest first.
func (d *disk) takeRemovals(most int) []uint64 {
	keys := slices.Sorted(maps.Keys(d.removing))
	keys = keys[:min(most, len(keys))]
	for _, key := range keys {
		delete(d.removing, key)
	}
	return keys
}

// takeWrites takes items to write until it has so many, or so many bytes: first those for
// which a caller waits.
func (d *disk) takeWrites(items, size int) (writes []diskWrite) {
	for len(writes) < items && size > 0 {
		var next diskWrite
		switch {
		case len(d.urgent) > 0:
			next = d.urgent[0]
			d.urgent[0] = diskWrite{} // lets the body be collected
			d.urgent = d.urgent[1:]
		case d.spill.len() > 0:
			next.Item = d.spill.popFront()
		default:
			return writes
		}
		writes = append(writes, next)
		size -= len(next.Body)
	}
	return writes
}

// written handles the success of a commit. It returns the items that ended because their
// records were dropped.
func (q *queue) written(w work, dropped []Record) []Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	disk := q.disk
	disk.stalled = false
	if q.phase == abandoned { // nor does a caller still wait
		return nil
	}
	var explicit []Item
	for i := range w.items {
		it := &w.items[i].Item
		disk.unwritten.remove(it)
		disk.kept.add(it)
		if w.items[i].done != nil && q.fits(it) {
			disk.loaded[it.seq] = struct{}{}
			disk.inMemory.add(it)
			q.enterMemory(it)
			explicit = append(explicit, *it)
		} else {
			q.noteDiskOnly(it)
		}
	}
	q.waiting.explicit.restore(explicit)
	ended, refused := q.dropRecords(dropped)
	w.reply(func(seq uint64) error { return refused[seq] })
	q.announceRoom()
	return ended
}

// dropRecords handles records that had to go for want of room. It returns the items that
// ended by that, and what those who wait for one of the records are told.
func (q *queue) dropRecords(dropped []Record) (ended []Item, refused map[uint64]error) {
	refused = make(map[uint64]error, len(dropped))
	for i := range dropped {
		refused[dropped[i].Key] = notDurable(ErrSpoolFull)
		if it, hasEnded := q.dropRecord(&dropped[i], SpoolFull); hasEnded {
			refused[it.seq] = ErrSpoolFull
			ended = append(ended, it)
		}
	}
	if len(ended) > 0 {
		q.reporter.add(Report{Items: ended, Outcome: SpoolFull, Err: ErrSpoolFull})
	}
	return ended, refused
}

// dropRecord handles the loss of a record. It reports whether that ended its item: it
// does not if the item had ended already or is in memory too.
func (q *queue) dropRecord(r *Record, outcome Outcome) (Item, bool) {
	disk := q.disk
	it := Item{Body: r.Body, seq: r.Key, Token: disk.tokens[r.Key]}
	if _, ended := disk.removing[r.Key]; ended {
		delete(disk.removing, r.Key)
		return it, false
	}
	disk.kept.remove(&it)
	if disk.hasLoaded(r.Key) {
		disk.unload(&it)
		return it, false
	}
	delete(disk.tokens, r.Key)
	q.ended[outcome]++
	q.waiters.itemEnded(r.Key)
	return it, true
}

// recall takes back into memory, whatever its bounds, the items that the keeper has
// not begun to write. Callers no longer wait for these: it comes too late for their patience.
func (q *queue) recall() (items []Item) {
	for _, write := range q.disk.takeWrites(math.MaxInt, math.MaxInt) {
		it := write.Item
		q.disk.unwritten.remove(&it)
		q.enterMemory(&it)
		items = append(items, it)
	}
	return items
}

// reply tells the callers who wait for this work how it ended for their items.
func (w work) reply(result func(seq uint64) error) {
	for _, write := range w.items {
		if write.done != nil {
			write.done <- result(write.seq)
		}
	}
}

// notDurable is the error for an item that is in memory alone.
func notDurable(cause error) error { return fmt.Errorf("%w: %w", ErrNotDurable, cause) }

// removals returns how many records wait to be removed.
func (q *queue) removals() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.disk.removing)
}

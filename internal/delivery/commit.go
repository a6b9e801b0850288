package delivery

import (
	"fmt"
	"maps"
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
	var w work
	disk, size := q.disk, 0
	if portion > 0 && len(disk.removing) > 0 && (removals || disk.state == working) {
		w.remove = slices.Sorted(maps.Keys(disk.removing))
		w.remove = w.remove[:min(portion, len(w.remove))]
		for _, key := range w.remove {
			delete(disk.removing, key)
		}
		return w
	}
	for len(w.items) < maxCommitItems && size < maxCommitBytes {
		next, ok := disk.nextWrite()
		if !ok {
			break
		}
		w.items = append(w.items, next)
		size += len(next.Body)
	}
	if len(w.items) > 0 || removals || disk.state == working && len(disk.removing) >= maxRemovals {
		w.remove = slices.Sorted(maps.Keys(disk.removing))
		clear(disk.removing)
	}
	return w
}

// nextWrite takes the next item to write, if there is one: first those for which a
// caller waits.
func (d *disk) nextWrite() (next diskWrite, ok bool) {
	switch {
	case len(d.urgent) > 0:
		next = d.urgent[0]
		d.urgent[0] = diskWrite{} // lets the body be collected
		d.urgent = d.urgent[1:]
		return next, true
	case d.spill.len() > 0:
		return diskWrite{Item: d.spill.popFront()}, true
	default:
		return diskWrite{}, false
	}
}

// written handles the success of a commit. It returns the items that ended because their
// records were dropped.
func (q *queue) written(w work, dropped []Record) []Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	disk := q.disk
	disk.stalled = false
	if q.phase == abandoned {
		w.reply(func(uint64) error { return nil })
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
	q.explicit.restore(explicit)
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
	it := Item{Body: r.Body, Automatic: r.Automatic, seq: r.Key, Token: disk.tokens[r.Key]}
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
	if r.Damaged {
		it.Body = nil
	}
	return it, true
}

// failed handles the failure of a commit. Nobody knows whether its items are on disk.
// They stay in memory as far as there is room, and their records are to be removed. It
// returns those for which there is no room.
func (q *queue) failed(w work, cause error) (evicted []Item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	disk := q.disk
	disk.state, disk.stalled, disk.fault = broken, false, cause
	for _, key := range w.remove {
		disk.removing[key] = struct{}{}
	}
	if q.phase == abandoned {
		w.reply(func(uint64) error { return notDurable(cause) })
		return nil
	}
	var back []Item
	for i := range w.items {
		disk.removing[w.items[i].seq] = struct{}{}
		back = append(back, w.items[i].Item)
	}
	for _, write := range disk.urgent {
		w.items = append(w.items, write)
		back = append(back, write.Item)
	}
	disk.urgent = nil
	back = disk.spill.drainTo(back)
	disk.cursor = 0
	evicted = q.takeBack(back)
	gone := map[uint64]bool{}
	for i := range evicted {
		gone[evicted[i].seq] = true
	}
	w.reply(func(seq uint64) error {
		if gone[seq] {
			return ErrQueueFull
		}
		return notDurable(cause)
	})
	q.announceRoom()
	return evicted
}

// takeBack returns items to memory that could not be written, the newest first. It
// evicts those for which there is no room.
func (q *queue) takeBack(items []Item) (evicted []Item) {
	var back []Item
	slices.SortFunc(items, bySeq)
	for _, it := range slices.Backward(items) {
		q.disk.unwritten.remove(&it)
		q.unloadFor(&it)
		if !q.fits(&it) {
			q.ended[Evicted]++
			q.waiters.itemEnded(it.seq)
			evicted = append(evicted, it)
			continue
		}
		q.enterMemory(&it)
		back = append(back, it)
	}
	if len(evicted) > 0 {
		q.reporter.add(Report{Items: evicted, Outcome: Evicted, Err: ErrQueueFull})
	}
	slices.Reverse(back)
	q.restore(back)
	return evicted
}

// recall takes back into memory, whatever its bounds, the items that the keeper has
// not begun to write.
func (q *queue) recall() []Item {
	disk := q.disk
	var items []Item
	rest := work{items: disk.urgent}
	for _, write := range rest.items {
		items = append(items, write.Item)
	}
	disk.urgent = nil
	items = disk.spill.drainTo(items)
	for i := range items {
		disk.unwritten.remove(&items[i])
		q.enterMemory(&items[i])
	}
	rest.reply(func(uint64) error { return notDurable(ErrSpoolBusy) })
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

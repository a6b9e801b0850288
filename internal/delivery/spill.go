package delivery

import "time"

// spillGrace is how long an item may be in memory alone beyond the flush interval.
const spillGrace = 3 * time.Second

// spillFor makes room for an item without loss: it unloads items that are on disk
// too, and moves others there. If that is not enough, the disk takes the item itself,
// if it can; then spillFor reports true, and the item is accepted.
func (q *queue) spillFor(it *Item) bool {
	q.unloadFor(it)
	if q.fits(it) || len(it.Body) > q.maxBytes {
		return false
	}
	for !q.fits(it) && q.canFit(it) {
		lane := q.evictable()
		if !q.disk.takes(lane.front()) {
			break
		}
		q.moveToDisk(lane.popFront())
	}
	if q.fits(it) || !q.disk.takes(it) {
		return false
	}
	q.register(it)
	q.disk.spill.pushBack(it)
	q.disk.unwritten.add(it)
	q.disk.wakeKeeper()
	return true
}

// unloadFor makes room for an item by unloading others that are on disk too.
func (q *queue) unloadFor(it *Item) {
	for q.held.items >= q.maxItems || q.held.bytes+len(it.Body) > q.maxBytes {
		if !q.unloadOne() {
			return
		}
	}
}

// unloadOne removes an item from memory that is on disk too, and reports whether
// there was one.
func (q *queue) unloadOne() bool {
	if q.disk.replay.len() > 0 {
		q.moveToDisk(q.disk.replay.popBack())
		return true
	}
	for _, automatic := range [...]bool{true, false} {
		for _, lane := range q.evictionOrder(automatic) {
			if lane.len() > 0 && q.disk.hasLoaded(lane.front().seq) {
				q.moveToDisk(lane.popFront())
				return true
			}
		}
	}
	return false
}

// noteDiskOnly notes an item that is on disk alone now.
func (q *queue) noteDiskOnly(it *Item) {
	disk := q.disk
	disk.cursor = min(disk.cursor, it.seq)
	switch {
	case it.Token == 0:
	case len(disk.tokens) < maxTokens:
		disk.tokens[it.seq] = it.Token
	default:
		disk.forgotten = append(disk.forgotten, it.Token)
		disk.wakeKeeper()
	}
}

// takeForgotten returns the tokens that were forgotten since the last call.
func (q *queue) takeForgotten() []uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	tokens := q.disk.forgotten
	q.disk.forgotten = nil
	return tokens
}

// spill hands an item that has left its lane to the disk.
func (q *queue) spill(it Item) {
	q.leaveMemory(&it)
	q.disk.spill.pushBack(&it)
	q.disk.unwritten.add(&it)
	q.disk.wakeKeeper()
}

// spillOld moves items to disk that were queued before then, as far as the disk can
// take them. It returns when the oldest of the others was queued, zero if there is
// none, or none that the disk can take now.
func (q *queue) spillOld(then time.Time) time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	oldest := q.spillQuarantine(then)
	for _, lane := range []*deque{&q.waiting.explicit, &q.waiting.automatic} {
		for lane.len() > 0 && !lane.front().Queued.After(then) && q.disk.takes(lane.front()) {
			q.moveToDisk(lane.popFront())
		}
		if lane.len() > 0 && q.disk.takes(lane.front()) {
			oldest = earliest(oldest, lane.front().Queued)
		}
	}
	return oldest
}

// moveToDisk unloads an item that has left its lane, or spills it if it is not on
// disk yet.
func (q *queue) moveToDisk(it Item) {
	if !q.disk.hasLoaded(it.seq) {
		q.spill(it)
		return
	}
	q.leaveMemory(&it)
	q.disk.unload(&it)
	q.noteDiskOnly(&it)
	q.refillReplay()
}

// spillAll moves to disk all waiting items for which it has room.
func (q *queue) spillAll() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.phase == abandoned { // we no longer know which items are on disk too
		return
	}
	for _, lane := range []*deque{&q.waiting.explicit, &q.waiting.automatic} { // explicit items first
		var stays []Item
		for lane.len() > 0 {
			it := lane.popFront()
			if q.disk.hasLoaded(it.seq) || q.disk.hasRoom(&it) {
				q.moveToDisk(it)
			} else {
				stays = append(stays, it)
			}
		}
		lane.restore(stays)
	}
	for q.unloadOne() {
	}
}

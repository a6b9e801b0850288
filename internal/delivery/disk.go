package delivery

import "time"

// disk is the queue's book of the spool. What is there is either on disk alone,
// or loaded: in memory too, in a lane or in flight. It belongs to the queue, and
// its lock.
type disk struct {
	fits     func(records, size int, automatic bool) bool // nil if the spool makes room itself
	up       bool                                         // the spool takes records
	readable bool                                         // it can be read and removed from at least
	stalled  bool                                         // the one commit that is under way takes too long
	wake     chan struct{}                                // there is something to do

	urgent    []diskWrite // to write; somebody waits for each
	spill     deque       // to write; out of the lanes
	unwritten usage       // these and what is being written

	kept     usage               // records of items that have not ended
	loaded   map[uint64]struct{} // those of them that are in memory too
	inMemory usage               // likewise
	removing map[uint64]struct{} // records of items that have ended
	cursor   uint64              // no record below is on disk alone, but for what is just being read
	expected int                 // as many were on disk alone when what is just being read was asked for
	replay   deque               // loaded, waiting for a sender
	tokens   map[uint64]uint64   // of items on disk alone
}

func newDisk(s *Storage, q *queue) *disk {
	records, size, last := s.Spool.Kept()
	q.counts.Accepted = uint64(records) //nolint:gosec // an amount
	q.counts.Recovered = q.counts.Accepted
	q.lastSeq = last
	return &disk{
		fits:     s.Fits,
		up:       true,
		readable: true,
		wake:     make(chan struct{}, 1),
		kept:     usage{records, size},
		loaded:   map[uint64]struct{}{},
		removing: map[uint64]struct{}{},
		tokens:   map[uint64]uint64{},
	}
}

func (k *disk) nudge() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// writable reports whether there is a disk that takes records.
func (k *disk) writable() bool { return k != nil && k.up && !k.stalled }

// takes reports whether it could be handed to the disk.
func (k *disk) takes(it *Item) bool {
	return k.writable() && k.unwritten.items < maxUnwrittenItems && k.unwritten.bytes+len(it.Body) <= maxUnwrittenBytes && k.hasRoom(it)
}

// hasRoom reports whether the spool will not refuse it. What waits to be removed
// is gone when it is written.
func (k *disk) hasRoom(it *Item) bool {
	return k.fits == nil ||
		k.fits(k.kept.items+k.unwritten.items+1, k.kept.bytes+k.unwritten.bytes+len(it.Body), it.Automatic)
}

// declines says why a disk that works does not take it.
func (k *disk) declineReason(it *Item) Outcome {
	if !k.hasRoom(it) {
		return SpoolFull
	}
	return SpoolBusy
}

func (k *disk) hasLoaded(seq uint64) bool {
	if k == nil {
		return false
	}
	_, is := k.loaded[seq]
	return is
}

// outside is what is accepted and not in the queue's own books.
func (k *disk) notHeld() int {
	if k == nil {
		return 0
	}
	return k.unwritten.items + k.kept.items - k.inMemory.items
}

func (k *disk) unload(it *Item) {
	delete(k.loaded, it.seq)
	k.inMemory.remove(it)
}

// settled forgets the record of an item that has ended.
func (k *disk) settled(it *Item) {
	if !k.hasLoaded(it.seq) {
		return
	}
	k.unload(it)
	k.kept.remove(it)
	if len(k.removing) == 0 || len(k.removing) >= maxRemovals {
		defer k.nudge()
	}
	k.removing[it.seq] = struct{}{}
}

// spillFor makes room for it at no loss: by letting go of what is on disk, and
// by handing to the disk what it can take. It reports whether that was it.
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
	q.counts.Accepted++
	q.lastSeq++
	it.seq = q.lastSeq
	q.disk.spill.pushBack(it)
	q.disk.unwritten.add(it)
	q.disk.nudge()
	return true
}

// letGoFor makes room for it with what is on disk too.
func (q *queue) unloadFor(it *Item) {
	for q.held.items >= q.maxItems || q.held.bytes+len(it.Body) > q.maxBytes {
		if !q.unloadOne() {
			return
		}
	}
}

// letGo takes an item out of memory that is on disk too, and reports whether
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

// onDiskAlone notes an item of which nothing but its record is left.
func (q *queue) noteDiskOnly(it *Item) (forgotten bool) {
	q.disk.cursor = min(q.disk.cursor, it.seq)
	if it.Token == 0 {
		return false
	}
	if len(q.disk.tokens) >= maxTokens {
		return true
	}
	q.disk.tokens[it.seq] = it.Token
	return false
}

// handOver takes an item that has left its lane to the disk.
func (q *queue) spill(it Item) {
	q.leaveMemory(&it)
	q.disk.spill.pushBack(&it)
	q.disk.unwritten.add(&it)
	q.disk.nudge()
}

// spillOld takes out of memory what was queued before then: to the disk, where
// it is not there already. It returns when the oldest of the rest was queued,
// zero if there is none, or the disk must first get on.
func (q *queue) spillOld(then time.Time) time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	oldest := q.spillQuarantine(then)
	for _, lane := range []*deque{&q.explicit, &q.automatic} {
		for lane.len() > 0 && !lane.front().Queued.After(then) && q.disk.takes(lane.front()) {
			q.moveToDisk(lane.popFront())
		}
		if lane.len() == 0 || !q.disk.takes(lane.front()) {
			continue
		}
		if at := lane.front().Queued; oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	return oldest
}

// toDisk lets an item that has left its lane be on disk alone, or be handed over.
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

// spillAll hands to the disk all that waits in memory and that it has room for.
func (q *queue) spillAll() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.abandoned { // and what was on disk too is not known any more
		return
	}
	for _, lane := range []*deque{&q.explicit, &q.automatic} { // the weightier first
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

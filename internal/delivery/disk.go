package delivery

import (
	"fmt"
	"math"
	"slices"
	"time"
)

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

// handed is an item on its way to the disk.
type diskWrite struct {
	Item

	done chan error // told when it is written, or cannot be; has room for that
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

// writeAhead accepts an item that is to be on disk before it is queued. Nil
// stands for a disk that does not take it at present.
func (q *queue) writeAhead(it Item) (written <-chan error, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, ErrClosed
	}
	if !q.disk.writable() || len(it.Body) > q.maxBytes {
		return nil, nil //nolint:nilnil // it has to go another way
	}
	q.counts.Accepted++
	if !q.disk.hasRoom(&it) {
		q.count(SpoolFull, 1)
		return nil, ErrSpoolFull
	}
	q.lastSeq++
	it.seq = q.lastSeq
	done := make(chan error, 1)
	q.disk.urgent = append(q.disk.urgent, diskWrite{it, done})
	q.disk.unwritten.add(&it)
	q.disk.nudge()
	return done, nil
}

// stall says that the commit under way takes too long to wait for. It reports
// false if that of the item has ended meanwhile: nobody would take it back.
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

// takeWork takes what is to be written and removed. Removals alone are not
// worth a commit unless there are many, or it is time.
func (q *queue) takeWork(removals bool) work {
	q.mu.Lock()
	defer q.mu.Unlock()
	var w work
	k, size := q.disk, 0
	for len(w.items) < maxCommitItems && size < maxCommitBytes {
		switch {
		case len(k.urgent) > 0:
			w.items = append(w.items, k.urgent[0])
			k.urgent[0] = diskWrite{} // lets the body be collected
			k.urgent = k.urgent[1:]
		case k.spill.len() > 0:
			w.items = append(w.items, diskWrite{Item: k.spill.popFront()})
		default:
			size = maxCommitBytes
			continue
		}
		size += len(w.items[len(w.items)-1].Body)
	}
	if len(w.items) > 0 || removals || len(k.removing) >= maxRemovals {
		for key := range k.removing {
			w.remove = append(w.remove, key)
		}
		clear(k.removing)
		slices.Sort(w.remove)
	}
	return w
}

// aftermath is what is to be told when the lock is gone.
type aftermath struct {
	dropped   []Item // from the disk, for want of room
	evicted   []Item // from memory, as the disk failed
	forgotten []Item // whose token could not be kept
}

// written takes in that a commit succeeded.
func (q *queue) written(w work, dropped []Record) aftermath {
	q.mu.Lock()
	defer q.mu.Unlock()
	var a aftermath
	k := q.disk
	k.stalled = false
	if q.abandoned {
		w.reply(nil)
		return a
	}
	var explicit []Item
	for i := range w.items {
		it := &w.items[i].Item
		k.unwritten.remove(it)
		k.kept.add(it)
		if w.items[i].done != nil && q.fits(it) {
			k.loaded[it.seq] = struct{}{}
			k.inMemory.add(it)
			q.held.add(it)
			explicit = append(explicit, *it)
		} else if q.noteDiskOnly(it) {
			a.forgotten = append(a.forgotten, *it)
		}
	}
	q.explicit.restore(explicit)
	refused := map[uint64]error{}
	for i := range dropped {
		refused[dropped[i].Key] = notDurable(ErrSpoolFull)
		if it, ended := q.dropRecord(&dropped[i], SpoolFull); ended {
			refused[it.seq] = ErrSpoolFull
			a.dropped = append(a.dropped, it)
		}
	}
	for _, h := range w.items {
		if h.done != nil {
			h.done <- refused[h.seq]
		}
	}
	q.announceRoom()
	return a
}

// dropRecord takes in that a record is gone, and reports whether that was the
// end of its item.
func (q *queue) dropRecord(r *Record, outcome Outcome) (Item, bool) {
	k := q.disk
	it := Item{Body: r.Body, Automatic: r.Automatic, seq: r.Key, Token: k.tokens[r.Key]}
	if _, ended := k.removing[r.Key]; ended {
		delete(k.removing, r.Key)
		return it, false
	}
	k.kept.remove(&it)
	if k.hasLoaded(r.Key) {
		k.unload(&it)
		return it, false
	}
	delete(k.tokens, r.Key)
	q.count(outcome, 1)
	q.waiters.itemEnded(r.Key)
	if r.Damaged {
		it.Body = nil
	}
	return it, true
}

// failed takes in that a commit failed: what it was to write stays in memory
// where there is room, and whether it is on disk nobody knows.
func (q *queue) failed(w work, cause error) aftermath {
	q.mu.Lock()
	defer q.mu.Unlock()
	var a aftermath
	k := q.disk
	k.up, k.readable, k.stalled = false, false, false
	for _, key := range w.remove {
		k.removing[key] = struct{}{}
	}
	if q.abandoned {
		w.reply(cause)
		return a
	}
	var back []Item
	for i := range w.items {
		k.removing[w.items[i].seq] = struct{}{}
		back = append(back, w.items[i].Item)
	}
	for _, h := range k.urgent {
		w.items = append(w.items, h)
		back = append(back, h.Item)
	}
	k.urgent = nil
	for k.spill.len() > 0 {
		back = append(back, k.spill.popFront())
	}
	k.cursor = 0
	a.evicted = q.takeBack(back)
	gone := map[uint64]bool{}
	for i := range a.evicted {
		gone[a.evicted[i].seq] = true
	}
	for _, h := range w.items {
		switch {
		case h.done == nil:
		case gone[h.seq]:
			h.done <- ErrFull
		default:
			h.done <- notDurable(cause)
		}
	}
	q.announceRoom()
	return a
}

// recall takes back into memory, whatever its bounds, what the disk has not yet
// begun to write.
func (q *queue) recall() []Item {
	k := q.disk
	if k == nil {
		return nil
	}
	var items []Item
	rest := work{items: k.urgent}
	for _, h := range rest.items {
		items = append(items, h.Item)
	}
	k.urgent = nil
	for k.spill.len() > 0 {
		items = append(items, k.spill.popFront())
	}
	for i := range items {
		k.unwritten.remove(&items[i])
		q.held.add(&items[i])
		if items[i].Automatic {
			q.heldAuto.add(&items[i])
		}
	}
	rest.reply(ErrClosed)
	return items
}

// takeBack returns items to memory that could not be written, the newest first,
// and ends those for which there is no room.
func (q *queue) takeBack(items []Item) (evicted []Item) {
	var back []Item
	slices.SortFunc(items, bySeq)
	for _, it := range slices.Backward(items) {
		q.disk.unwritten.remove(&it)
		q.unloadFor(&it)
		if !q.fits(&it) {
			q.counts.Evicted++
			q.waiters.itemEnded(it.seq)
			evicted = append(evicted, it)
			continue
		}
		q.held.add(&it)
		if it.Automatic {
			q.heldAuto.add(&it)
		}
		back = append(back, it)
	}
	slices.Reverse(back)
	q.restore(back)
	return evicted
}

// tell lets go who waits for the work: it is done, or for that cause not.
func (w work) reply(cause error) {
	for _, h := range w.items {
		switch {
		case h.done == nil:
		case cause == nil:
			h.done <- nil
		default:
			h.done <- notDurable(cause)
		}
	}
}

// notDurable says why an item is in memory alone.
func notDurable(cause error) error { return fmt.Errorf("%w: %w", ErrNotDurable, cause) }

// reopened takes in that the spool works again, for reading at least. If nothing is left of what was
// on disk, it returns how many items ended by that.
func (q *queue) reopened(lost, writable bool) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.disk.up, q.disk.readable = writable, true
	q.announceRoom()
	if !lost {
		return 0
	}
	return q.diskLost()
}

// diskLost ends all that was on disk alone. What is in memory goes on.
func (q *queue) diskLost() int {
	k := q.disk
	n := q.lose(k.kept.items - k.inMemory.items)
	k.kept, k.inMemory = usage{}, usage{}
	clear(k.loaded)
	clear(k.removing)
	clear(k.tokens)
	if q.quarantine.suspects.len()+q.quarantine.culprits.len() > 0 {
		q.quarantine.unspilledSince = time.Now()
	}
	for k.replay.len() > 0 { // of no other kind now
		q.restore([]Item{k.replay.popFront()})
	}
	return n
}

// wanted says what to read from disk: from where, and how much. Nothing, if
// enough is waiting for a sender.
func (q *queue) nextRead() (from uint64, records, size int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	k := q.disk
	window := usage{4 * q.takeItems, q.maxBytes / 4}
	if !k.readable || k.kept.items == k.inMemory.items || k.replay.len() >= window.items/2 || k.replay.bytes >= window.bytes/2 {
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

// knows reports whether a record is no news: its item is in memory, or has ended.
func (q *queue) isKnown(key uint64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, ended := q.disk.removing[key]
	return ended || q.disk.hasLoaded(key)
}

// loaded is what came of reading.
type loadResult struct {
	damaged  []Item // ended, as their records were damaged
	missing  int    // likewise, as their records are not there
	progress bool   // there may be more to read now
}

// load takes in what was read from that key on.
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
			break // it has its turn later
		}
		delete(k.tokens, r.Key)
		k.loaded[r.Key] = struct{}{}
		k.inMemory.add(&it)
		q.held.add(&it)
		if it.Automatic {
			q.heldAuto.add(&it)
		}
		items = append(items, it)
		from, l.progress = r.Key+1, true
	}
	k.cursor = min(k.cursor, from)
	k.replay.restore(items)
	return l
}

// lose ends as many items that were on disk alone and are not there. Who waits
// may have waited for one of them.
func (q *queue) lose(n int) int {
	k := q.disk
	q.count(SpoolLost, uint64(n)) //nolint:gosec // an amount
	if k.kept.items -= n; k.kept.items == k.inMemory.items {
		k.kept = k.inMemory
	}
	if n > 0 {
		q.waiters.endAll(ErrSpoolLost)
	}
	return n
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

// takeReplay takes what one request may carry of what was read from disk.
func (q *queue) takeReplay(shrink int) []Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.refillReplay()
	return q.takeFrom(shrink, q.disk.replay.len(), func() *deque {
		if q.disk.replay.len() == 0 {
			return nil
		}
		return &q.disk.replay
	})
}

// feed has more read from disk where that is worth it.
func (q *queue) refillReplay() {
	if k := q.disk; k != nil && k.readable && k.kept.items > k.inMemory.items && k.replay.len() < 2*q.takeItems {
		k.nudge()
	}
}

// errDamaged says what is wrong with so many records.
func errDamaged(n int) error { return fmt.Errorf("%w: %d records", ErrSpoolLost, n) }

// replaying is how many items that were read from disk wait for a sender.
func (k *disk) replayLen() int {
	if k == nil {
		return 0
	}
	return k.replay.len()
}

// removals is how many records wait to be removed.
func (q *queue) removals() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.disk.removing)
}

package delivery

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

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
		return nil
	}
	for i := range w.items {
		disk.removing[w.items[i].seq] = struct{}{}
	}
	w.items = append(w.items, disk.takeWrites(math.MaxInt, math.MaxInt)...)
	disk.cursor = 0
	evicted = q.takeBack(w.items)
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
func (q *queue) takeBack(writes []diskWrite) (evicted []Item) {
	var back []Item
	slices.SortFunc(writes, func(a, b diskWrite) int { return bySeq(a.Item, b.Item) })
	for i := range slices.Backward(writes) {
		it := writes[i].Item
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
	q.waiting.restore(back)
	return evicted
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
	q.quarantine.unspilledSince = time.Now()    // if there is any
	q.waiting.restore(disk.replay.drainTo(nil)) // they are like all others now
	return lost
}

// loss is items that ended because their records are damaged or gone.
type loss struct {
	items  int
	tokens []uint64
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

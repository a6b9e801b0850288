package delivery

import (
	"cmp"
	"errors"
	"log/slog"
	"time"
)

// inheritInterval is the time between two looks at what ended processes left, if there
// was nothing, or it could not be taken over.
const inheritInterval = time.Minute

// narrowBytes is what is taken at once after a failure, until none is left: less than what
// Reopen has just written to see whether the disk takes it.
const narrowBytes = 256 << 10

// Leftovers are records that processes which have ended left in folders of their own. One
// goroutine uses them.
type Leftovers interface {
	// Take returns some of them, the oldest first: at most so many, and with bodies of at
	// most size bytes, unless the first is larger. Their keys mean nothing here. If there
	// are any, no other process gets them until Done. With an error there may be some all
	// the same. ErrSpoolFull says that this process's own spool has no room for more now.
	Take(records, size int) ([]Record, error)

	// Done ends a Take that returned records. It removes them if they are safe, on disk
	// elsewhere.
	Done(safe bool) error
}

// heir is the part of the keeper that takes over what ended processes left.
type heir struct {
	at    time.Time // when to look next
	size  int       // of the bodies to take at once; 0 for the usual
	fault string    // why the last look failed, which has been logged; or ""
}

// inherit writes records that ended processes left to this one's spool, and reports
// whether there is more to do. Between the commit and Done a crash leaves them in both,
// and they are sent twice.
func (k *keeper) inherit(now time.Time) bool {
	if k.cfg.Leftovers == nil || k.queue.disk.state != working || now.Before(k.heir.at) || !k.queue.mayInherit() {
		return false
	}
	if k.queue.removals() > 0 { // they make room
		k.commit(k.queue.takeWork(true, k.portion))
		return true
	}
	k.heir.at = now.Add(inheritInterval)
	records, err := k.cfg.Leftovers.Take(maxCommitItems, cmp.Or(k.heir.size, maxCommitBytes))
	if errors.Is(err, ErrSpoolFull) {
		k.heir.at = now.Add(removalsAfter)
		return false
	}
	if len(records) == 0 {
		k.heir.size = 0
	} else {
		cause := k.takeOver(records)
		err = errors.Join(err, cause)
		if undone := k.cfg.Leftovers.Done(cause == nil); undone != nil {
			k.cfg.Logger.Warn("klime: what an ended process left was taken over, but not removed", slog.Any("error", undone))
		} else if cause == nil {
			k.cfg.Logger.Info("klime: events that an ended process left are taken over", slog.Int("events", len(records)))
			k.heir.at = now // for more
		}
	}
	fault := ""
	if err != nil && !errors.Is(err, ErrClosed) {
		fault = err.Error()
	}
	if fault != "" && fault != k.heir.fault && k.queue.disk.state == working { // else that has been logged
		k.cfg.Logger.Warn("klime: what an ended process left cannot be taken over", slog.Any("error", err))
	}
	k.heir.fault = fault
	return len(records) > 0
}

// takeOver writes records that an ended process left. If that fails, as so many have no
// room, nothing has happened to them, and the next portion is smaller.
func (k *keeper) takeOver(records []Record) error {
	w, damaged, err := k.queue.reserve(records)
	if err != nil {
		return err
	}
	dropped, err := k.cfg.Spool.Commit(w.records(), nil)
	if err != nil {
		k.queue.giveUp(w)
		k.heir.size = narrowBytes
		k.reopen(err)
		return err
	}
	a, ok := k.queue.inherited(w, damaged, dropped)
	k.tellAftermath(a)
	if ok {
		k.lose(loss{items: len(damaged)})
	}
	return nil
}

// mayInherit reports whether there is little on disk, and all of that in memory too. So
// what this process has there goes first, and in an outage the rest is left to others.
func (q *queue) mayInherit() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.phase == open && q.disk.alone() == 0 && q.disk.kept.items <= q.maxItems/10
}

// reserve gives keys to records that another process left. They are not accepted until they
// are written. Damaged ones have no key: they end then.
func (q *queue) reserve(records []Record) (w work, damaged []Item, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.phase != open {
		return work{}, nil, ErrClosed
	}
	now := time.Now()
	for i := range records {
		r := &records[i]
		it := Item{Body: r.Body, Automatic: r.Automatic, Queued: now, attempts: int32(r.Attempts)} //nolint:gosec // small
		if r.Damaged {
			it.Body = nil
			damaged = append(damaged, it)
			continue
		}
		q.lastSeq++
		it.seq = q.lastSeq
		w.items = append(w.items, diskWrite{Item: it})
	}
	q.disk.reserved = len(w.items)
	return w, damaged, nil
}

// giveUp forgets records that could not be written. Perhaps they were, all the same.
func (q *queue) giveUp(w work) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.disk.reserved = 0
	for i := range w.items {
		q.disk.removing[w.items[i].seq] = struct{}{}
		q.waiters.itemEnded(w.items[i].seq)
	}
}

// inherited accepts records that were written, and ends the damaged ones. It reports false
// if the account is closed: then they are on disk for the next process.
func (q *queue) inherited(w work, damaged []Item, dropped []Record) (a aftermath, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.disk.reserved = 0
	if q.phase == abandoned {
		return a, false
	}
	n := uint64(len(w.items) + len(damaged))
	q.accepted, q.recovered = q.accepted+n, q.recovered+n
	q.ended[SpoolLost] += uint64(len(damaged))
	for i := range w.items {
		q.disk.unwritten.add(&w.items[i].Item)
	}
	return q.noteWritten(w, dropped), true
}

package delivery

import (
	"cmp"
	"errors"
	"log/slog"
	"slices"
	"time"
)

const (
	// inheritInterval is the time between two looks at what ended processes left, if there
	// was nothing, or it could not be taken over.
	inheritInterval = time.Minute

	// narrowBytes is what is taken over at once after a failure, until none is left: less
	// than what Reopen has just written to see whether the disk takes it.
	narrowBytes = 256 << 10
)

// Leftovers are records that processes which have ended left in folders of their own. One
// goroutine uses them.
type Leftovers interface {
	// TakeOver gives some of them to keep, the oldest first: at most so many, and with bodies
	// of at most size bytes, unless the first is larger. Their keys mean nothing here, and
	// keep may change them. No other process gets them meanwhile. If keep returns nil, it
	// has them on disk, and they are removed. TakeOver returns how many it has removed, and
	// why others could not be had. That is none if there are none, if keep fails, or if they
	// cannot be removed now, which TakeOver logs. ErrSpoolFull says that this process's own
	// spool has no room for more now.
	TakeOver(records, size int, keep func([]Record) error) (n int, err error)
}

// inherit writes records that ended processes left to this one's spool, and reports
// whether there is more to do. Between the commit and the removal a crash leaves them in
// both, and they are sent twice.
func (k *keeper) inherit(now time.Time) bool {
	if k.cfg.Leftovers == nil || k.queue.disk.state != working || now.Before(k.inheritAt) || !k.queue.mayInherit() {
		return false
	}
	if k.queue.removals() > 0 { // they make room
		k.commit(k.queue.takeWork(true, k.portion))
		return true
	}
	k.inheritAt = now.Add(inheritInterval)
	offered := false
	n, err := k.cfg.Leftovers.TakeOver(maxCommitItems, cmp.Or(k.inheritBytes, maxCommitBytes), func(records []Record) error {
		offered = true
		return k.takeOver(records)
	})
	if errors.Is(err, ErrSpoolFull) {
		k.inheritAt = now.Add(removalsAfter)
		return false
	}
	switch {
	case n > 0:
		k.cfg.Logger.Info("klime: events that an ended process left are taken over", slog.Int("events", n))
		k.inheritAt = now // for more
	case !offered:
		k.inheritBytes = 0
	}
	k.noteInheritance(err)
	return offered
}

// noteInheritance logs each cause once why leftovers cannot be taken over, until it changes.
func (k *keeper) noteInheritance(err error) {
	fault := ""
	if err != nil && !errors.Is(err, ErrClosed) {
		fault = err.Error()
	}
	if fault != "" && fault != k.inheritFault && k.queue.disk.state == working { // else that has been logged
		k.cfg.Logger.Warn("klime: what an ended process left cannot be taken over", slog.Any("error", err))
	}
	k.inheritFault = fault
}

// takeOver writes records that an ended process left. If that fails, as so many have no
// room, nothing has happened to them, and the next portion is smaller.
func (k *keeper) takeOver(records []Record) error {
	n := len(records)
	records = slices.DeleteFunc(records, func(r Record) bool { return r.Damaged })
	damaged := n - len(records)
	if !k.queue.reserve(records) {
		return ErrClosed
	}
	dropped, err := k.cfg.Spool.Commit(records, nil)
	if err != nil {
		k.queue.giveUp(records)
		k.inheritBytes = narrowBytes
		k.reopen(err)
		return err
	}
	k.tellAll(k.queue.inherited(records, damaged, dropped), SpoolFull)
	k.wakeDispatcher()
	return nil
}

// mayInherit reports whether there is little on disk, and all of that in memory too. So
// what this process has there goes first, and in an outage the rest is left to others.
func (q *queue) mayInherit() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.phase < sealed && q.disk.alone() == 0 && q.disk.kept.items <= q.maxItems/10
}

// reserve gives records that another process left keys of this one's. They are not accepted
// until they are written. It reports false once the queue is sealed.
func (q *queue) reserve(records []Record) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.phase >= sealed {
		return false
	}
	for i := range records {
		q.lastSeq++
		records[i].Key = q.lastSeq
	}
	q.disk.reserved = len(records)
	return true
}

// giveUp forgets records that could not be written. Perhaps they were, all the same.
func (q *queue) giveUp(records []Record) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.disk.reserved = 0
	for i := range records {
		q.disk.removing[records[i].Key] = struct{}{}
		q.waiters.itemEnded(records[i].Key)
	}
}

// inherited accepts records that were written, and as many damaged ones, which end by that.
// It returns the items that ended because their records were dropped. If the account is
// closed, the records are on disk for the next process.
func (q *queue) inherited(records []Record, damaged int, dropped []Record) []Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	disk := q.disk
	disk.reserved, disk.stalled = 0, false
	if q.phase == abandoned {
		return nil
	}
	n := uint64(len(records) + damaged) //nolint:gosec // an amount
	q.accepted, q.recovered = q.accepted+n, q.recovered+n
	q.ended[SpoolLost] += uint64(damaged) //nolint:gosec // an amount
	q.reportLost(damaged)
	for i := range records {
		disk.kept.add(&Item{Body: records[i].Body})
		disk.cursor = min(disk.cursor, records[i].Key)
	}
	ended, _ := q.dropRecords(dropped)
	q.announceRoom()
	return ended
}

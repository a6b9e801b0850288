package delivery

import (
	"log/slog"
	"time"
)

// inheritInterval is the time between two looks at what ended processes left, if there
// was nothing.
const inheritInterval = time.Minute

// Leftovers are records that processes which have ended left in folders of their own. One
// goroutine uses them.
type Leftovers interface {
	// Take returns some of them, the oldest first: at most so many, and with bodies of at
	// most size bytes, unless the first is larger. Their keys mean nothing here. If there
	// are any, no other process gets them until Done. With an error there may be some all
	// the same.
	Take(records, size int) ([]Record, error)

	// Done ends a Take that returned records. It removes them if they are safe, on disk
	// elsewhere.
	Done(safe bool) error
}

// inherit writes records that ended processes left to this one's spool, and reports
// whether there were any. Between the commit and Done a crash leaves them in both, and
// they are sent twice.
func (k *keeper) inherit(now time.Time) bool {
	if k.cfg.Leftovers == nil || k.faulty || now.Before(k.inheritAt) || !k.queue.mayInherit() {
		return false
	}
	k.inheritAt = now.Add(inheritInterval)
	records, err := k.cfg.Leftovers.Take(maxCommitItems, maxCommitBytes)
	if err != nil && !k.inheritFails {
		k.cfg.Logger.Warn("klime: what an ended process left cannot be taken over", slog.Any("error", err))
	}
	k.inheritFails = err != nil
	if len(records) == 0 {
		return false
	}
	w, damaged, ok := k.queue.inherit(records)
	if ok {
		k.commit(w)
		k.lose(damaged, loss{})
	}
	safe := ok && !k.down
	if err := k.cfg.Leftovers.Done(safe); err != nil {
		k.cfg.Logger.Warn("klime: what an ended process left was taken over, but not removed", slog.Any("error", err))
		return true // and the next look, which finds it again, is not at once
	}
	if safe {
		k.cfg.Logger.Info("klime: events that an ended process left are taken over", slog.Int("events", len(records)))
		k.inheritAt = now // for more
	}
	return true
}

// mayInherit reports whether there is little on disk, and all of that in memory too. So
// what this process has there goes first, and in an outage the rest is left to others.
func (q *queue) mayInherit() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.phase == open && q.disk.kept.items == q.disk.inMemory.items && q.disk.kept.items <= q.maxItems/10
}

// inherit accepts records that another process left, for a commit. Those that are damaged
// end. It reports false if the account is closed.
func (q *queue) inherit(records []Record) (w work, damaged []Item, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.phase == abandoned {
		return work{}, nil, false
	}
	now := time.Now()
	for i := range records {
		r := &records[i]
		it := Item{Body: r.Body, Automatic: r.Automatic, Queued: now, attempts: int32(r.Attempts)} //nolint:gosec // small
		q.register(&it)
		q.recovered++
		if r.Damaged {
			it.Body = nil
			q.ended[SpoolLost]++
			damaged = append(damaged, it)
			continue
		}
		w.items = append(w.items, diskWrite{Item: it})
		q.disk.unwritten.add(&it)
	}
	return w, damaged, true
}

package delivery

import (
	"bytes"
	"time"
)

// quarantine holds items of requests that may have failed because of what one of
// their events says. At first all of them are suspects. They are tried in turn with
// other items, but not in the same batch. A batch that fails again is halved, until the
// culprit stands alone. It is tried again and again, but holds up no other item. Each
// batch is halved on its own, as requests may also fail by chance, at one bad server of
// several: then most halves get through, and the next batch is a whole one. The queue's
// lock guards the quarantine.
type quarantine struct {
	suspects, culprits lanes
	automaticNext      bool      // it is the turn of the automatic lane
	unspilledSince     time.Time // when the oldest that is in memory alone was queued; zero if there is none
}

// isolate puts items that were taken and not settled into quarantine. Items that
// were there before (again) go behind the others.
func (q *queue) isolate(items []Item, as source, again bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.announceRoom() // they can be evicted again
	for i := range items {
		if !q.disk.hasLoaded(items[i].seq) {
			q.quarantine.unspilledSince = earliest(q.quarantine.unspilledSince, items[i].Queued)
		}
	}
	to := q.quarantineOf(as)
	if !again {
		to.restore(items)
		return
	}
	for i := range items {
		if as == fromCulprits { // it may stay for long, and must not hold what it shares memory with
			items[i].Body = bytes.Clone(items[i].Body)
		}
		to.laneFor(&items[i]).pushBack(&items[i])
	}
}

// quarantineOf returns the part of the quarantine that source names.
func (q *queue) quarantineOf(as source) *lanes {
	if as == fromCulprits {
		return &q.quarantine.culprits
	}
	return &q.quarantine.suspects
}

// takeQuarantined removes the items of one request: 2^-shrink of the usual, or less after
// so many halvings, from the explicit and the automatic lane in turn.
func (q *queue) takeQuarantined(from source, shrink int) []Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.quarantineOf(from)
	lane := &l.explicit
	if lane.len() == 0 || q.quarantine.automaticNext && l.automatic.len() > 0 {
		lane = &l.automatic
	}
	q.quarantine.automaticNext = lane == &l.explicit
	if lane.len() == 0 {
		return nil
	}
	halvings := lane.front().halvings
	return q.takeFrom(max(shrink, int(halvings)), lane.len(), func() *deque {
		if lane.len() == 0 || lane.front().halvings != halvings {
			return nil
		}
		return lane
	})
}

// halve has the next batch of items that failed together be at most half as large. A usual
// batch has usual items.
func halve(items []Item, usual int) {
	n := uint8(0)
	for n < maxShrink && usual>>n > max(1, len(items)/2) {
		n++
	}
	for i := range items {
		items[i].halvings = n
	}
}

// dissolve puts all quarantined items back to where they stood in the queue.
func (q *queue) dissolve() {
	q.mu.Lock()
	var items []Item
	for _, lane := range q.quarantineDeques() {
		items = lane.drainTo(items)
	}
	q.mu.Unlock()
	q.putBack(items)
}

// quarantineDeques returns all lanes of the quarantine, explicit items first.
func (q *queue) quarantineDeques() [4]*deque {
	z := &q.quarantine
	return [...]*deque{&z.suspects.explicit, &z.culprits.explicit, &z.suspects.automatic, &z.culprits.automatic}
}

// spillQuarantine is spillOld for the quarantine. Items that were read from disk
// stay in memory, as they are on disk already.
func (q *queue) spillQuarantine(then time.Time) (oldest time.Time) {
	switch {
	case q.quarantine.unspilledSince.IsZero(), q.quarantine.unspilledSince.After(then):
		return q.quarantine.unspilledSince
	case !q.disk.takes(&Item{}):
		return time.Time{} // it takes no item at all
	}
	since := time.Time{}
	for _, lane := range q.quarantineDeques() {
		for range lane.len() {
			it := lane.popFront()
			if q.disk.hasLoaded(it.seq) {
				lane.pushBack(&it)
				continue
			}
			hasRoom := q.disk.takes(&it)
			if hasRoom && !it.Queued.After(then) {
				q.spill(it)
				continue
			}
			lane.pushBack(&it)
			since = earliest(since, it.Queued)
			if hasRoom {
				oldest = earliest(oldest, it.Queued)
			}
		}
	}
	q.quarantine.unspilledSince = since
	return oldest
}

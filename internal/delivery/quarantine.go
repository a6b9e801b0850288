package delivery

import (
	"slices"
	"time"
)

// Items whose request fails are put in quarantine, as suspects: it may be for one of
// them that it failed. They are tried by turns with the others, apart from them, and in
// ever smaller numbers, until the culprit stands alone. It is tried again for ever, but
// holds up nobody.

// apart is what is in quarantine. It belongs to the queue, and its lock.
type quarantine struct {
	suspects, culprits lanes
	automaticNext      bool
	unspilledSince     time.Time // since when the oldest was in memory alone, zero for none
}

// isolate puts what was taken and not settled in quarantine. Who was there stands behind
// the others.
func (q *queue) isolate(items []Item, as source, again bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.announceRoom() // they may make room again for others
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
		to.laneFor(&items[i]).pushBack(&items[i])
	}
}

func (q *queue) quarantineOf(as source) *lanes {
	if as == fromCulprits {
		return &q.quarantine.culprits
	}
	return &q.quarantine.suspects
}

// takeApart removes what one request is to carry of them: 2^-shrink of the usual.
func (q *queue) takeQuarantined(from source, shrink int) []Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.quarantineOf(from)
	lane := &l.explicit
	if lane.len() == 0 || q.quarantine.automaticNext && l.automatic.len() > 0 {
		lane = &l.automatic
	}
	q.quarantine.automaticNext = lane == &l.explicit
	return q.takeFrom(shrink, lane.len(), func() *deque {
		if lane.len() == 0 {
			return nil
		}
		return lane
	})
}

// dissolve puts what is in quarantine back to where it stood.
func (q *queue) dissolve() {
	q.mu.Lock()
	var items []Item
	for _, lane := range q.quarantineDeques() {
		for lane.len() > 0 {
			items = append(items, lane.popFront())
		}
	}
	q.mu.Unlock()
	slices.SortFunc(items, bySeq)
	q.putBack(items)
}

func (q *queue) quarantineDeques() [4]*deque {
	a := &q.quarantine
	return [...]*deque{&a.suspects.explicit, &a.culprits.explicit, &a.suspects.automatic, &a.culprits.automatic}
}

// spillApart is spillOld for what is in quarantine. What comes back from disk is also
// there, and stays.
func (q *queue) spillQuarantine(then time.Time) (oldest time.Time) {
	switch {
	case q.quarantine.unspilledSince.IsZero(), q.quarantine.unspilledSince.After(then):
		return q.quarantine.unspilledSince
	case !q.disk.takes(&Item{}):
		return time.Time{} // nor anything else: no need to go through all
	}
	q.quarantine.unspilledSince = time.Time{}
	for _, lane := range q.quarantineDeques() {
		for range lane.len() {
			it := lane.popFront()
			switch {
			case q.disk.hasLoaded(it.seq):
			case !q.disk.takes(&it):
				q.quarantine.unspilledSince = earliest(q.quarantine.unspilledSince, it.Queued)
			case it.Queued.After(then):
				q.quarantine.unspilledSince, oldest = earliest(q.quarantine.unspilledSince, it.Queued), earliest(oldest, it.Queued)
			default:
				q.spill(it)
				continue
			}
			lane.pushBack(&it)
		}
	}
	return oldest
}

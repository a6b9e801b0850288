package delivery

import "fmt"

// Overflow says what gives way to an explicit item for which a full queue has
// no room, once there are no automatic items left to evict.
type Overflow int

// What gives way.
const (
	DropOldest Overflow = iota // the oldest explicit item
	DropNewest                 // the new item
	Block                      // the caller, until there is room
)

// automaticShare is the part of the queue, in fifths, that automatic items may
// take: a flood of requests must leave room for what the app said itself.
const automaticShare = 4

// usage is an amount of items.
type usage struct{ items, bytes int }

func (u *usage) add(it *Item) { u.items++; u.bytes += len(it.Body) }

func (u *usage) remove(it *Item) { u.items--; u.bytes -= len(it.Body) }

// makeRoom evicts what must go for an item, unless that has to wait. It returns an error
// where that would not do.
func (q *queue) makeRoom(it *Item, patient bool) (admission, error) {
	a := admission{outcome: Evicted}
	if q.disk.writable() && len(it.Body) <= q.maxBytes {
		a.outcome = q.disk.declineReason(it)
	}
	canFit := q.canFit(it)
	if patient && (it.Patient || !canFit) {
		a.waits, a.wake = true, true
		return a, nil
	}
	if !canFit {
		q.counts.Accepted++
		q.count(a.outcome, 1)
		return a, q.refusal(a.outcome)
	}
	for !q.fits(it) {
		if victim := q.evict(a.outcome); q.wantsReports || victim.Token != 0 {
			a.evicted = append(a.evicted, victim)
		} else {
			a.dropped++
		}
	}
	return a, nil
}

// refusal says why there is no room for an item.
func (q *queue) refusal(outcome Outcome) error {
	switch {
	case q.halt != nil:
		return fmt.Errorf("%w: %w", ErrFull, q.halt)
	case outcome == SpoolFull:
		return fmt.Errorf("%w: %w", ErrFull, ErrSpoolFull)
	default:
		return ErrFull
	}
}

// mayWait reports whether an item waits for room, if there is none. That may be
// long in coming.
func (q *queue) mayWait(it *Item) bool {
	return (it.Patient || q.overflow == Block && !it.Automatic) &&
		!q.refuses(it) && q.halt == nil && len(it.Body) <= q.maxBytes
}

func (q *queue) fits(it *Item) bool {
	return q.fitsBeside(it, q.held, q.heldAuto)
}

// fitsBeside reports whether there is room for it beside so much, of which so
// much is automatic.
func (q *queue) fitsBeside(it *Item, held, heldAuto usage) bool {
	held.add(it)
	if held.items > q.maxItems || held.bytes > q.maxBytes {
		return false
	}
	heldAuto.add(it)
	return !it.Automatic || heldAuto.items <= q.maxAutomatic.items && heldAuto.bytes <= q.maxAutomatic.bytes
}

// canFit reports whether there would be room for it when all had gone that may
// go for its sake: automatic items first, then, for an explicit one, culprits, and by
// policy also other explicit ones.
func (q *queue) canFit(it *Item) bool {
	held, heldAuto := q.held, q.heldAuto
	if !it.Automatic || q.overflow != DropNewest {
		for _, gone := range q.evictionOrder(true) {
			held.items, held.bytes = held.items-gone.len(), held.bytes-gone.bytes
			heldAuto.items, heldAuto.bytes = heldAuto.items-gone.len(), heldAuto.bytes-gone.bytes
		}
	}
	if !it.Automatic && q.overflow == DropOldest {
		for _, gone := range q.evictionOrder(false) {
			held.items, held.bytes = held.items-gone.len(), held.bytes-gone.bytes
		}
	} else if gone := &q.quarantine.culprits.explicit; !it.Automatic { // else they would fill the queue in the end
		held.items, held.bytes = held.items-gone.len(), held.bytes-gone.bytes
	}
	return q.fitsBeside(it, held, heldAuto)
}

// evict takes out the item that goes first. canFit has seen that there is one.
func (q *queue) evict(outcome Outcome) Item {
	victim := q.evictable().popFront()
	q.count(outcome, 1)
	q.release(&victim)
	return victim
}

// evictable is the lane whose front goes first.
func (q *queue) evictable() *deque {
	for _, automatic := range [...]bool{true, false} {
		for _, lane := range q.evictionOrder(automatic) {
			if lane.len() > 0 {
				return lane
			}
		}
	}
	return &q.explicit
}

// ofKind are the lanes of automatic items, or of the others, in the order in which they
// give way. What is in quarantine is older than what is not, or nearly so.
func (q *queue) evictionOrder(automatic bool) [3]*deque {
	if automatic {
		return [...]*deque{&q.quarantine.culprits.automatic, &q.quarantine.suspects.automatic, &q.automatic}
	}
	return [...]*deque{&q.quarantine.culprits.explicit, &q.quarantine.suspects.explicit, &q.explicit}
}

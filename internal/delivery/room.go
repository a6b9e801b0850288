package delivery

import "fmt"

// Overflow says what gives way when a full queue has no room for an explicit item
// and no automatic items are left to evict.
type Overflow int

// What gives way.
const (
	DropOldest Overflow = iota // the oldest explicit item
	DropNewest                 // the new item
	Block                      // the caller, until there is room
)

// automaticShare is the part of the queue, in fifths, that automatic items may take:
// a flood of requests must leave room for explicit items.
const automaticShare = 4

// amount is a number of items and the size of their bodies.
type amount struct{ items, bytes int }

func (u *amount) add(it *Item) { u.items++; u.bytes += len(it.Body) }

func (u *amount) remove(it *Item) { u.items--; u.bytes -= len(it.Body) }

// subtract takes off the items of a lane.
func (u *amount) subtract(lane *deque) { u.items -= lane.len(); u.bytes -= lane.bytes }

// makeRoom evicts what must go for an item, if it does not fit. If patient is set, the
// item waits instead: a Patient one rather than evict any other, all others if evicting
// is not enough. A Patient one whose wait Shutdown has ended is given up. An item that
// neither fits nor waits is refused with an error.
func (q *queue) makeRoom(a *admission, it *Item, patient bool) error {
	if q.fits(it) {
		return nil
	}
	a.outcome = Evicted
	if q.disk.writable() && len(it.Body) <= q.maxBytes {
		a.outcome = q.disk.declineReason(it)
	}
	canFit := q.canFit(it)
	if patient && (it.Patient || !canFit) {
		a.waits, a.wake = true, true
		return nil
	}
	if q.phase >= closing && it.Patient { // Shutdown's time is over: what it would evict is not delivered either
		a.outcome, canFit = Abandoned, false
		q.leaveOut(it)
	}
	if !canFit {
		q.accepted++
		q.ended[a.outcome]++
		err := q.refusal(a.outcome)
		if a.outcome != Abandoned { // else Shutdown reports it with the others
			q.reporter.add(Report{Items: []Item{*it}, Outcome: a.outcome, Err: err})
		}
		return err
	}
	q.evictFor(a, it)
	return nil
}

// evictFor evicts items until another fits.
func (q *queue) evictFor(a *admission, it *Item) {
	dropped := 0
	for ; !q.fits(it); dropped++ {
		if victim := q.evict(a.outcome); q.reporter.tell != nil || victim.Token != 0 {
			a.evicted = append(a.evicted, victim)
		}
	}
	if q.reporter.tell == nil {
		q.reporter.count(a.outcome, dropped, it.Queued)
	} else {
		q.reporter.add(Report{Items: a.evicted, Outcome: a.outcome, Err: a.outcome.dropError()})
	}
}

// leaveOut keeps a patient item for Shutdown's report, if there is one and room in it.
func (q *queue) leaveOut(it *Item) {
	if q.reporter.tell != nil && q.leftOut.len() < maxReportItems && q.leftOut.bytes < maxReportBytes {
		q.leftOut.pushBack(it)
	} else {
		q.untold++
	}
}

// refusal is the error for an item for which there is no room.
func (q *queue) refusal(outcome Outcome) error {
	if q.halt != nil {
		return fmt.Errorf("%w: %w", outcome.dropError(), q.halt)
	}
	return outcome.dropError()
}

// isPatient reports whether an item is one that waits if it does not fit.
func (q *queue) isPatient(it *Item) bool { return it.Patient || q.overflow == Block && !it.Automatic }

// mayWait reports whether waiting may help a patient item. A halt may last, so that under
// Block nobody waits for its end.
func (q *queue) mayWait(it *Item) bool {
	return !q.refuses(it) && (it.Patient || q.halt == nil) && len(it.Body) <= q.maxBytes
}

func (q *queue) fits(it *Item) bool {
	return q.fitsBeside(it, q.held, q.heldAuto)
}

// fitsBeside reports whether an item fits beside what is held, of which heldAuto is
// automatic.
func (q *queue) fitsBeside(it *Item, held, heldAuto amount) bool {
	held.add(it)
	if held.items > q.maxItems || held.bytes > q.maxBytes {
		return false
	}
	heldAuto.add(it)
	return !it.Automatic || heldAuto.items <= q.maxAutomatic.items && heldAuto.bytes <= q.maxAutomatic.bytes
}

// canFit reports whether an item would fit if everything went that may be evicted for
// it. For an explicit item these are automatic items, explicit culprits, and under
// DropOldest all explicit items; for an automatic one, under DropNewest, nothing, and
// else automatic items.
func (q *queue) canFit(it *Item) bool {
	held, heldAuto := q.held, q.heldAuto
	if !it.Automatic || q.overflow != DropNewest {
		for _, lane := range q.evictionOrder(true) {
			held.subtract(lane)
			heldAuto.subtract(lane)
		}
	}
	switch {
	case it.Automatic:
	case q.overflow == DropOldest:
		for _, lane := range q.evictionOrder(false) {
			held.subtract(lane)
		}
	default: // else culprits would fill the queue in the end
		held.subtract(&q.quarantine.culprits.explicit)
	}
	return q.fitsBeside(it, held, heldAuto)
}

// evict takes out the item that goes first. canFit has seen that there is one.
func (q *queue) evict(outcome Outcome) Item {
	victim := q.evictable().popFront()
	q.ended[outcome]++
	q.release(&victim)
	return victim
}

// evictable returns the lane whose front is evicted first.
func (q *queue) evictable() *deque {
	for _, automatic := range [...]bool{true, false} {
		for _, lane := range q.evictionOrder(automatic) {
			if lane.len() > 0 {
				return lane
			}
		}
	}
	return &q.waiting.explicit
}

// evictionOrder returns the lanes of automatic items, or of explicit ones, in the
// order in which they are evicted. Quarantined items are older than the others, or
// nearly so.
func (q *queue) evictionOrder(automatic bool) [3]*deque {
	if automatic {
		return [...]*deque{&q.quarantine.culprits.automatic, &q.quarantine.suspects.automatic, &q.waiting.automatic}
	}
	return [...]*deque{&q.quarantine.culprits.explicit, &q.quarantine.suspects.explicit, &q.waiting.explicit}
}

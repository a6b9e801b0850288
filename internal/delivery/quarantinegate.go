package delivery

import "time"

const (
	// After lastingFailures failures in a row, suspects take turns with other items, and are
	// tried in smaller batches, though nothing was delivered meanwhile: perhaps only some of
	// the suspects can show that the endpoint works.
	lastingFailures = 3

	// haste is by how much the pause before the next suspects is shorter than others: the
	// endpoint works.
	haste = 4
)

// quarantineGate decides when quarantined items are tried again, and how many at
// once. It belongs to the dispatcher.
type quarantineGate struct {
	healthy    bool      // something was delivered since items outside the quarantine last failed: what fails in it now is at fault
	suspectsAt time.Time // no suspects are tried before this
	culpritsAt time.Time // no culprits are tried before this
	failures   int       // of culprits, in a row
	inFlight   bool      // a job with some of them is out: there is one at a time
}

// next returns which items to try now, if any. If they only have to wait, at says
// until when.
func (g *quarantineGate) next(now time.Time, p pending) (from source, ok bool, at time.Time) {
	if g.inFlight {
		return 0, false, time.Time{}
	}
	if p.suspects > 0 {
		if at = g.suspectsAt; !now.Before(at) {
			return fromSuspects, true, time.Time{}
		}
	}
	if p.culprits > 0 {
		if !now.Before(g.culpritsAt) {
			return fromCulprits, true, time.Time{}
		}
		at = earliest(at, g.culpritsAt)
	}
	return 0, false, at
}

// delivered notes that items from this source were delivered. If they went out before
// the gate last closed (isOld), that does not show that what failed is at fault.
func (g *quarantineGate) delivered(from source, isOld bool) {
	g.healthy = g.healthy || !isOld
	switch from {
	case fromSuspects:
		g.suspectsAt = time.Time{}
	case fromCulprits:
		g.failures, g.culpritsAt = 0, time.Time{}
	case fromQueue, fromDisk:
	}
}

// shrink is by how much batches of suspects are smaller than usual after so many failures of
// the endpoint in a row. Once something is delivered, only those are that fail again: see halve.
func (g *quarantineGate) shrink(failures int) int {
	if g.healthy {
		return 0
	}
	return min(max(0, failures-lastingFailures+1), maxShrink)
}

// hurry lets all quarantined items be tried at once.
func (g *quarantineGate) hurry() { g.suspectsAt, g.culpritsAt = time.Time{}, time.Time{} }

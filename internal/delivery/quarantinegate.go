package delivery

import "time"

// After lastingFailures failures in a row, suspects are tried in smaller batches
// even if nothing else was delivered meanwhile: if there are no other items, only
// some of the suspects can show that the endpoint works.
const lastingFailures = 3

// quarantineGate decides when quarantined items are tried again, and how many at
// once. It belongs to the dispatcher.
type quarantineGate struct {
	healthy    bool      // something was delivered since items outside the quarantine last failed: what fails in it now is at fault
	size       batchSize // of suspects
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
		g.size.succeeded()
	case fromCulprits:
		g.failures, g.culpritsAt = 0, time.Time{}
	case fromQueue, fromDisk:
	}
}

// halve makes the next batch of suspects at most half as large as the one just
// tried. A usual batch has usual items.
func (g *quarantineGate) halve(tried, usual int) {
	g.size.successes = 0
	for g.size.shrink < maxShrink && usual>>g.size.shrink > max(1, tried/2) {
		g.size.halve()
	}
}

// hurry lets all quarantined items be tried at once.
func (g *quarantineGate) hurry() { g.suspectsAt, g.culpritsAt = time.Time{}, time.Time{} }

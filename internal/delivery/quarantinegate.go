package delivery

import (
	"context"
	"errors"
	"time"
)

const (
	// After lastingFailures failures in a row, suspects take turns with other items, and are
	// tried in smaller batches, though nothing was delivered meanwhile: perhaps only some of
	// the suspects can show that the endpoint works.
	lastingFailures = 3

	// haste is by how much the pause before the next suspects is shorter than others, as the
	// endpoint works. After maxShrink failures in a row, which would single out an event, it may
	// be down again.
	haste = 4
)

// quarantineGate decides when quarantined items are tried again, and how many at
// once. It belongs to the dispatcher.
type quarantineGate struct {
	healthy    bool      // something was delivered since items outside the quarantine last failed: what fails in it now is at fault
	size       batchSize // of suspects, where larger batches time out
	suspectsAt time.Time // no suspects are tried before this
	culpritsAt time.Time // no culprits are tried before this
	inFlight   bool      // a job with some of them is out: there is one at a time

	suspectFailures int // of suspects, since anything was delivered
	culpritFailures int // of culprits, in a row
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
	g.healthy, g.suspectFailures = g.healthy || !isOld, 0
	switch from {
	case fromSuspects:
		g.suspectsAt = time.Time{}
		g.size.succeeded()
	case fromCulprits:
		g.culpritFailures, g.culpritsAt = 0, time.Time{}
	case fromQueue, fromDisk:
	}
}

// suspectsFailed notes that a batch of suspects has failed though others were delivered. The
// next one waits for the pause, or less.
func (g *quarantineGate) suspectsFailed(now time.Time, pause time.Duration, failure *SendError) {
	if g.suspectFailures++; g.suspectFailures <= maxShrink {
		pause /= haste
	}
	g.suspectsAt = now.Add(pause)
	if g.suspectFailures > 1 && errors.Is(failure, context.DeadlineExceeded) { // a link too slow for these is so for the next
		g.size.halve()
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

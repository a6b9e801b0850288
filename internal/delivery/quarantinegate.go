package delivery

import "time"

// lastingFailures in a row are not to be waited for any longer: where nothing else is
// there to tell whether the endpoint works, a part of the suspects may.
const lastingFailures = 3

// quarantine is when and how many of its items to try. It belongs to the dispatcher.
type quarantineGate struct {
	healthy    bool      // something was delivered since others last failed: who fails now is at fault
	shrink     int       // 2^-shrink of a usual batch of suspects is tried at once
	suspectsAt time.Time // not before
	culpritsAt time.Time // likewise
	failures   int       // of culprits, in a row
	inFlight   bool      // some of the items are under way
}

// next is what to try now, if anything, and if only time is missing, when.
func (a *quarantineGate) next(now time.Time, p pending) (from source, ok bool, at time.Time) {
	if a.inFlight {
		return 0, false, time.Time{}
	}
	if p.suspects > 0 {
		if at = a.suspectsAt; !now.Before(at) {
			return fromSuspects, true, time.Time{}
		}
	}
	if p.culprits > 0 {
		if !now.Before(a.culpritsAt) {
			return fromCulprits, true, time.Time{}
		}
		at = earliest(at, a.culpritsAt)
	}
	return 0, false, at
}

// delivered notes that something was, from there.
func (a *quarantineGate) delivered(from source) {
	a.healthy = true
	switch from {
	case fromSuspects:
		a.shrink, a.suspectsAt = max(0, a.shrink-1), time.Time{}
	case fromCulprits:
		a.failures, a.culpritsAt = 0, time.Time{}
	case fromQueue, fromDisk:
	}
}

// halve has fewer suspects tried at once than just now, of a usual batch of so many.
func (a *quarantineGate) halve(tried, usual int) {
	for a.shrink < maxShrink && usual>>a.shrink > max(1, tried/2) {
		a.shrink++
	}
}

// hurry has all tried at once.
func (a *quarantineGate) hurry() { a.suspectsAt, a.culpritsAt = time.Time{}, time.Time{} }

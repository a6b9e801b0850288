package klime

import "sync/atomic"

// traffic is what has happened to a middleware so far, for hints at Shutdown.
type traffic struct {
	passed    atomic.Bool // some request has passed the middleware
	routed    atomic.Bool // one that has ended was for a route
	unmatched atomic.Bool // one that has ended was not
}

// isIdle reports whether no request has passed, or none of those that have ended was for a
// route. If none has ended, an open one may be.
func (t *traffic) isIdle() bool { return !t.passed.Load() || t.unmatched.Load() && !t.routed.Load() }

// note sets a flag. Mostly it only reads, so that processors do not contend.
func note(flag *atomic.Bool) {
	if !flag.Load() {
		flag.Store(true)
	}
}

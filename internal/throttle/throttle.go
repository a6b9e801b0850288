// Package throttle limits how often something is done, such as writing a log line
// about an event that may be frequent.
package throttle

import (
	"sync/atomic"
	"time"
)

// Throttle limits one thing. The zero value is ready, and safe for concurrent use.
type Throttle struct{ last atomic.Int64 } // Unix nanoseconds

// Allows reports whether the interval has passed since it last returned true. It goes
// by the wall clock: if that is set back, the wait is longer, but less than twice as
// long.
func (t *Throttle) Allows(interval time.Duration, now time.Time) bool {
	last, at := t.last.Load(), now.UnixNano()
	since := time.Duration(at - last).Abs()
	return (last == 0 || since >= interval) && t.last.CompareAndSwap(last, at)
}

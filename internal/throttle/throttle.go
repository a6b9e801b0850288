// Package throttle lets a thing happen only now and then, such as a log line of what
// may happen all the time.
package throttle

import (
	"sync/atomic"
	"time"
)

// Throttle is of one thing. The zero value is ready, and safe for concurrent use.
type Throttle struct{ last atomic.Int64 } // Unix nanoseconds

// Allows reports whether it is the first time in an interval. That is counted by
// the wall clock: one that is set back makes it longer, but less than twice as long.
func (t *Throttle) Allows(interval time.Duration, now time.Time) bool {
	last, at := t.last.Load(), now.UnixNano()
	since := time.Duration(at - last).Abs()
	return (last == 0 || since >= interval) && t.last.CompareAndSwap(last, at)
}

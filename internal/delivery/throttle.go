package delivery

import (
	"sync/atomic"
	"time"
)

// logInterval is the time between two log lines of a kind.
const logInterval = 10 * time.Second

// throttle lets one log line of a kind, or another thing, through now and then. The zero
// value is ready, and safe for concurrent use.
type throttle struct{ last atomic.Int64 }

func (t *throttle) allows(now time.Time) bool { return t.allowsEach(logInterval, now) }

func (t *throttle) allowsEach(interval time.Duration, now time.Time) bool {
	last, at := t.last.Load(), now.UnixNano()
	since := time.Duration(at - last).Abs() // a clock may be set back, and by any time
	return (last == 0 || since >= interval) && t.last.CompareAndSwap(last, at)
}

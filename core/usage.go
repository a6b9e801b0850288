package klime

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"github.com/klimeapp/klime-go/internal/sketch"
)

// usageWindow is what was counted in one window. The rollUp's lock guards it until its events
// are being queued; from then on its counts no longer change.
type usageWindow struct {
	start, end time.Time     // end is by the monotonic clock
	length     time.Duration // by the wall clock, from start
	usage      map[usageKey]*usage
	bytes      int // of its keys
	expiry     *time.Timer

	handled atomic.Int64 // how many of the events were prepared; negative once Shutdown has given up the rest

	due         bool               // it ends once fewer than two others are left
	waiting     context.Context    //nolint:containedctx // its events wait for room in the queue until this ends
	stopWaiting context.CancelFunc // ends waiting
	queued      chan struct{}      // closed when all its events were queued or dropped
}

// isOver reports whether the window's time has passed, or the clock shows a later one: it was
// set, or has gone on while the machine slept and the monotonic clock did not.
func (w *usageWindow) isOver(now time.Time) bool {
	return !now.Before(w.end) || now.Sub(w.start) >= w.length // by the wall clock, as start has no other
}

// usageKey is what each event is about.
type usageKey struct{ user, group, method, route string }

// size is how many bytes the key has.
func (k *usageKey) size() int { return len(k.user) + len(k.group) + len(k.method) + len(k.route) }

// usage adds up requests.
type usage struct {
	count, clientErrors, serverErrors uint64
	aborted                           uint64 // some of them may be errors, too
	requestBytes, responseBytes       total
	durations                         sketch.Sketch
	last                              time.Time // when the last one ended
}

// isFull reports whether there is no room for a key that w does not have yet.
func (w *usageWindow) isFull(key usageKey) bool {
	return (len(w.usage) >= maxRollUpKeys || w.bytes+key.size() > maxRollUpBytes) && w.usage[key] == nil
}

// cover extends the window over now, to multiples of that length.
func (w *usageWindow) cover(now time.Time, length time.Duration) {
	start, end := now.Truncate(length), w.start.Add(w.length)
	if last := start.Add(length); last.After(end) {
		end = last
	}
	if start.Before(w.start) { // the clock was set back
		w.start = start
	}
	w.length = end.Sub(w.start)
}

// add counts a request.
func (u *usage) add(now time.Time, x *Exchange) {
	u.count++
	switch x.fault() {
	case noFault:
	case callersFault:
		u.clientErrors++
	case serversFault:
		u.serverErrors++
	}
	if x.Aborted {
		u.aborted++
	}
	u.requestBytes.add(x.RequestBytes)
	u.responseBytes.add(x.ResponseBytes)
	if !x.Start.IsZero() && !x.Unfinished {
		u.durations.Add(x.took)
	}
	u.last = now
}

// total adds up lengths, as far as they are known.
type total struct {
	bytes int64
	known bool // at least one of them
}

// add adds a length; a negative one is not known. The sum stops at the largest value, as a
// caller may claim any length.
func (t *total) add(length int64) {
	if length >= 0 {
		t.bytes, t.known = t.bytes+min(length, math.MaxInt64-t.bytes), true
	}
}

func (u *usage) properties() Properties {
	p := Properties{"count": u.count, "clientErrors": u.clientErrors, "serverErrors": u.serverErrors, "aborted": u.aborted}
	if u.requestBytes.known {
		p["requestBytes"] = u.requestBytes.bytes
	}
	if u.responseBytes.known {
		p["responseBytes"] = u.responseBytes.bytes
	}
	if d := &u.durations; d.Count() > 0 {
		p["durationMsAvg"], p["durationMsMax"] = millis(d.Mean()), millis(d.Max())
		p["durationMsP50"], p["durationMsP95"] = millis(d.Percentile(50)), millis(d.Percentile(95))
	}
	return p
}

// millis is d in milliseconds.
func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

package klime

import (
	"context"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// apiUsageRecorded is the event for a user's calls of one method and route in a window.
const apiUsageRecorded = "API Usage Recorded"

const (
	// maxRollUpKeys is how many keys a window may have. A window that is full is sent
	// early, and another one begins.
	maxRollUpKeys = 10_000

	// maxRollUpWindows is how many full windows' worth of keys a rollUp may hold. Beyond
	// that, the oldest window no longer waits for room in the queue.
	maxRollUpWindows = 16

	// maxMergedKeys is how many keys a window may grow to by absorbing others. That holds
	// the lock, so nothing can be counted meanwhile.
	maxMergedKeys = 2000
)

// rollUp counts API calls, so that one event is sent for many. Windows begin at
// multiples of their length on the clock. It is safe for concurrent use.
type rollUp struct {
	client *Client
	length time.Duration

	mu      sync.Mutex
	current *usageWindow   // nil while there is nothing to send
	backlog []*usageWindow // windows that are being queued, one after the other
	keys    int            // of all these windows together
	closed  bool
}

// usageWindow is what was counted in one window, or in several that became one.
type usageWindow struct {
	start, end time.Time
	length     time.Duration // on the clock, from start
	usage      map[usageKey]*usage
	expiry     *time.Timer

	handled atomic.Int64 // how many of the events were prepared; negative once Shutdown has given up the rest

	early       bool               // it was full, and ended before its time
	begun       bool               // queuing has begun
	stopWaiting context.CancelFunc // no longer waits for room in the queue
	queued      chan struct{}      // closed when all its events were queued or dropped
}

// usageKey is what each event is about.
type usageKey struct{ user, group, method, route string }

// usage adds up requests.
type usage struct {
	count, clientErrors, serverErrors uint64
	requestBytes, responseBytes       int64
	durations                         sketch
	last                              time.Time // when the last one ended
}

func newRollUp(c *Client, length time.Duration) *rollUp {
	return &rollUp{client: c, length: length}
}

// add counts a request. It returns false if the client is shutting down and the request
// was not counted.
func (r *rollUp) add(now time.Time, id identity, x *Exchange, duration time.Duration) bool {
	key := usageKey{id.user, id.group, x.Method, x.Route}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	if r.current != nil && !now.Before(r.current.end) {
		r.finish()
	}
	u := r.entry(now, key)
	if u == nil {
		r.current.early = true
		r.finish()
		u = r.entry(now, key)
	}
	u.add(now, x, duration)
	return true
}

// entry returns the usage of a key in the current window, and adds it if need be. It
// returns nil if the window is full.
func (r *rollUp) entry(now time.Time, key usageKey) *usage {
	if r.current == nil {
		r.begin(now)
	}
	w := r.current
	u, ok := w.usage[key]
	if !ok && len(w.usage) < maxRollUpKeys {
		r.keys++
		if r.keys > maxRollUpKeys*maxRollUpWindows {
			r.backlog[0].stopWaiting()
		}
		key.method = strings.Clone(key.method) // the framework may reuse its memory; the other strings are copies already
		u = new(usage)
		w.usage[key] = u
	}
	return u
}

// merge adds what was counted later.
func (u *usage) merge(later *usage) {
	u.count += later.count
	u.clientErrors += later.clientErrors
	u.serverErrors += later.serverErrors
	u.requestBytes = plus(u.requestBytes, later.requestBytes)
	u.responseBytes = plus(u.responseBytes, later.responseBytes)
	u.durations.merge(&later.durations)
	u.last = later.last
}

// plus adds lengths. The sum stops at the largest value, as a client may claim any
// length.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func (u *usage) add(now time.Time, x *Exchange, duration time.Duration) {
	u.count++
	switch {
	case x.Status >= http.StatusInternalServerError:
		u.serverErrors++
	case x.Status >= http.StatusBadRequest:
		u.clientErrors++
	}
	u.requestBytes = plus(u.requestBytes, max(x.RequestBytes, 0))
	u.responseBytes = plus(u.responseBytes, max(x.ResponseBytes, 0))
	if !x.Start.IsZero() && !x.Unfinished {
		u.durations.add(duration)
	}
	u.last = now
}

// begin opens a window, and a timer that ends it.
func (r *rollUp) begin(now time.Time) {
	start := now.Truncate(r.length)
	rest := r.length - now.Sub(start)
	w := &usageWindow{
		start:  start,
		length: r.length,
		end:    now.Add(rest), // by the monotonic clock, so that setting the clock does not make it longer
		usage:  map[usageKey]*usage{},
	}
	w.expiry = time.AfterFunc(rest, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.current == w {
			r.finish()
		}
	})
	r.current = w
}

// finish ends the current window. A goroutine queues its events after those of the
// windows before it, and waits for room in the queue, so that a burst of them does not
// push out other events.
//
// If the window before it has not begun to be queued, as in an outage, it absorbs this
// one where it can. So an outage takes no more memory however long it lasts, as long as
// the same users call.
func (r *rollUp) finish() {
	w := r.current
	w.expiry.Stop()
	r.current = nil
	if n := len(r.backlog); n > 0 && r.backlog[n-1].canAbsorb(w) {
		r.keys -= r.backlog[n-1].absorb(w)
		return
	}
	ctx, stopWaiting := context.WithCancel(context.Background())
	w.stopWaiting, w.queued = stopWaiting, make(chan struct{})
	var before chan struct{}
	if n := len(r.backlog); n > 0 {
		before = r.backlog[n-1].queued
	}
	r.backlog = append(r.backlog, w)
	go func() {
		defer close(w.queued)
		defer stopWaiting()
		if before != nil {
			<-before
		}
		r.mu.Lock()
		w.begun = true
		r.mu.Unlock()
		r.client.sendUsage(ctx, w)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.backlog = slices.Delete(r.backlog, 0, 1)
		r.keys -= len(w.usage)
	}()
}

// canAbsorb reports whether w can absorb a later window without growing beyond
// maxMergedKeys.
func (w *usageWindow) canAbsorb(later *usageWindow) bool {
	if w.begun || w.early || later.early {
		return false
	}
	room := maxMergedKeys - len(w.usage)
	if room >= len(later.usage) {
		return true
	}
	for key := range later.usage { // stops early, as nothing can be counted meanwhile
		if _, known := w.usage[key]; !known {
			if room--; room < 0 {
				return false
			}
		}
	}
	return true
}

// absorb adds a later window to w. It returns how many keys both had.
func (w *usageWindow) absorb(later *usageWindow) (both int) {
	for key, u := range later.usage {
		if known, ok := w.usage[key]; ok {
			known.merge(u)
			both++
		} else {
			w.usage[key] = u
		}
	}
	end := w.start.Add(w.length)
	if laterEnd := later.start.Add(later.length); laterEnd.After(end) {
		end = laterEnd
	}
	if later.start.Before(w.start) { // the clock was set back
		w.start = later.start
	}
	w.length = end.Sub(w.start)
	return both
}

// flush ends the current window, and returns the windows that are not yet queued. If
// last, nothing is counted from then on.
func (r *rollUp) flush(last bool) []*usageWindow {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = r.closed || last
	if r.current != nil {
		r.finish()
	}
	return slices.Clone(r.backlog)
}

// sendUsage queues an event for each key of a window. It waits for room in the queue
// until ctx ends.
func (c *Client) sendUsage(ctx context.Context, w *usageWindow) {
	for key, u := range w.usage {
		d := draft{automatic: true, patient: true}
		d.Type, d.Event.Event, d.UserID, d.GroupID, d.Timestamp = TrackEvent, apiUsageRecorded, key.user, key.group, u.last
		d.Properties = u.properties()
		d.Properties["windowStart"], d.Properties["windowSeconds"] = w.start, w.length.Seconds()
		d.Properties["method"] = key.method
		if key.route != "" {
			d.Properties["route"] = key.route
		}
		item, err := c.prepare(ctx, &d, nil)
		if w.handled.Add(1) < 0 {
			return
		}
		c.complain(c.enqueue(ctx, &d, item, err))
	}
}

func (u *usage) properties() Properties {
	p := Properties{
		"count": u.count, "clientErrors": u.clientErrors, "serverErrors": u.serverErrors,
		"requestBytes": u.requestBytes, "responseBytes": u.responseBytes,
	}
	if d := &u.durations; d.count > 0 {
		p["durationMsAvg"], p["durationMsMax"] = millis(d.mean()), millis(d.longest)
		p["durationMsP50"], p["durationMsP95"] = millis(d.percentile(50)), millis(d.percentile(95))
	}
	return p
}

// millis is d in milliseconds.
func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// rollUps are a client's roll-ups, by the length of their windows.
type rollUps struct {
	mu       sync.Mutex
	byLength map[time.Duration]*rollUp
}

// rollUp returns the roll-up with windows of that length, which all middlewares share.
func (c *Client) rollUp(length time.Duration) *rollUp {
	if c == nil {
		return nil
	}
	c.rollUps.mu.Lock()
	defer c.rollUps.mu.Unlock()
	r, ok := c.rollUps.byLength[length]
	if !ok {
		r = newRollUp(c, length)
		if c.rollUps.byLength == nil {
			c.rollUps.byLength = map[time.Duration]*rollUp{}
		}
		c.rollUps.byLength[length] = r
	}
	return r
}

// flush queues what has been counted so far, and waits until that is done. If ctx ends
// first, it returns the error of ctx, and the queuing goes on.
func (r *rollUps) flush(ctx context.Context) error {
	if !awaitQueued(ctx, r.flushAll(false)) {
		return ctx.Err()
	}
	return nil
}

// closeGrace is how long Shutdown waits for what has been counted, beyond the time it
// was given: Config.BeforeSend may be slow, or hang.
const closeGrace = 250 * time.Millisecond

// close ends the counting and queues all that has been counted. When ctx ends, it no
// longer waits for room in the queue. It returns how many events were given up.
func (r *rollUps) close(ctx context.Context) (lost int) {
	windows := r.flushAll(true)
	if awaitQueued(ctx, windows) {
		return 0
	}
	for _, w := range windows {
		w.stopWaiting()
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeGrace)
	defer cancel()
	if awaitQueued(grace, windows) {
		return 0
	}
	for _, w := range windows {
		lost += len(w.usage) - int(w.handled.Swap(math.MinInt64))
	}
	return lost
}

// flushAll calls [rollUp.flush] on each, and returns all windows that are not yet queued.
func (r *rollUps) flushAll(last bool) (windows []*usageWindow) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.byLength {
		windows = append(windows, one.flush(last)...)
	}
	return windows
}

// awaitQueued waits until windows are queued. It returns false if ctx ends first.
func awaitQueued(ctx context.Context, windows []*usageWindow) bool {
	for _, w := range windows {
		select {
		case <-w.queued:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// keys is how many keys are held, in windows that are open or wait for room.
func (r *rollUps) keys() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, one := range r.byLength {
		one.mu.Lock()
		n += one.keys
		one.mu.Unlock()
	}
	return n
}

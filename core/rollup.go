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

// apiUsageRecorded is the event of what a user did of one kind in a window.
const apiUsageRecorded = "API Usage Recorded"

// maxRollUpKeys bounds the keys of a window. A window that has as many is sent
// early, and another begun. So many windows' worth of keys may wait for room in
// the queue; then the oldest of them waits no longer.
const (
	maxRollUpKeys    = 10_000
	maxRollUpWindows = 16

	// maxMergedKeys bounds a window that others become a part of: meanwhile nobody
	// can count.
	maxMergedKeys = 2000
)

// rollUp counts API calls, to send one event for many. Windows begin at
// multiples of their length on the clock. It is safe for concurrent use.
type rollUp struct {
	client *Client
	length time.Duration

	mu      sync.Mutex
	current *usageWindow   // nil while there is nothing to send
	backlog []*usageWindow // that are being queued, one after the other
	keys    int            // of all these
	closed  bool
}

// usageWindow is what was counted in some time.
type usageWindow struct {
	start, end time.Time
	length     time.Duration // on the clock, from start
	usage      map[usageKey]*usage
	expiry     *time.Timer

	handled atomic.Int64 // as many of usage to be queued; negative when Shutdown has given up the others

	early       bool               // it had too many keys, and was not over
	begun       bool               // it is being queued
	stopWaiting context.CancelFunc // ends its patience
	queued      chan struct{}      // closed when it is
}

// usageKey is what one event tells of.
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

// add counts a request. It reports false when the client is shutting down and
// nothing is counted any more.
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

// entry finds the usage of a key, or makes it; nil if there is no room.
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
		key.method = strings.Clone(key.method) // a framework may reuse its memory; the rest are copies
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

// plus adds lengths, which a client may claim at will: a sum stops at the largest.
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

// begin opens a window that ends by itself.
func (r *rollUp) begin(now time.Time) {
	start := now.Truncate(r.length)
	rest := r.length - now.Sub(start)
	w := &usageWindow{
		start:  start,
		length: r.length,
		end:    now.Add(rest), // of the monotonic clock: no jump of the other makes it longer
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

// finish lets a goroutine queue the current window, after those before it. It
// waits for room, so that a burst of events does not cost others theirs. Where one
// before it has to wait, as in an outage, the two become one: who calls in each window
// then takes no more memory, however long it lasts.
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

// takes reports whether a later window can become part of w, which stays as small
// as any.
func (w *usageWindow) canAbsorb(later *usageWindow) bool {
	if w.begun || w.early || later.early {
		return false
	}
	room := maxMergedKeys - len(w.usage)
	if room >= len(later.usage) {
		return true
	}
	for key := range later.usage { // while nobody can count: no longer than need be
		if _, known := w.usage[key]; !known {
			if room--; room < 0 {
				return false
			}
		}
	}
	return true
}

// merge makes a later window a part of w. It returns how many keys both had.
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

// flush begins to queue what has been counted so far, and returns the windows that
// are not yet queued. The last one ends the counting.
func (r *rollUp) flush(last bool) []*usageWindow {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = r.closed || last
	if r.current != nil {
		r.finish()
	}
	return slices.Clone(r.backlog)
}

// sendUsage queues an event for each key of a window.
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

// rollUps are a client's, by the length of their windows.
type rollUps struct {
	mu       sync.Mutex
	byLength map[time.Duration]*rollUp
}

// rollUp returns the one with windows of that length: middlewares share it.
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

// flush queues what has been counted so far. It returns when that is done, or with
// the error of ctx when that ends; then it goes on without us.
func (r *rollUps) flush(ctx context.Context) error {
	if !awaitQueued(ctx, r.flushAll(false)) {
		return ctx.Err()
	}
	return nil
}

// closeGrace is how long Shutdown waits beyond its time for what has been counted:
// Config.BeforeSend may be slow, or hang.
const closeGrace = 250 * time.Millisecond

// close ends the counting and queues all of it. When ctx ends, it no longer waits for
// room. It returns how many events could not be queued.
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

// begin is [rollUp.flush] of all.
func (r *rollUps) flushAll(last bool) (windows []*usageWindow) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.byLength {
		windows = append(windows, one.flush(last)...)
	}
	return windows
}

// awaitQueued waits for that until ctx ends.
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

// keys is how many are counted, or wait for room.
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

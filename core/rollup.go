package klime

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// apiUsageRecorded is the event for a user's calls of one method and route in a window.
const apiUsageRecorded = "API Usage Recorded"

const (
	// maxRollUpKeys is how many keys a window may have. A window that is full is sent
	// early, and another one begins.
	maxRollUpKeys = 10_000

	// maxRollUpBytes is how many bytes these keys may have together: whoever makes up IDs
	// may make long ones.
	maxRollUpBytes = 4 << 20

	// maxRollUpWindows is how many full windows' worth of keys a rollUp may hold. For more,
	// the oldest window no longer waits for room in the queue; until it has made some,
	// requests have events of their own.
	maxRollUpWindows = 16
)

// rollUp counts API calls, so that one event is sent for many. Windows begin at
// multiples of their length on the clock. It is safe for concurrent use.
type rollUp struct {
	client *Client
	length time.Duration

	mu      sync.Mutex
	current *usageWindow   // nil while there is nothing to send
	backlog []*usageWindow // windows that have ended: the first is being queued, the others follow
	keys    int            // of all these windows together
	bytes   int            // of these keys
	closed  bool
}

// add counts a request, unless the client is shutting down (ErrClosed), the key does not
// fit into an event (ErrEventTooLarge), or there is no room for it (ErrQueueFull).
func (r *rollUp) add(now time.Time, id identity, x *Exchange) error {
	key := usageKey{id.user, id.group, x.Method, x.Route} // none of them lies in memory that the framework reuses
	if key.size() > maxEventBytes {
		return ErrEventTooLarge
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return ErrClosed
	}
	if r.current != nil && r.current.isOver(now) {
		r.endCurrent()
	}
	if r.current != nil && r.current.isFull(key) {
		r.finish()
	}
	if r.current == nil {
		r.begin(now)
	}
	u := r.entry(key)
	if u == nil {
		return ErrQueueFull
	}
	if r.current.isOver(now) { // and goes on
		r.current.cover(now, r.length)
	}
	u.add(now, x)
	return nil
}

// entry returns the usage of a key in the current window, and adds it if need be. It
// returns nil if there is no room until the oldest window, which then no longer waits, has
// gone.
func (r *rollUp) entry(key usageKey) *usage {
	u, ok := r.current.usage[key]
	if ok {
		return u
	}
	size := key.size()
	if r.keys >= maxRollUpKeys*maxRollUpWindows || r.bytes+size > maxRollUpBytes*maxRollUpWindows {
		r.backlog[0].stopWaiting()
		return nil
	}
	u = new(usage)
	r.current.usage[key] = u
	r.keys, r.bytes, r.current.bytes = r.keys+1, r.bytes+size, r.current.bytes+size
	return u
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
		queued: make(chan struct{}),
	}
	w.waiting, w.stopWaiting = context.WithCancel(context.Background())
	w.expiry = time.AfterFunc(rest, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.current == w {
			r.endCurrent()
		}
	})
	r.current = w
}

// endCurrent ends the current window. But while one waits behind the one that is being
// queued, as in an outage, the current window goes on. So an outage takes no more memory
// however long it lasts, as long as the same users call, and one window holds all their keys.
func (r *rollUp) endCurrent() {
	r.current.due = true
	if len(r.backlog) < 2 {
		r.finish()
	}
}

// finish ends the current window. A goroutine queues its events after those of the
// windows before it, and waits for room in the queue, so that a burst of them does not
// push out other events.
func (r *rollUp) finish() {
	w := r.current
	w.expiry.Stop()
	r.current = nil
	r.backlog = append(r.backlog, w)
	if len(r.backlog) == 1 {
		go r.queue(w)
	}
}

// queue queues the events of the first window in the backlog, and then of the others.
func (r *rollUp) queue(w *usageWindow) {
	defer func() {
		w.stopWaiting()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.keys, r.bytes = r.keys-len(w.usage), r.bytes-w.bytes
		r.backlog = slices.Delete(r.backlog, 0, 1)
		if len(r.backlog) > 0 {
			go r.queue(r.backlog[0])
		}
		if r.current != nil && r.current.due {
			r.endCurrent()
		}
		close(w.queued)
	}()
	r.client.sendUsage(w)
}

// flush ends the current window, and returns the windows that are not yet queued, also the
// current one if it goes on. If last, nothing is counted from then on.
func (r *rollUp) flush(last bool) []*usageWindow {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = r.closed || last
	windows := slices.Clone(r.backlog)
	if r.current != nil {
		windows = append(windows, r.current)
		r.endCurrent()
	}
	return windows
}

// sendUsage queues an event for each key of a window.
func (c *Client) sendUsage(w *usageWindow) {
	for key, u := range w.usage {
		if w.handled.Load() < 0 {
			return // without a call of BeforeSend
		}
		properties := u.properties()
		properties["windowStart"], properties["windowSeconds"] = w.start, w.length.Seconds()
		properties["method"] = key.method
		if key.route != "" {
			properties["route"] = key.route
		}
		d := draft{
			Event: Event{
				Type: TrackEvent, Event: apiUsageRecorded, UserID: key.user, GroupID: key.group,
				Timestamp: u.last, Properties: properties,
			},
			automatic: true, patient: true,
		}
		var body []byte
		var err error
		prepare := func() { body, err = c.prepare(&d, nil) }
		switch {
		case c.cfg.BeforeSend == nil:
			prepare()
		case !delivery.CallApp(prepare): // BeforeSend has ended its goroutine
			d.filtered = true
		}
		if w.handled.Add(1) < 0 {
			return
		}
		c.noteInvalid(c.enqueue(w.waiting, &d, body, err), d.Event.Event)
	}
}

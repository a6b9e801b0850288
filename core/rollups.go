package klime

import (
	"context"
	"math"
	"sync"
	"time"
)

// rollUps are a client's roll-ups, by the length of their windows.
type rollUps struct {
	mu       sync.Mutex
	byLength map[time.Duration]*rollUp
	closed   bool
}

// rollUp returns the roll-up with windows of that length, which all middlewares share.
func (c *Client) rollUp(length time.Duration) *rollUp {
	c.rollUps.mu.Lock()
	defer c.rollUps.mu.Unlock()
	r, ok := c.rollUps.byLength[length]
	if !ok {
		r = &rollUp{client: c, length: length, closed: c.rollUps.closed}
		if c.rollUps.byLength == nil {
			c.rollUps.byLength = map[time.Duration]*rollUp{}
		}
		c.rollUps.byLength[length] = r
	}
	return r
}

// flush queues what has been counted so far, and waits until that is done. If ctx ends
// first, it returns the cause, and the queuing goes on.
func (r *rollUps) flush(ctx context.Context) error {
	if !awaitQueued(ctx, r.flushAll(false)) {
		return context.Cause(ctx)
	}
	return nil
}

// closeGrace is how long Shutdown waits for what has been counted, beyond the time it
// was given: Config.BeforeSend may be slow, or hang.
const closeGrace = 250 * time.Millisecond

// close ends the counting and queues all that has been counted. When ctx ends, it no
// longer waits for room in the queue. It returns how many events it could not hand over.
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
	r.closed = r.closed || last
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

package delivery

import (
	"errors"
	"sync"
	"time"
)

// Errors of Enqueue.
var (
	ErrFull   = errors.New("queue full")
	ErrClosed = errors.New("closed")
)

// automaticShare is the part of the queue, in fifths, that automatic items may
// take: a flood of requests must leave room for what the app said itself.
const automaticShare = 4

// queue holds every accepted item until it is settled, in two lanes of the
// same order. What a sender carries is no longer in a lane but still counts.
// It is safe for concurrent use.
type queue struct {
	maxItems, maxBytes int
	takeItems          int // of one batch
	takeBytes          int // of one batch, but for its first item
	wakeAt             int // this many waiting items are worth a wake-up

	mu        sync.Mutex
	explicit  ring
	automatic ring
	held      usage // both lanes and what is in flight
	heldAuto  usage // the automatic part of held
	lastSeq   uint64
	closed    bool
	waiters   map[*waiter]struct{}
	counts    Counts
}

// usage is an amount of items.
type usage struct{ items, bytes int }

func (u *usage) add(it *Item)    { u.items++; u.bytes += len(it.Body) }
func (u *usage) remove(it *Item) { u.items--; u.bytes -= len(it.Body) }

// waiter waits until every item accepted before it is settled.
type waiter struct {
	upTo uint64        // the last item it waits for
	left int           // how many of them are still held
	done chan struct{} // closed at the end
	err  error         // why it ended early; read after done
}

// newQueue returns a queue of which the batches of all senders take at most
// half: the rest can be evicted to keep newer items.
func newQueue(maxItems, maxBytes, senders, wakeAt int) *queue {
	return &queue{
		maxItems:  maxItems,
		maxBytes:  maxBytes,
		takeItems: min(MaxBatchItems, max(1, maxItems/senders/2)),
		takeBytes: min(MaxBatchBytes-len(batchHead)-len(batchTail), maxBytes/senders/2),
		wakeAt:    wakeAt,
		waiters:   map[*waiter]struct{}{},
	}
}

// push accepts it, at the cost of older items where there is no room. It
// returns those, and whether the dispatcher has something to do now.
func (q *queue) push(it Item) (evicted []Item, wake bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, false, ErrClosed
	}
	q.counts.Accepted++
	for !q.fits(&it) {
		victim, ok := q.evict(&it)
		if !ok {
			q.counts.Evicted++
			return evicted, false, ErrFull
		}
		evicted = append(evicted, victim)
	}
	q.lastSeq++
	it.seq = q.lastSeq
	q.held.add(&it)
	if it.Automatic {
		q.heldAuto.add(&it)
	}
	q.lane(&it).pushBack(it)
	waiting := q.waiting()
	return evicted, waiting == 1 || waiting == q.wakeAt, nil
}

func (q *queue) lane(it *Item) *ring {
	if it.Automatic {
		return &q.automatic
	}
	return &q.explicit
}

func (q *queue) waiting() int { return q.explicit.len() + q.automatic.len() }

func (q *queue) fits(it *Item) bool {
	if q.held.items+1 > q.maxItems || q.held.bytes+len(it.Body) > q.maxBytes {
		return false
	}
	return !it.Automatic || q.fitsShare(it)
}

// fitsShare reports whether an automatic item keeps within its lane's share.
func (q *queue) fitsShare(it *Item) bool {
	return (q.heldAuto.items+1)*5 <= q.maxItems*automaticShare &&
		(q.heldAuto.bytes+len(it.Body))*5 <= q.maxBytes*automaticShare
}

// evict takes out the item that goes first to make room for it: the oldest
// automatic one, else, for an explicit item, the oldest explicit one.
func (q *queue) evict(it *Item) (Item, bool) {
	lane := &q.automatic
	if lane.len() == 0 && !it.Automatic {
		lane = &q.explicit
	}
	if lane.len() == 0 || len(it.Body) > q.maxBytes {
		return Item{}, false
	}
	victim := lane.popFront()
	q.counts.Evicted++
	q.release(&victim)
	return victim, true
}

// take removes the oldest items, as many as one request may carry.
func (q *queue) take() []Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	items := make([]Item, 0, min(q.waiting(), q.takeItems))
	size := 0
	for len(items) < q.takeItems && q.waiting() > 0 {
		lane := q.oldest()
		size += len(lane.front().Body) + 1 // its comma
		if size > q.takeBytes && len(items) > 0 {
			break
		}
		items = append(items, lane.popFront())
	}
	return items
}

// oldest is the lane whose front was accepted first. One of them has items.
func (q *queue) oldest() *ring {
	switch {
	case q.automatic.len() == 0:
		return &q.explicit
	case q.explicit.len() == 0 || q.automatic.front().seq < q.explicit.front().seq:
		return &q.automatic
	default:
		return &q.explicit
	}
}

// putBack returns what was taken and not settled to the front.
func (q *queue) putBack(items []Item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := len(items) - 1; i >= 0; i-- {
		q.lane(&items[i]).pushFront(items[i])
	}
}

// settle ends items that were taken.
func (q *queue) settle(items []Item, outcome Outcome) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := uint64(len(items))
	switch outcome {
	case Sent:
		q.counts.Sent += n
	case Failed:
		q.counts.Failed += n
	case Evicted:
		q.counts.Evicted += n
	case Undone:
		q.counts.Undone += n
	}
	for i := range items {
		q.release(&items[i])
	}
}

// release forgets an item that has ended and lets go who waited for it.
func (q *queue) release(it *Item) {
	q.held.remove(it)
	if it.Automatic {
		q.heldAuto.remove(it)
	}
	for w := range q.waiters {
		if it.seq > w.upTo {
			continue
		}
		if w.left--; w.left == 0 {
			q.end(w, nil)
		}
	}
}

// wait registers a waiter for all that is held now.
func (q *queue) wait() *waiter {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := &waiter{upTo: q.lastSeq, left: q.held.items, done: make(chan struct{})}
	if w.left == 0 {
		close(w.done)
		return w
	}
	q.waiters[w] = struct{}{}
	return w
}

func (q *queue) end(w *waiter, err error) {
	delete(q.waiters, w)
	w.err = err
	close(w.done)
}

// leave ends a waiter that no longer wants to wait.
func (q *queue) leave(w *waiter, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, waits := q.waiters[w]; waits {
		q.end(w, err)
	}
}

// turnAway ends all waiters: what they wait for is not going to happen.
func (q *queue) turnAway(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for w := range q.waiters {
		q.end(w, err)
	}
}

// close refuses all further items and reports whether this call closed it.
func (q *queue) close() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.closed = true
	return true
}

// drain takes out everything that waits.
func (q *queue) drain() []Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	items := make([]Item, 0, q.waiting())
	for q.waiting() > 0 {
		items = append(items, q.oldest().popFront())
	}
	return items
}

// pending describes what waits for a sender.
type pending struct {
	items  int
	oldest time.Time // when the oldest of them was handed over
	hurry  bool      // somebody waits for them
}

func (q *queue) pending() pending {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := pending{items: q.waiting(), hurry: len(q.waiters) > 0}
	if p.items > 0 {
		p.oldest = q.oldest().front().Queued
	}
	return p
}

func (q *queue) snapshot() Counts {
	q.mu.Lock()
	defer q.mu.Unlock()
	c := q.counts
	c.Held, c.HeldBytes = q.held.items, q.held.bytes
	return c
}

package delivery

import (
	"errors"
	"math"
	"sync"
	"time"
)

// Errors of Enqueue.
var (
	ErrFull   = errors.New("queue full")
	ErrClosed = errors.New("closed")
)

// queue holds every accepted item until it is settled, in two lanes of the
// same order, or in quarantine. What a sender carries is in no lane but still counts.
// It is safe for concurrent use.
type queue struct {
	lanes // of what is to be sent in its turn; guarded by mu

	maxItems, maxBytes int
	maxAutomatic       usage // the part of these that automatic items may take
	takeItems          int   // of one batch
	takeBytes          int   // of one batch, but for its first item
	dueItems           int   // this many waiting items start a send
	overflow           Overflow
	wantsReports       bool // somebody wants to know how items ended

	mu           sync.Mutex
	quarantine   quarantine
	held         usage          // all lanes and what is in flight
	heldAuto     usage          // the automatic part of held
	oneShotUsage usage          // what callers send themselves, beside all that
	oneShots     sync.WaitGroup // likewise
	lastSeq      uint64
	closed       bool    // only patient items are accepted
	sealed       bool    // and these no more
	halt         error   // why nothing is sent at present, nil if it is
	abandoned    bool    // the books are closed, nothing is settled any more
	lines        [2]line // of who waits for room, with explicit items and with automatic ones
	waiters      waiters
	counts       Counts
	disk         *disk // nil without a spool
	alarm        int   // the dispatcher wants to know when as many are waiting
}

// noAlarm is when the dispatcher will look by itself.
const noAlarm = math.MaxInt

// newQueue returns a queue of which the batches of all senders take about half
// at most: the rest can be evicted to keep newer items.
func newQueue(cfg *Config) *queue {
	q := &queue{
		maxItems: cfg.QueueSize,
		maxBytes: cfg.QueueBytes,
		maxAutomatic: usage{
			items: max(1, cfg.QueueSize*automaticShare/5),
			bytes: cfg.QueueBytes * automaticShare / 5,
		},
		takeItems:    min(MaxBatchItems, max(1, cfg.QueueSize/cfg.Senders/2)),
		takeBytes:    min(MaxBatchBytes-len(batchHead)-len(batchTail), cfg.QueueBytes/cfg.Senders/2),
		overflow:     cfg.Overflow,
		wantsReports: cfg.OnReport != nil,
		waiters:      waiters{atGate: map[*waiter]struct{}{}},
	}
	q.dueItems = min(cfg.BatchSize, q.takeItems, q.maxAutomatic.items)
	if cfg.Spool != nil {
		q.disk = newDisk(&cfg.Storage, q)
	}
	return q
}

// admission is what push says of an item.
type admission struct {
	evicted []Item  // made room for it, where somebody wants to know
	dropped int     // likewise, where nobody does
	outcome Outcome // of these, or of it where it was refused
	wake    bool    // the dispatcher has something to do now
	waits   bool    // for room
	place   *place  // where, with which to try again
}

// push accepts it, at the cost of older items where there is no room. A
// patient item waits instead of costing an explicit one, and instead of passing
// others that wait. Whose turn it is has a place, and so has who gives up.
func (q *queue) push(it *Item, patient bool, at *place) (admission, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	line := q.lineOf(it)
	patient = patient && q.mayWait(it)
	if patient && line.first != at {
		return admission{wake: true, waits: true, place: line.join()}, nil
	}
	a, err := q.accept(it, patient)
	switch {
	case a.waits && at == nil:
		a.place = line.join()
	case a.waits:
		a.place = at
	case at != nil:
		line.leave(at)
	}
	return a, err
}

// lineOf is where it waits. What is open to explicit items is not to automatic ones,
// which may wait longer.
func (q *queue) lineOf(it *Item) *line {
	if it.Automatic {
		return &q.lines[1]
	}
	return &q.lines[0]
}

// refuses reports whether it comes too late.
func (q *queue) refuses(it *Item) bool { return q.sealed || q.closed && !it.Patient }

// accept is push for who is the first in line.
func (q *queue) accept(it *Item, patient bool) (a admission, err error) {
	if q.refuses(it) {
		return a, ErrClosed
	}
	if q.disk != nil && q.spillFor(it) {
		return a, nil
	}
	if !q.fits(it) {
		if a, err = q.makeRoom(it, patient); err != nil || a.waits {
			return a, err
		}
	}
	q.admit(it)
	q.laneFor(it).pushBack(it)
	if q.alarm != noAlarm && (q.len() >= q.alarm || q.bytes() >= q.takeBytes) {
		q.alarm, a.wake = noAlarm, true
	}
	return a, nil
}

// setAlarm has push wake the dispatcher when as many are waiting. It reports false
// if that has come about since the dispatcher looked.
func (q *queue) setAlarm(items int, seen pending) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if seen.full {
		items = noAlarm
	}
	q.alarm = items
	return q.len() <= seen.items || q.len() < items && q.bytes() < q.takeBytes
}

// bypass accepts an item that its caller sends itself.
func (q *queue) acceptOneShot(it *Item) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	q.counts.Accepted++
	q.lastSeq++
	it.seq = q.lastSeq
	q.oneShotUsage.add(it)
	q.oneShots.Add(1)
	return nil
}

// settleDirect ends an item that has bypassed the lanes. It may do so when the
// books are closed for all others: only its caller knows.
func (q *queue) settleOneShot(it *Item, outcome Outcome) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.oneShotUsage.remove(it)
	q.count(outcome, 1)
	q.waiters.itemEnded(it.seq)
	q.oneShots.Done()
}

func (q *queue) admit(it *Item) {
	q.counts.Accepted++
	q.lastSeq++
	it.seq = q.lastSeq
	q.held.add(it)
	if it.Automatic {
		q.heldAuto.add(it)
	}
}

// take removes the oldest items, as many as one request may carry: 2^-shrink of
// the usual.
func (q *queue) take(shrink int) []Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.takeFrom(shrink, q.len(), func() *deque {
		if q.len() == 0 {
			return nil
		}
		return q.oldest()
	})
}

// takeFrom removes the fronts of what next returns, until it returns nil. So
// many are waiting.
func (q *queue) takeFrom(shrink, waiting int, next func() *deque) []Item {
	most := max(1, q.takeItems>>shrink)
	items := make([]Item, 0, min(waiting, most))
	size := 0
	for len(items) < most {
		lane := next()
		if lane == nil {
			break
		}
		size += len(lane.front().Body) + 1 // its comma
		if size > q.takeBytes>>shrink && len(items) > 0 {
			break
		}
		items = append(items, lane.popFront())
	}
	return items
}

// takeOne removes the newest item, or the oldest, nil if there is none.
func (q *queue) takeOne(newest bool) []Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch replay := q.disk.replayLen(); {
	case replay > 0 && (!newest || q.len() == 0):
		return []Item{q.disk.replay.popFront()}
	case q.len() == 0:
		return nil
	case !newest:
		return []Item{q.oldest().popFront()}
	case q.explicit.len() > 0: // what the app said itself is most likely valid
		return []Item{q.explicit.popBack()}
	default:
		return []Item{q.automatic.popBack()}
	}
}

// oldest is the lane whose front was accepted first. One of them has items.
func (q *queue) oldest() *deque {
	switch {
	case q.automatic.len() == 0:
		return &q.explicit
	case q.explicit.len() == 0 || q.automatic.front().seq < q.explicit.front().seq:
		return &q.automatic
	default:
		return &q.explicit
	}
}

// putBack returns what was taken and not settled to where it stood. It may make room
// again for others.
func (q *queue) putBack(items []Item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.announceRoom()
	var fresh, replayed []Item
	for _, it := range items {
		if it.replayed && q.disk.hasLoaded(it.seq) {
			replayed = append(replayed, it)
		} else {
			fresh = append(fresh, it)
		}
	}
	q.restore(fresh)
	if len(replayed) > 0 {
		q.disk.replay.restore(replayed)
	}
}

// settle ends items that were taken.
func (q *queue) settle(items []Item, outcome Outcome) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.abandoned {
		return
	}
	q.count(outcome, uint64(len(items)))
	for i := range items {
		q.release(&items[i])
	}
}

func (q *queue) count(outcome Outcome, n uint64) {
	switch outcome {
	case Sent:
		q.counts.Sent += n
	case Failed:
		q.counts.Failed += n
	case Evicted:
		q.counts.Evicted += n
	case Undone:
		q.counts.Undone += n
	case SpoolBusy:
		q.counts.SpoolBusy += n
	case SpoolFull:
		q.counts.SpoolFull += n
	case SpoolLost:
		q.counts.SpoolLost += n
	}
}

// release forgets an item that has ended and lets go who waited for it.
func (q *queue) release(it *Item) {
	q.leaveMemory(it)
	if q.disk != nil {
		q.disk.settled(it)
	}
	q.waiters.itemEnded(it.seq)
}

// leaveMemory makes the room of an item free.
func (q *queue) leaveMemory(it *Item) {
	q.held.remove(it)
	if it.Automatic {
		q.heldAuto.remove(it)
	}
	q.announceRoom()
	q.refillReplay()
}

// callRoom lets those look who are the first to wait for room. Each that leaves
// calls the next.
func (q *queue) announceRoom() {
	for i := range q.lines {
		q.lines[i].callFirst()
	}
}

// close refuses all further items that are not patient, and reports whether this
// call closed it. Who waits to send one by itself is refused with them. A halt is
// to be probed now: what is patient waits for how that ends.
func (q *queue) close() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.closed, q.halt = true, nil
	q.announceRoom()
	q.waiters.openGate(nil)
	return true
}

// seal refuses the patient items, too.
func (q *queue) seal() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sealed = true
	q.announceRoom()
}

// abandon closes the books: what is still held ends as undone, but for what
// callers send themselves, and so does what was lost before it came here. It returns
// how much that is.
func (q *queue) abandon(lost int) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.counts.Accepted += uint64(lost) //nolint:gosec // an amount
	n := lost + q.held.items
	if k := q.disk; k != nil { // what is on disk is not lost
		n += k.unwritten.items - k.inMemory.items
		k.unwritten, k.inMemory = usage{}, usage{}
		clear(k.loaded)
	}
	q.count(Undone, uint64(n)) //nolint:gosec // an amount
	q.held, q.heldAuto, q.abandoned = usage{}, usage{}, true
	q.waiters.endAll(ErrClosed)
	q.waiters.openGate(ErrClosed)
	return n
}

// drain takes out everything that waits and is in memory alone.
func (q *queue) drain() []Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	items := q.recall()
	for q.len() > 0 {
		it := q.oldest().popFront()
		if q.disk.hasLoaded(it.seq) {
			q.moveToDisk(it)
			continue
		}
		items = append(items, it)
	}
	return items
}

// pending describes what waits for a sender.
type pending struct {
	items  int
	full   bool      // as many as start a send, or any where somebody waits for room
	oldest time.Time // when the oldest of them was handed over
	hurry  bool      // somebody waits for them
	closed bool      // there will be no others but patient ones
	replay int       // as many were read from disk
	last   uint64    // the newest that was ever accepted

	suspects, culprits int // as many are in quarantine
}

func (q *queue) pending() pending {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := pending{items: q.len(), hurry: q.waiters.isWaiting(), closed: q.closed, replay: q.disk.replayLen(), last: q.lastSeq}
	p.suspects, p.culprits = q.quarantine.suspects.len(), q.quarantine.culprits.len()
	p.full = p.items >= q.dueItems || q.bytes() >= q.takeBytes || p.items > 0 && q.isAwaited()
	if p.items > 0 {
		p.oldest = q.oldest().front().Queued
	}
	return p
}

// isAwaited reports whether somebody waits for room.
func (q *queue) isAwaited() bool { return q.lines[0].first != nil || q.lines[1].first != nil }

func (q *queue) snapshot() Counts {
	q.mu.Lock()
	defer q.mu.Unlock()
	c := q.counts
	c.Held, c.HeldBytes = q.held.items+q.oneShotUsage.items, q.held.bytes+q.oneShotUsage.bytes
	if k := q.disk; k != nil {
		c.Held += k.unwritten.items - k.inMemory.items
		c.HeldBytes += k.unwritten.bytes - k.inMemory.bytes
		c.Spooled, c.SpooledBytes = k.kept.items, k.kept.bytes
		c.SpoolDown = !k.writable()
	}
	return c
}

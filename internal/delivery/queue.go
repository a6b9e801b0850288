package delivery

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// Errors of Enqueue.
var (
	ErrQueueFull = errors.New("queue full")
	ErrClosed    = errors.New("closed")

	// Why the spool did not help: made once, as a full queue may drop many items.
	errQueueAndSpoolBusy = fmt.Errorf("%w: %w", ErrQueueFull, ErrSpoolBusy)
	errQueueAndSpoolFull = fmt.Errorf("%w: %w", ErrQueueFull, ErrSpoolFull)
)

// queue holds every accepted item until it is settled: in one of two lanes, both
// in the order of seq, in quarantine, or, with a spool, on its way to or from the
// disk. What a sender carries is in none of these but still counts. It is safe for
// concurrent use.
//
// An item is reported under the lock, together with its count: so Shutdown, which ends
// the reporter once no more items can end, leaves no report behind.
type queue struct {
	waiting lanes // items that are sent in their turn; guarded by mu

	maxItems, maxBytes int
	maxAutomatic       amount // automatic items may take this part of them
	takeItems          int    // of one batch
	takeBytes          int    // of one batch; its first item may be larger
	dueItems           int    // this many waiting items start a send
	overflow           Overflow
	reporter           *reporter

	mu            sync.Mutex
	quarantine    quarantine
	held          amount         // items in memory: waiting, in quarantine or in flight
	heldAuto      amount         // the automatic part of held
	oneShotAmount amount         // one-shot sends, which held does not count
	oneShots      sync.WaitGroup // one-shot sends in flight
	lastSeq       uint64
	phase         phase
	halt          error // why sending is halted; nil if it is not
	lines         lines // of callers who wait for room
	leftOut       deque // patient items for which there was no room until Shutdown's time was over
	untold        int   // more of them
	waiters       waiters
	accepted      uint64           // items so far
	recovered     uint64           // those of them that earlier processes left on disk
	ended         [outcomes]uint64 // items, by how they ended
	disk          *disk
	alarm         int // push wakes the dispatcher when this many items wait
}

// phase is how far Shutdown has come.
type phase int

const (
	open      phase = iota
	closing         // only patient items and leftovers are accepted
	sealed          // nor are these
	abandoned       // the account is closed: nothing is settled any more
)

// noAlarm leaves it to the dispatcher when to look.
const noAlarm = math.MaxInt

// newQueue returns a queue. The batches of all senders together take about half of
// it at most, so that the rest can be evicted to keep newer items.
func newQueue(cfg *Config, reporter *reporter) *queue {
	q := &queue{
		maxItems: cfg.QueueSize,
		maxBytes: cfg.QueueBytes,
		maxAutomatic: amount{
			items: max(1, cfg.QueueSize*automaticShare/5),
			bytes: cfg.QueueBytes / 5 * automaticShare, // 32 bits may not hold five times as much
		},
		takeItems: min(MaxBatchItems, max(1, cfg.QueueSize/cfg.Senders/2)),
		takeBytes: min(MaxBatchBytes-len(batchHead)-len(batchTail), cfg.QueueBytes/cfg.Senders/2),
		overflow:  cfg.Overflow,
		reporter:  reporter,
		waiters:   waiters{atGate: map[*waiter]struct{}{}, forRoom: map[context.Context]context.CancelCauseFunc{}},
	}
	q.dueItems = min(cfg.BatchSize, q.takeItems, q.maxAutomatic.items)
	q.disk = newDisk(&cfg.Storage, q)
	return q
}

// admission is what push did with an item.
type admission struct {
	evicted []Item  // items that made room, if somebody wants to know which
	outcome Outcome // of these, or of the item itself if it was refused
	wake    bool    // the dispatcher has something to do now
	waits   bool    // the item waits for room
	place   *place  // where it waits; to be passed to the next push
}

// push accepts an item, if need be at the cost of older ones. If patient is set and
// waiting may help, the item joins a line instead, where others wait or makeRoom says so.
// Its caller pushes it again with the place that it was given, when woken or when out
// of patience. An item that no longer waits gives up its place.
func (q *queue) push(it *Item, patient bool, at *place) (a admission, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	line := q.lines.lineFor(it)
	patient = patient && q.mayWait(it)
	if patient && at == nil && line.first != nil {
		a.waits, a.wake = true, true
	} else {
		err = q.accept(&a, it, patient)
	}
	switch {
	case a.waits:
		if a.place = at; at == nil {
			a.place = line.join()
		}
		a.place.awaitsDisk = q.disk.state == working && q.disk.hasRoom(it)
	case at != nil:
		line.leave(at)
	}
	return a, err
}

// refuses reports whether an item comes too late.
func (q *queue) refuses(it *Item) bool { return q.phase >= sealed || q.phase == closing && !it.Patient }

// accept is push without the line.
func (q *queue) accept(a *admission, it *Item, patient bool) error {
	if q.refuses(it) {
		return ErrClosed
	}
	if !q.fits(it) {
		if q.spillFor(it) {
			return nil
		}
		if err := q.makeRoom(a, it, patient); err != nil || a.waits {
			return err
		}
	}
	q.admit(it)
	q.waiting.laneFor(it).pushBack(it)
	if q.alarm != noAlarm && (q.waiting.len() >= q.alarm || q.waiting.bytes() >= q.takeBytes) {
		q.alarm, a.wake = noAlarm, true
	}
	return nil
}

// setAlarm has push wake the dispatcher when this many items wait. It reports false
// if they already do, and the dispatcher has not seen them all.
func (q *queue) setAlarm(items int, seen pending) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if seen.full {
		items = noAlarm
	}
	q.alarm = items
	return q.waiting.len() <= seen.items || q.waiting.len() < items && q.waiting.bytes() < q.takeBytes
}

// register counts an item as accepted and gives it its place in the order of all.
func (q *queue) register(it *Item) {
	q.accepted++
	q.lastSeq++
	it.seq = q.lastSeq
}

// admit accepts an item into memory.
func (q *queue) admit(it *Item) {
	q.register(it)
	q.enterMemory(it)
}

// take removes the oldest items for one request: at most 2^-shrink of the usual.
func (q *queue) take(shrink int) []Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.takeFrom(shrink, q.waiting.len(), q.oldest)
}

// takeFrom removes items for one request, each from the front of the lane that next
// returns, until that is empty or nil. waiting is how many items there are.
func (q *queue) takeFrom(shrink, waiting int, next func() *deque) []Item {
	most := max(1, q.takeItems>>shrink)
	items := make([]Item, 0, min(waiting, most))
	size := 0
	for len(items) < most {
		lane := next()
		if lane == nil || lane.len() == 0 {
			break
		}
		it := lane.front()
		size += len(it.Body) + 1 // its comma
		if size > q.takeBytes>>shrink && len(items) > 0 {
			break
		}
		items = append(items, *it)
		lane.dropFront()
	}
	return items
}

// takeOne removes one item for a probe, the newest or the oldest. It returns nil if
// no item waits.
func (q *queue) takeOne(newest bool) []Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch replay := q.disk.replay.len(); {
	case replay > 0 && (!newest || q.waiting.len() == 0):
		return []Item{q.disk.replay.popFront()}
	case q.waiting.len() == 0:
		return nil
	case !newest:
		return []Item{q.oldest().popFront()}
	case q.waiting.explicit.len() > 0: // an explicit one is most likely valid
		return []Item{q.waiting.explicit.popBack()}
	default:
		return []Item{q.waiting.automatic.popBack()}
	}
}

// oldest returns the lane whose front was accepted first, an empty one if no item waits.
func (q *queue) oldest() *deque {
	explicit, automatic := &q.waiting.explicit, &q.waiting.automatic
	if automatic.len() > 0 && (explicit.len() == 0 || automatic.front().seq < explicit.front().seq) {
		return automatic
	}
	return explicit
}

// putBack returns items that were taken and not settled to where they stood. They
// can be evicted again, so there may be room for others.
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
	q.waiting.restore(fresh)
	if len(replayed) > 0 {
		q.disk.replay.restore(replayed)
	}
}

// settle ends items that were taken, and makes the reports of it.
func (q *queue) settle(items []Item, outcome Outcome, reports ...Report) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.phase == abandoned {
		return
	}
	q.ended[outcome] += uint64(len(items))
	for i := range items {
		q.release(&items[i])
	}
	for _, report := range reports {
		q.reporter.add(report)
	}
}

// release forgets an item that has ended, and ends the waits for it.
func (q *queue) release(it *Item) {
	q.leaveMemory(it)
	q.disk.settled(it)
	q.waiters.itemEnded(it.seq)
}

// enterMemory counts an item as held.
func (q *queue) enterMemory(it *Item) {
	q.held.add(it)
	if it.Automatic {
		q.heldAuto.add(it)
	}
}

// leaveMemory frees the room of an item.
func (q *queue) leaveMemory(it *Item) {
	q.held.remove(it)
	if it.Automatic {
		q.heldAuto.remove(it)
	}
	q.announceRoom()
	q.refillReplay()
}

// announceRoom wakes the first caller in each line. A caller that leaves its line
// wakes the next.
func (q *queue) announceRoom() {
	q.lines.explicit.wakeFirst()
	q.lines.automatic.wakeFirst()
}

// close refuses all further items except patient ones, and reports whether this call
// closed the queue. Callers of SendNow that wait for the end of a halt are refused
// too. A halt is to be probed now: patient items wait for the outcome.
func (q *queue) close() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.phase >= closing {
		return false
	}
	q.phase, q.halt = closing, nil
	q.announceRoom()
	q.waiters.openGate(nil)
	return true
}

// seal refuses patient items too.
func (q *queue) seal() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.phase = sealed
	q.announceRoom()
}

// abandon closes the account: items that are still held end as Abandoned, except those
// of one-shot sends. So do the lost ones, which never came here. It returns how many
// items these are, with those that were left out and not kept.
func (q *queue) abandon(lost int) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.accepted += uint64(lost)          //nolint:gosec // an amount
	n := lost + q.inMemoryAlone().items // items that are on disk are not lost
	q.disk.unwritten, q.disk.inMemory = amount{}, amount{}
	clear(q.disk.loaded)
	q.ended[Abandoned] += uint64(n) //nolint:gosec // an amount
	q.held, q.heldAuto, q.phase = amount{}, amount{}, abandoned
	q.waiters.endAll(ErrClosed)
	q.waiters.openGate(ErrClosed)
	return n + q.untold
}

// drain takes out all waiting items that are in memory alone.
func (q *queue) drain() []Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	items := q.recall()
	for _, lane := range []*deque{&q.waiting.explicit, &q.waiting.automatic, &q.disk.replay} {
		for lane.len() > 0 {
			if it := lane.popFront(); q.disk.hasLoaded(it.seq) {
				q.moveToDisk(it)
			} else {
				items = append(items, it)
			}
		}
	}
	slices.SortFunc(items, bySeq)
	return items
}

// drainLeftOut adds the items that were left out to others.
func (q *queue) drainLeftOut(items []Item) []Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.leftOut.drainTo(items)
}

// pending describes what waits for a sender.
type pending struct {
	items  int
	full   bool      // enough to start a send, or any if a caller waits for room
	oldest time.Time // when the oldest of them was queued
	hurry  bool      // a caller of Flush, Shutdown or SendNow waits
	closed bool      // no more items are accepted, except patient ones
	replay int       // items that were read from disk
	last   uint64    // seq of the item that was accepted last

	suspects, culprits int // items in quarantine
}

func (q *queue) pending() pending {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := pending{items: q.waiting.len(), hurry: q.waiters.isWaiting(), closed: q.phase >= closing, last: q.lastSeq}
	p.replay = q.disk.replay.len()
	p.suspects, p.culprits = q.quarantine.suspects.len(), q.quarantine.culprits.len()
	p.full = p.items >= q.dueItems || q.waiting.bytes() >= q.takeBytes || p.items > 0 && !q.lines.areEmpty()
	if p.items > 0 {
		p.oldest = q.oldest().front().Queued
	}
	return p
}

// inMemoryAlone is what is not on disk, or not yet, without one-shot sends.
func (q *queue) inMemoryAlone() amount {
	held, unwritten, onDisk := q.held, q.disk.unwritten, q.disk.inMemory
	return amount{held.items + unwritten.items - onDisk.items, held.bytes + unwritten.bytes - onDisk.bytes}
}

func (q *queue) snapshot() Counts {
	q.mu.Lock()
	defer q.mu.Unlock()
	disk, memory := q.disk, q.inMemoryAlone()
	return Counts{
		Accepted: q.accepted, Recovered: q.recovered,
		Sent: q.ended[Sent], Failed: q.ended[Failed], Evicted: q.ended[Evicted], Abandoned: q.ended[Abandoned],
		SpoolBusy: q.ended[SpoolBusy], SpoolFull: q.ended[SpoolFull], SpoolLost: q.ended[SpoolLost],
		Held: memory.items + q.oneShotAmount.items, HeldBytes: memory.bytes + q.oneShotAmount.bytes,
		Spooled: disk.kept.items, SpooledBytes: disk.kept.bytes,
		SpoolDown: disk.state != noDisk && !disk.writable(),
	}
}

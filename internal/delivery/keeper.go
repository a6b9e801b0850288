package delivery

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// keeper owns the spool: only its goroutine uses the disk. All callers that wait for
// the disk at the same time share one commit.
type keeper struct {
	*Deliverer

	reopenAt time.Time // when to call Reopen, unless the disk works
	removeAt time.Time // when to remove records; zero if there are none
	portion  int       // after a failure, the most records to remove at once; 0 for any number

	inheritAt    time.Time // when to look for leftovers next
	inheritBytes int       // to take over at once; 0 for the usual
	inheritFault string    // why the last look failed, which has been logged; or ""
}

// run works until end is closed. Then it writes what is left in memory.
func (k *keeper) run(end <-chan struct{}) {
	defer k.close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	at := k.step(time.Now())
	close(k.looked)
	for ; ; at = k.step(time.Now()) {
		if at.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(at))
		}
		select {
		case <-k.queue.disk.wake:
		case <-timer.C:
		case <-end:
			k.finish()
			return
		}
	}
}

func (k *keeper) close() {
	k.moving.Store(true)
	defer k.moving.Store(false)
	err := k.cfg.Spool.Close()
	if err == nil {
		return
	}
	k.cfg.Logger.Warn("klime: spool not closed", slog.Any("error", err))
	if errors.Is(err, ErrSpoolLost) {
		k.tellTokens(k.queue.closedLost().tokens, SpoolLost)
	}
}

// step does all that there is to do, and returns when to look again.
func (k *keeper) step(now time.Time) time.Time {
	disk := k.queue.disk
	if disk.state != working && !now.Before(k.reopenAt) {
		k.reopenAt = now.Add(reopenInterval)
		k.reopen(nil)
	}
	for k.workOnce(now) {
	}
	switch removals := k.queue.removals(); {
	case !disk.readable(), removals == 0:
		k.removeAt = time.Time{}
	case k.removeAt.IsZero():
		k.removeAt = now.Add(removalsAfter)
	}
	at := k.removeAt
	if disk.state != working {
		at = earliest(at, k.reopenAt)
	}
	if now.Before(k.inheritAt) { // else there is a look as soon as the disk is done with the rest
		at = earliest(at, k.inheritAt)
	}
	return at
}

// workOnce does the first thing that there is to do, and reports whether there may be more.
func (k *keeper) workOnce(now time.Time) bool {
	k.tellTokens(k.queue.takeForgotten(), Evicted)
	disk := k.queue.disk
	if !disk.readable() {
		return false
	}
	due := !k.removeAt.IsZero() && !now.Before(k.removeAt)
	w := k.queue.takeWork(due, k.portion)
	if w.isNothing() {
		return k.load() || k.inherit(now)
	}
	before := disk.state
	k.commit(w)
	if before == readOnly && disk.state == broken { // what cannot be removed can still be read
		k.removeAt = k.reopenAt
		k.reopen(nil)
	}
	k.load() // also if callers never leave the disk idle
	return true
}

// commit writes and removes records, and handles the outcome.
func (k *keeper) commit(w work) {
	k.removeAt = time.Time{}
	dropped, err := k.cfg.Spool.Commit(w.records(), w.remove)
	if err != nil {
		k.portion = smaller(len(w.remove) + len(w.items))
		k.fail(w, err)
		return
	}
	if k.portion *= 2; k.queue.removals() == 0 {
		k.portion = 0
	}
	k.tellAll(k.queue.written(w, dropped), SpoolFull)
	k.wakeDispatcher()
}

// smaller is how many records to remove at once after a commit of n has failed: a full disk
// may have room for a smaller commit, which frees more. After a single one it is any number
// again: to remove all may be possible where nothing else is.
func smaller(n int) int {
	if n <= 1 {
		return 0
	}
	return max(1, n/10)
}

// fail handles the failure of a commit or a read.
func (k *keeper) fail(w work, err error) {
	if k.queue.disk.state == working {
		k.cfg.Logger.Warn("klime: the spool fails, events are kept in memory only", slog.Any("error", err))
	}
	k.reopenAt = time.Now().Add(reopenInterval)
	k.tellAll(k.queue.failed(w, err), Evicted)
	k.wakeDispatcher()
}

// reopen tries to get the spool to work again. If a fault has not been noted yet, it is the
// cause, and is noted unless the spool works now.
func (k *keeper) reopen(cause error) {
	k.moving.Store(true)
	defer k.moving.Store(false)
	lost, writable, err := k.cfg.Spool.Reopen()
	if cause != nil && !writable {
		k.fail(work{}, cause)
	}
	if err != nil {
		k.queue.stillFails(err) // which has been logged
		return
	}
	before := k.queue.disk.state
	ended := k.queue.reopened(lost, writable)
	if writable && before != working {
		k.cfg.Logger.Info("klime: the spool works again", slog.Int("lost", ended.items))
	}
	k.tellTokens(ended.tokens, SpoolLost)
	k.wakeDispatcher()
}

// load reads records that are on disk alone, the oldest first, for the senders. It
// reports whether there may be more to do.
func (k *keeper) load() bool {
	next := k.queue.nextRead()
	if next.records == 0 {
		return false
	}
	records, err := k.cfg.Spool.Read(next.from, next.records, next.size, k.queue.isKnown)
	if err != nil {
		k.fail(work{}, fmt.Errorf("read: %w", err))
		return false
	}
	lost, more := k.queue.load(next, records)
	k.tellTokens(lost.tokens, SpoolLost)
	k.wakeDispatcher()
	return more
}

// finish writes what is left in memory. If the disk was not used for long, a fault may
// show only now: then it tries once more.
func (k *keeper) finish() {
	k.portion = 0
	for range 2 {
		if !k.queue.disk.readable() {
			k.reopen(nil)
		}
		if !k.queue.disk.readable() {
			return
		}
		k.queue.spillAll()
		if k.writeRest() {
			return
		}
	}
}

// writeRest writes all that waits to be written, and reports whether it could.
func (k *keeper) writeRest() bool {
	for k.queue.disk.readable() {
		w := k.queue.takeWork(true, k.portion)
		if w.isNothing() {
			return true
		}
		k.commit(w)
	}
	return false
}

package delivery

import (
	"cmp"
	"context"
	"maps"
	"slices"
)

// waiter waits until every item accepted before it is settled.
type waiter struct {
	upTo uint64        // seq of the last item that it waits for
	left int           // how many of these are still held and not counted by an earlier waiter
	done chan struct{} // closed when the wait is over
	err  error         // why the wait ended early; read after done
}

// waiters are the callers who wait on a queue, whose lock guards them. An item is
// counted for one waiter alone, however many wait for it, so that ending an item
// costs next to nothing.
type waiters struct {
	inOrder []*waiter                                   // by upTo
	awaited int                                         // the sum of their left
	atGate  map[*waiter]struct{}                        // those who wait for the end of a halt instead
	forRoom map[context.Context]context.CancelCauseFunc // the contexts of those who wait until patient items are accepted
}

// wait registers a waiter for all that is held now, in memory or on disk.
func (q *queue) wait() *waiter {
	q.mu.Lock()
	defer q.mu.Unlock()
	held := q.inMemoryAlone().items + q.oneShotAmount.items + q.disk.kept.items + q.disk.reserved
	w := &waiter{upTo: q.lastSeq, left: held - q.waiters.awaited, done: make(chan struct{})}
	if held == 0 {
		close(w.done)
		return w
	}
	q.waiters.inOrder = append(q.waiters.inOrder, w)
	q.waiters.awaited = held
	return w
}

// waitForGate registers a waiter for the end of a halt. It ends with the reason if the halt
// goes on.
func (q *queue) waitForGate() *waiter {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := &waiter{done: make(chan struct{})}
	if q.halt == nil || q.phase >= closing {
		close(w.done)
		return w
	}
	q.waiters.atGate[w] = struct{}{}
	return w
}

// patience returns the context of a caller who waits until patient items have been
// accepted. It ends with ctx, or when the items wait for room during a halt. To end it
// may call methods of the app's ctx, which must not happen under the lock.
func (q *queue) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiters.forRoom[ctx] = cancel
	return ctx, func() {
		q.mu.Lock()
		delete(q.waiters.forRoom, ctx)
		q.mu.Unlock()
		cancel(nil)
	}
}

func (w *waiter) end(err error) {
	w.err = err
	close(w.done)
}

// isWaiting reports whether anybody waits.
func (ws *waiters) isWaiting() bool { return len(ws.inOrder)+len(ws.atGate) > 0 }

// itemEnded notes that an item has ended, and ends the waiters for which it was
// the last.
func (ws *waiters) itemEnded(seq uint64) {
	if len(ws.inOrder) == 0 {
		return
	}
	i, _ := slices.BinarySearchFunc(ws.inOrder, seq, func(w *waiter, seq uint64) int { return cmp.Compare(w.upTo, seq) })
	if i == len(ws.inOrder) {
		return
	}
	ws.inOrder[i].left--
	ws.awaited--
	n := 0
	for ; n < len(ws.inOrder) && ws.inOrder[n].left == 0; n++ {
		ws.inOrder[n].end(nil)
	}
	ws.inOrder = slices.Delete(ws.inOrder, 0, n)
}

// endAll ends the waiters that wait for items.
func (ws *waiters) endAll(err error) {
	for _, w := range ws.inOrder {
		w.end(err)
	}
	ws.inOrder, ws.awaited = nil, 0
}

// openGate ends the waiters that wait for the end of a halt.
func (ws *waiters) openGate(err error) {
	for w := range ws.atGate {
		w.end(err)
	}
	clear(ws.atGate)
}

// leave ends a waiter whose caller no longer wants to wait, unless it has ended.
func (q *queue) leave(w *waiter, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	ws := &q.waiters
	if _, waits := ws.atGate[w]; waits {
		delete(ws.atGate, w)
		w.end(err)
		return
	}
	i := slices.Index(ws.inOrder, w)
	switch {
	case i < 0:
		return
	case i+1 < len(ws.inOrder):
		ws.inOrder[i+1].left += w.left
	default:
		ws.awaited -= w.left
	}
	ws.inOrder = slices.Delete(ws.inOrder, i, i+1)
	w.end(err)
}

// turnAway ends all waiters with err, the reason for a halt: while it lasts, what
// they wait for will not happen. If the queue has been closed, it does so only if
// evenClosed is set: closing asks for a probe first. Patient items alone stay in line,
// and Shutdown goes on waiting for them while the disk is about to take them.
func (q *queue) turnAway(err error, evenClosed bool) {
	for _, cancel := range q.turnAwayAll(err, evenClosed) {
		cancel(err)
	}
}

// turnAwayAll is turnAway, but for the contexts of patience: it returns those to end.
func (q *queue) turnAwayAll(err error, evenClosed bool) (patiences []context.CancelCauseFunc) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.phase >= closing && !evenClosed {
		return nil
	}
	if q.halt == nil { // else those who do not wait during a halt know of it
		q.announceRoom()
	}
	q.halt = err
	q.waiters.endAll(err)
	q.waiters.openGate(err)
	if first := q.lines.automatic.first; first != nil && (q.phase == open || !first.awaitsDisk) {
		patiences = slices.Collect(maps.Values(q.waiters.forRoom))
	}
	return patiences
}

// resume ends the halt that turnAway began, and the waits for its end.
func (q *queue) resume() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.halt = nil
	q.waiters.openGate(nil)
}

package delivery

// waiter waits until every item accepted before it is settled.
type waiter struct {
	upTo uint64        // the last item it waits for
	left int           // how many of them are still held
	gate bool          // it waits for sending to resume instead
	done chan struct{} // closed at the end
	err  error         // why it ended early; read after done
}

// wait registers a waiter for all that is held now.
func (q *queue) wait() *waiter {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := &waiter{upTo: q.lastSeq, left: q.held.items + q.direct.items + q.disk.outside(), done: make(chan struct{})}
	if w.left == 0 {
		close(w.done)
		return w
	}
	q.waiters[w] = struct{}{}
	return w
}

// waitForGate registers a waiter for the end of a halt.
func (q *queue) waitForGate() *waiter {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := &waiter{gate: true, done: make(chan struct{})}
	if q.halt == nil || q.closed {
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

// turnAway ends all waiters: what they wait for is not going to happen, while
// err lasts.
func (q *queue) turnAway(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.halt = err
	q.callRoom()
	for w := range q.waiters {
		q.end(w, err)
	}
}

// resume ends what turnAway began.
func (q *queue) resume() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.halt = nil
	for w := range q.waiters {
		if w.gate {
			q.end(w, nil)
		}
	}
}

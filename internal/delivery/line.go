package delivery

// line is of callers who wait for room: who came first goes first. It belongs to the
// queue, and its lock.
type line struct{ first, last *place }

// place is one caller's in a line.
type place struct {
	turn       chan struct{} // told to look whether there is room; holds one word
	prev, next *place
}

// join gives a place behind all others.
func (l *line) join() *place {
	p := &place{turn: make(chan struct{}, 1), prev: l.last}
	if l.last == nil {
		l.first = p
	} else {
		l.last.next = p
	}
	l.last = p
	return p
}

// leave gives a place up. Who is first then is called: there may be more room.
func (l *line) leave(p *place) {
	if p.prev == nil {
		l.first = p.next
		l.callFirst()
	} else {
		p.prev.next = p.next
	}
	if p.next == nil {
		l.last = p.prev
	} else {
		p.next.prev = p.prev
	}
}

// call has the first look whether there is room.
func (l *line) callFirst() {
	if l.first == nil {
		return
	}
	select {
	case l.first.turn <- struct{}{}:
	default: // it has yet to look
	}
}

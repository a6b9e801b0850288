package delivery

// lines are where callers wait with explicit items and with automatic ones: there may be
// room for explicit items that is not open to automatic ones.
type lines struct{ explicit, automatic line }

func (l *lines) lineFor(it *Item) *line {
	if it.Automatic {
		return &l.automatic
	}
	return &l.explicit
}

func (l *lines) areEmpty() bool { return l.explicit.first == nil && l.automatic.first == nil }

// line is where callers wait for room: first come, first served. The queue's lock
// guards it.
type line struct{ first, last *place }

// place is the place of one caller in a line.
type place struct {
	turn       chan struct{} // tells the caller to look for room; holds one signal
	awaitsDisk bool          // a disk that has room, but is busy, will take the item
	prev, next *place
}

// join returns a place behind all others.
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

// leave gives up a place. If it was the first, the next caller is woken: there may
// be room for that one too.
func (l *line) leave(p *place) {
	if p.prev == nil {
		l.first = p.next
		l.wakeFirst()
	} else {
		p.prev.next = p.next
	}
	if p.next == nil {
		l.last = p.prev
	} else {
		p.next.prev = p.prev
	}
}

// wakeFirst tells the first caller to look for room.
func (l *line) wakeFirst() {
	if l.first != nil {
		signal(l.first.turn)
	}
}

package delivery

import (
	"cmp"
	"slices"
)

// ring is a double-ended queue of items that grows with need and gives its
// memory back once it has run empty.
type ring struct {
	buf   []Item
	head  int
	n     int
	bytes int // of the bodies
}

// keepCap is the capacity that an empty ring keeps.
const keepCap = 256

func (r *ring) len() int { return r.n }

func (r *ring) front() *Item { return &r.buf[r.head] }

func (r *ring) pushBack(it Item) {
	r.grow()
	r.buf[r.index(r.n)] = it
	r.n++
	r.bytes += len(it.Body)
}

func (r *ring) pushFront(it Item) {
	r.grow()
	r.head = r.index(len(r.buf) - 1)
	r.buf[r.head] = it
	r.n++
	r.bytes += len(it.Body)
}

// restore puts items, which were taken in order, back in their order: what
// another sender took later may be back already.
func (r *ring) restore(items []Item) {
	if len(items) == 0 {
		return
	}
	if r.n > 0 && r.buf[r.index(r.n-1)].seq < items[0].seq {
		for _, it := range items { // it was the newest
			r.pushBack(it)
		}
		return
	}
	last := items[len(items)-1].seq
	for r.n > 0 && r.front().seq < last {
		items = append(items, r.popFront())
	}
	slices.SortFunc(items, bySeq)
	for _, it := range slices.Backward(items) {
		r.pushFront(it)
	}
}

func bySeq(a, b Item) int { return cmp.Compare(a.seq, b.seq) }

func (r *ring) popFront() Item {
	it := r.buf[r.head]
	r.buf[r.head] = Item{} // lets the body be collected
	r.head = r.index(1)
	r.n--
	r.bytes -= len(it.Body)
	r.shrink()
	return it
}

func (r *ring) popBack() Item {
	last := r.index(r.n - 1)
	it := r.buf[last]
	r.buf[last] = Item{}
	r.n--
	r.bytes -= len(it.Body)
	r.shrink()
	return it
}

func (r *ring) shrink() {
	if r.n == 0 && len(r.buf) > keepCap {
		*r = ring{}
	}
}

// index is the place of the item that stands offset behind the front.
func (r *ring) index(offset int) int {
	i := r.head + offset
	if i >= len(r.buf) {
		i -= len(r.buf)
	}
	return i
}

// grow makes room for one more, by an eighth, so that a long queue costs
// little more than its items.
func (r *ring) grow() {
	if r.n < len(r.buf) {
		return
	}
	buf := make([]Item, r.n+max(r.n/8, keepCap/4))
	k := copy(buf, r.buf[r.head:])
	copy(buf[k:], r.buf[:r.head])
	r.buf, r.head = buf, 0
}

package delivery

// ring is a double-ended queue of items that grows with need and gives its
// memory back once it has run empty.
type ring struct {
	buf  []Item
	head int
	n    int
}

// keepCap is the capacity that an empty ring keeps.
const keepCap = 256

func (r *ring) len() int { return r.n }

func (r *ring) front() *Item { return &r.buf[r.head] }

func (r *ring) pushBack(it Item) {
	r.grow()
	r.buf[r.index(r.n)] = it
	r.n++
}

func (r *ring) pushFront(it Item) {
	r.grow()
	r.head = r.index(len(r.buf) - 1)
	r.buf[r.head] = it
	r.n++
}

func (r *ring) popFront() Item {
	it := r.buf[r.head]
	r.buf[r.head] = Item{} // lets the body be collected
	r.head = r.index(1)
	r.n--
	if r.n == 0 && len(r.buf) > keepCap {
		*r = ring{}
	}
	return it
}

// index is the place of the item that stands offset behind the front.
func (r *ring) index(offset int) int {
	i := r.head + offset
	if i >= len(r.buf) {
		i -= len(r.buf)
	}
	return i
}

// grow makes room for one more, by a quarter, so that a long queue costs
// little more than its items.
func (r *ring) grow() {
	if r.n < len(r.buf) {
		return
	}
	buf := make([]Item, r.n+max(r.n/4, keepCap/4))
	k := copy(buf, r.buf[r.head:])
	copy(buf[k:], r.buf[:r.head])
	r.buf, r.head = buf, 0
}

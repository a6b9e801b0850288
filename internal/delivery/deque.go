package delivery

import (
	"cmp"
	"slices"
)

// deque is a double-ended queue of items, in blocks, so that growing copies nothing
// while callers wait for the lock. When it runs empty, it keeps only a few blocks.
type deque struct {
	first, last *block // nil until the first push
	head        int    // index of the front item, in first
	tail        int    // index behind the back item, in last
	n           int
	bytes       int // sum of the bodies

	spare  *block // free blocks, linked by next
	spares int
}

const (
	blockItems = 64
	maxSpares  = 4
)

type block struct {
	items      [blockItems]Item
	prev, next *block
}

func (d *deque) len() int { return d.n }

func (d *deque) front() *Item { return &d.first.items[d.head] }

func (d *deque) back() *Item { return &d.last.items[d.tail-1] }

func (d *deque) pushBack(it *Item) {
	d.startAt(0)
	if d.tail == blockItems {
		b := d.newBlock()
		b.prev, d.last.next = d.last, b
		d.last, d.tail = b, 0
	}
	d.last.items[d.tail] = *it
	d.tail++
	d.n++
	d.bytes += len(it.Body)
}

func (d *deque) pushFront(it *Item) {
	d.startAt(blockItems)
	if d.head == 0 {
		b := d.newBlock()
		b.next, d.first.prev = d.first, b
		d.first, d.head = b, blockItems
	}
	d.head--
	d.first.items[d.head] = *it
	d.n++
	d.bytes += len(it.Body)
}

// startAt prepares for a push: an empty deque starts at this index of its block.
func (d *deque) startAt(at int) {
	if d.first == nil {
		d.first = d.newBlock()
		d.last = d.first
	}
	if d.n == 0 {
		d.head, d.tail = at, at
	}
}

// restore puts items back that were taken from the front. Items that another sender
// took later may be back already.
func (d *deque) restore(items []Item) {
	if len(items) == 0 {
		return
	}
	slices.SortFunc(items, bySeq)
	if d.n > 0 && d.back().seq < items[0].seq {
		for i := range items { // they are the newest
			d.pushBack(&items[i])
		}
		return
	}
	last := items[len(items)-1].seq
	for d.n > 0 && d.front().seq < last {
		items = append(items, d.popFront())
	}
	slices.SortFunc(items, bySeq)
	for i := range slices.Backward(items) {
		d.pushFront(&items[i])
	}
}

func bySeq(a, b Item) int { return cmp.Compare(a.seq, b.seq) }

func (d *deque) popFront() Item {
	it := *d.front()
	d.dropFront()
	return it
}

func (d *deque) dropFront() {
	it := d.front()
	d.head++
	d.n--
	d.bytes -= len(it.Body)
	*it = Item{} // lets the body be collected
	if d.head == blockItems && d.first != d.last {
		done := d.first
		d.first, d.head = done.next, 0
		d.first.prev = nil
		d.free(done)
	}
}

func (d *deque) popBack() Item {
	d.tail--
	it := d.last.items[d.tail]
	d.last.items[d.tail] = Item{}
	d.n--
	d.bytes -= len(it.Body)
	if d.tail == 0 && d.first != d.last {
		done := d.last
		d.last, d.tail = done.prev, blockItems
		d.last.next = nil
		d.free(done)
	}
	return it
}

// drainTo empties the deque and appends its items to others.
func (d *deque) drainTo(items []Item) []Item {
	for d.len() > 0 {
		items = append(items, d.popFront())
	}
	return items
}

func (d *deque) newBlock() *block {
	b := d.spare
	if b == nil {
		return new(block)
	}
	d.spare = b.next
	d.spares--
	b.next = nil
	return b
}

// free keeps an empty block for later, unless there are enough.
func (d *deque) free(b *block) {
	if d.spares == maxSpares {
		return
	}
	b.prev, b.next = nil, d.spare
	d.spare = b
	d.spares++
}

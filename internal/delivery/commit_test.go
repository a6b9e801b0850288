package delivery

import (
	"fmt"
	"slices"
	"testing"
)

func seqs(items []Item) (all []uint64) {
	for i := range items {
		all = append(all, items[i].seq)
	}
	return all
}

func writesOf(seqs ...uint64) (writes []diskWrite) {
	for _, seq := range seqs {
		writes = append(writes, diskWrite{Item: Item{seq: seq, Body: make([]byte, 40)}})
	}
	return writes
}

// Of the items that could not be written memory takes the newest, in their order. Those
// that are on disk too make room.
func TestTakeBack(t *testing.T) {
	t.Parallel()
	r := &reporter{tell: func(Report) {}}
	q := newQueue(&Config{Senders: 1, QueueSize: 4, QueueBytes: 1000}, r)
	q.disk.loaded = map[uint64]struct{}{1: {}}
	for _, write := range writesOf(1, 2) {
		q.enterMemory(&write.Item)
		q.waiting.explicit.pushBack(&write.Item)
	}
	q.disk.kept.add(q.waiting.explicit.front())
	q.disk.inMemory.add(q.waiting.explicit.front())
	evicted := q.takeBack(writesOf(7, 3, 5, 4, 6))
	if got, want := seqs(evicted), []uint64{4, 3}; !slices.Equal(got, want) {
		t.Errorf("evicted %v, want %v", got, want)
	}
	if got, want := seqs(q.waiting.explicit.drainTo(nil)), []uint64{2, 5, 6, 7}; !slices.Equal(got, want) {
		t.Errorf("%v wait, want %v", got, want)
	}
	if len(r.waiting) != 1 || len(r.waiting[0].Items) != 2 || r.waiting[0].Outcome != Evicted {
		t.Errorf("reported %+v", r.waiting)
	}
}

// A commit is bounded. What a caller waits for goes first.
func TestTakeWrites(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		items, size int
		want        []uint64
	}{
		{10, 1000, []uint64{3, 4, 1, 2}},
		{3, 1000, []uint64{3, 4, 1}},
		{10, 81, []uint64{3, 4, 1}},
		{10, 80, []uint64{3, 4}},
		{10, 1, []uint64{3}}, // at least one
	} {
		d := disk{urgent: writesOf(3, 4)}
		for _, write := range writesOf(1, 2) {
			d.spill.pushBack(&write.Item)
		}
		var got []uint64
		for _, write := range d.takeWrites(tt.items, tt.size) {
			got = append(got, write.seq)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%d items of %d bytes: %v, want %v", tt.items, tt.size, got, tt.want)
		}
	}
}

// A record says what the next process must know of its item. Attempts that do not count are
// not in it.
func TestRecords(t *testing.T) {
	t.Parallel()
	w := work{items: []diskWrite{{Item: Item{seq: 7, Body: []byte("{}"), Automatic: true, attempts: 5, pardoned: 2}}}}
	if got, want := fmt.Sprintf("%+v", w.records()), "[{Key:7 Body:[123 125] Automatic:true Attempts:3 Damaged:false}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// What a full disk cannot remove at once may be removed in smaller portions, or all of it if
// not even one of them can.
func TestSmallerPortions(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{0: 0, 1: 0, 2: 1, 19: 1, 20: 2, 1000: 100} {
		if got := smaller(n); got != want {
			t.Errorf("after %d: %d, want %d", n, got, want)
		}
	}
}

package delivery

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Whatever is pushed, popped and put back at either end, the deque holds what a slice
// would, and few blocks more than that needs.
func TestDeque(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		var d deque
		var want []uint64
		next, before := uint64(1_000_000), uint64(1_000_000)
		for step := range 20_000 {
			switch growing := step%4000 < 2000; random.IntN(8) {
			case 0:
				before--
				d.pushFront(&Item{seq: before, Body: make([]byte, before%3)})
				want = slices.Insert(want, 0, before)
			case 1, 2, 3:
				if growing || random.IntN(3) == 0 {
					d.pushBack(&Item{seq: next, Body: make([]byte, next%3)})
					want = append(want, next)
					next++
				}
			case 4:
				if len(want) > 0 {
					if got := d.popBack().seq; got != want[len(want)-1] {
						t.Fatalf("seed %d: the back was %d, want %d", seed, got, want[len(want)-1])
					}
					want = want[:len(want)-1]
				}
			case 5, 6:
				if len(want) > 0 {
					if got := d.popFront().seq; got != want[0] {
						t.Fatalf("seed %d: the front was %d, want %d", seed, got, want[0])
					}
					want = want[1:]
				}
			case 7: // two senders take items, and the second returns them first
				var one, other []Item
				for range min(len(want)/2, random.IntN(100)) {
					one = append(one, d.popFront())
				}
				for range min(len(want)-len(one), random.IntN(100)) {
					other = append(other, d.popFront())
				}
				d.restore(other)
				d.restore(one)
			}
			check(t, &d, want)
		}
	}
}

func check(t *testing.T, d *deque, want []uint64) {
	t.Helper()
	size := 0
	for _, seq := range want {
		size += int(seq % 3)
	}
	if d.len() != len(want) || d.bytes != size {
		t.Fatalf("%d items of %d bytes, want %d of %d", d.len(), d.bytes, len(want), size)
	}
	if len(want) > 0 && (d.front().seq != want[0] || d.back().seq != want[len(want)-1]) {
		t.Fatalf("from %d to %d, want %d to %d", d.front().seq, d.back().seq, want[0], want[len(want)-1])
	}
	blocks, held := d.spares, 0
	for b := d.first; b != nil; b = b.next {
		blocks++
		for i := range b.items {
			if b.items[i].seq != 0 {
				held++
			}
		}
	}
	if held != len(want) || blocks > len(want)/blockItems+2+maxSpares {
		t.Fatalf("%d items in %d blocks, want %d", held, blocks, len(want))
	}
}

package delivery

import "testing"

// A batch of which one event is at fault is tried in halves, if there are so small ones.
func TestHalve(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		tried, usual int
		want         uint8
	}{
		{100, 100, 1},
		{51, 100, 2},
		{20, 100, 4},
		{1, 100, 6},
		{1, 1, 0},
		{2, 100_000, maxShrink}, // however many there are usually
	} {
		items := make([]Item, test.tried)
		halve(items, test.usual)
		if first, last := items[0].halvings, items[test.tried-1].halvings; first != test.want || last != test.want {
			t.Errorf("%+v: %d and %d", test, first, last)
		}
	}
}

// What has failed less often is not tried together with what is most likely at fault.
func TestSuspectsOfOneKind(t *testing.T) {
	t.Parallel()
	q := newQueue(&Config{QueueSize: 400, QueueBytes: 1 << 20, Senders: 2, BatchSize: 20}, &reporter{})
	for i, halvings := range []uint8{0, 0, 0, 2, 2, 1} {
		it := Item{Body: []byte("{}"), seq: uint64(i), halvings: halvings}
		q.quarantine.suspects.explicit.pushBack(&it)
	}
	for _, want := range []int{3, 2, 1, 0} {
		if got := len(q.takeQuarantined(fromSuspects, 0)); got != want {
			t.Errorf("a batch of %d, want %d", got, want)
		}
	}
}

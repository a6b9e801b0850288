package delivery

import (
	"slices"
	"testing"
)

// A culprit may stay for long. It must not hold the memory of those that were made
// before and after it.
func TestCulpritSharesNoMemory(t *testing.T) {
	t.Parallel()
	q := newQueue(&Config{QueueSize: 10, QueueBytes: 1 << 20, BatchSize: 2, Senders: 1}, &reporter{})
	shared := []byte(`{"n":1}{"n":2}`)
	it := Item{Body: shared[:7:7]}
	if _, err := q.push(&it, false, nil); err != nil {
		t.Fatal(err)
	}
	q.isolate(q.take(0), fromCulprits, true)
	shared[5] = '9'
	if got := q.takeQuarantined(fromCulprits, maxShrink); len(got) != 1 || string(got[0].Body) != `{"n":1}` {
		t.Errorf("%v", got)
	}
}

// Explicit and automatic suspects are tried in turn.
func TestSuspectsTakeTurns(t *testing.T) {
	t.Parallel()
	q := newQueue(&Config{Senders: 1, QueueSize: 10, QueueBytes: 1000}, nil)
	q.isolate([]Item{{seq: 1}, {seq: 2}, {seq: 3}, {seq: 4, Automatic: true}, {seq: 5, Automatic: true}}, fromSuspects, false)
	var got []uint64
	for range 5 {
		got = append(got, seqs(q.takeQuarantined(fromSuspects, maxShrink))...)
	}
	if want := []uint64{1, 4, 2, 5, 3}; !slices.Equal(got, want) {
		t.Errorf("tried %v, want %v", got, want)
	}
}

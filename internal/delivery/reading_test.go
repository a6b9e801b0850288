package delivery

import (
	"fmt"
	"testing"
)

// What is read from disk is the item that was written.
func TestLoad(t *testing.T) {
	t.Parallel()
	q := newQueue(&Config{Senders: 1, QueueSize: 10, QueueBytes: 1000}, &reporter{})
	q.disk = &disk{state: working, loaded: map[uint64]struct{}{}, removing: map[uint64]struct{}{}, tokens: map[uint64]uint64{7: 70}}
	q.disk.kept = amount{2, 4}
	q.load(reading{}, []Record{{Key: 7, Body: []byte("{}"), Automatic: true, Attempts: 3}, {Key: 9, Body: []byte("{}")}})
	for _, want := range []string{"7 {} 70 true 3 true", "9 {} 0 false 0 true"} {
		it := q.disk.replay.popFront()
		if got := fmt.Sprint(it.seq, " ", string(it.Body), " ", it.Token, " ", it.Automatic, " ", it.attempts, " ", it.replayed); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if it.Queued.IsZero() {
			t.Errorf("%d: queued at no time", it.seq)
		}
	}
	if q.held != (amount{2, 4}) || q.heldAuto != (amount{1, 2}) || len(q.disk.tokens) != 0 {
		t.Errorf("held %v, automatic %v, tokens %v", q.held, q.heldAuto, q.disk.tokens)
	}
}

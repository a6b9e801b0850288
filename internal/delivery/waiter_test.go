package delivery

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func push(tb testing.TB, q *queue) {
	tb.Helper()
	if _, err := q.push(&Item{Body: []byte("{}")}, false, nil); err != nil {
		tb.Fatal(err)
	}
}

// Flush calls that wait through an outage do not slow down events that find the queue
// full.
func TestWaitersCostLittle(t *testing.T) {
	took := func(waiters int) time.Duration {
		const size = 10_000
		q := newQueue(&Config{QueueSize: size, QueueBytes: 1 << 20, BatchSize: 20, Senders: 2}, &reporter{})
		for i := range size {
			push(t, q)
			if i >= size-waiters {
				q.wait()
			}
		}
		least := time.Hour // of several tries: the machine has other users
		for range 5 {
			begin := time.Now()
			for range 500 {
				push(t, q)
			}
			least = min(least, time.Since(begin))
		}
		return least
	}
	const most = 20
	if few, many := took(1), took(5000); many > most*few {
		t.Errorf("500 events take %v beside 5,000 waiters and %v beside one", many, few)
	}
}

// Each waiter ends with the last item that was accepted before it, in whatever order
// items end and waiters leave.
func TestWaiters(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		q := newQueue(&Config{QueueSize: 1000, QueueBytes: 1 << 20, BatchSize: 20, Senders: 2}, &reporter{})
		awaited := map[*waiter]int{} // items each still waits for
		var held []Item
		for range 300 {
			switch r := rnd.IntN(10); {
			case r < 4:
				push(t, q)
				held = append(held, q.waiting.explicit.popBack())
			case r < 6:
				awaited[q.wait()] = len(held)
			case r < 7:
				for w := range awaited {
					q.leave(w, ErrClosed)
					delete(awaited, w)
					break
				}
			case len(held) > 0:
				i := rnd.IntN(len(held))
				for w := range awaited {
					if held[i].seq <= w.upTo {
						awaited[w]--
					}
				}
				q.settle(held[i:i+1], Sent)
				held = slices.Delete(held, i, i+1)
			}
			if err := checkWaiters(q, awaited); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		q.turnAway(ErrClosed, true)
		for w := range awaited {
			awaited[w] = 0
		}
		if err := checkWaiters(q, awaited); err != nil || q.pending().hurry {
			t.Fatalf("seed %d: turned away: %v", seed, err)
		}
	}
}

// checkWaiters compares which waiters have ended with which should have.
func checkWaiters(q *queue, awaited map[*waiter]int) error {
	waiting := 0
	for w, left := range awaited {
		ended := false
		select {
		case <-w.done:
			ended = true
		default:
			waiting++
		}
		if ended != (left == 0) {
			return fmt.Errorf("with %d items left, ended is %v", left, ended)
		}
	}
	if hurry := q.pending().hurry; hurry != (waiting > 0) {
		return fmt.Errorf("hurry is %v while %d wait", hurry, waiting)
	}
	return nil
}

package klime_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

// simulate runs a test in made-up time, once for each seed. KLIME_SIMULATIONS says how
// often. The name of a failed test is its seed. It may take several runs to fail again: what
// happens at the same moment happens in any order.
func simulate(t *testing.T, usual int, run func(t *testing.T, d *dice)) {
	t.Helper()
	worlds, err := strconv.Atoi(cmp.Or(os.Getenv("KLIME_SIMULATIONS"), strconv.Itoa(usual)))
	if err != nil {
		t.Fatal(err)
	}
	for seed := range worlds {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { run(t, &dice{random: rand.New(rand.NewPCG(uint64(seed), 0))}) })
		})
	}
}

// dice is a source of chance that goroutines share.
type dice struct {
	mu     sync.Mutex
	random *rand.Rand
}

// below returns a number from 0 to n-1.
func (d *dice) below(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.random.IntN(n)
}

// once is true once in n times.
func (d *dice) once(n int) bool { return d.below(n) == 0 }

// upTo returns a duration.
func (d *dice) upTo(most time.Duration) time.Duration {
	return time.Duration(1+d.below(int(most/time.Millisecond))) * time.Millisecond
}

// pick returns one of several.
func pick[T any](d *dice, from ...T) T { return from[d.below(len(from))] }

// service is a Klime that fails in many ways until it is good.
type service struct {
	*dice

	take func(event map[string]any) // called for each event that it takes, perhaps again for a retry

	mu   sync.Mutex
	good bool
}

// What may happen to a request, beside answers with these statuses.
const (
	nothing = iota
	hang
	loseAnswer
	refuseOne
	beSlow
)

// fault is what happens to the next request.
func (s *service) fault() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.good {
		return nothing
	}
	return pick(s.dice, nothing, nothing, nothing, hang, loseAnswer, refuseOne, beSlow, http.StatusBadRequest, http.StatusUnauthorized,
		http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests, http.StatusServiceUnavailable)
}

func (s *service) Send(ctx context.Context, body []byte, events int) (klime.BatchResult, error) {
	var batch struct{ Batch []map[string]any }
	if err := json.Unmarshal(body, &batch); err != nil {
		return klime.BatchResult{}, err
	}
	refused := -1
	fault := s.fault()
	switch {
	case fault == hang:
		<-ctx.Done()
		return klime.BatchResult{}, ctx.Err()
	case fault == beSlow:
		time.Sleep(s.upTo(9 * time.Second))
	case fault == refuseOne && events > 0:
		refused = s.below(events)
	case fault >= http.StatusBadRequest:
		return klime.BatchResult{}, &klime.DeliveryError{StatusCode: fault, RetryAfter: s.upTo(time.Minute)}
	}
	for i, e := range batch.Batch {
		if i != refused {
			s.mu.Lock()
			s.take(e)
			s.mu.Unlock()
		}
	}
	switch {
	case fault == loseAnswer:
		return klime.BatchResult{}, errors.New("connection reset")
	case refused >= 0:
		return klime.BatchResult{Errors: []klime.EventError{{Index: refused, Code: "x"}}}, nil
	default:
		return klime.BatchResult{}, nil
	}
}

// recover makes the service good.
func (s *service) recover() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.good = true
}

// config is that of a client of the service, with a small queue.
func (s *service) config() klime.Config {
	return klime.Config{
		Transport: s, QueueSize: 1 + s.below(40), BatchSize: 1 + s.below(10), Senders: 1 + s.below(3), MaxAttempts: max(0, s.below(6)-3),
		Overflow: pick(s.dice, klime.DropOldest, klime.DropNewest, klime.Block),
	}
}

// flushOrTrack is what else an app does: it flushes, or tracks so much that the queue is
// full.
func (s *service) flushOrTrack(t *testing.T, c *klime.Client) {
	ctx, cancel := context.WithTimeout(t.Context(), s.upTo(3*time.Second))
	defer cancel()
	if s.once(2) {
		_ = c.Flush(ctx) // it may not be done in time
		return
	}
	for range s.below(50) {
		_ = c.Track(ctx, "Noise", nil, klime.ForUser("nobody")) // there may be no room
	}
}

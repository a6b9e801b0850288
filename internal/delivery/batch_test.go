package delivery_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

func TestBatchesByCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		d := start(t, config(e))
		begin := time.Now()
		enqueue(t, d, 1, 20)
		synctest.Wait()
		seen := e.seen()
		if len(seen) != 1 || len(seen[0].ids) != 20 || !seen[0].at.Equal(begin) {
			t.Fatalf("requests: %+v", seen)
		}
		mustShutdown(t, d)
	})
}

func TestBatchesByTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		d := start(t, config(e))
		begin := time.Now()
		enqueue(t, d, 1, 3)
		time.Sleep(time.Second)
		enqueue(t, d, 4, 5)
		time.Sleep(time.Hour)

		seen := e.seen()
		if len(seen) != 1 || !slices.Equal(seen[0].ids, upTo(5)) {
			t.Fatalf("requests: %+v", seen)
		}
		if waited := seen[0].at.Sub(begin); waited != 2*time.Second {
			t.Errorf("the first event waited %v", waited)
		}
		mustShutdown(t, d)
	})
}

func TestBatchesHoldAtMostAHundred(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
			time.Sleep(time.Second)
			return ok(len(ids))
		}}
		cfg := config(e)
		cfg.Senders = 1
		d := start(t, cfg)
		enqueue(t, d, 1, 1000)
		mustShutdown(t, d)
		for _, r := range e.seen() {
			if len(r.ids) > 100 {
				t.Errorf("a batch of %d", len(r.ids))
			}
		}
		if !slices.Equal(e.ids(), upTo(1000)) {
			t.Error("not each event once, in order")
		}
	})
}

// 100 events of 200 KB exceed what a batch may hold.
func TestBatchesHoldAtMostTenMegabytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		cfg := config(e)
		cfg.BatchSize = 100
		d := start(t, cfg)
		for id := 1; id <= 100; id++ {
			if err := d.Enqueue(t.Context(), item(id, false, 200*1024)); err != nil {
				t.Fatal(err)
			}
		}
		mustShutdown(t, d)
		for _, r := range e.seen() {
			if r.bytes > delivery.MaxBatchBytes {
				t.Errorf("a batch of %d bytes", r.bytes)
			}
		}
		if ids := e.ids(); len(ids) != 100 {
			t.Errorf("%d events delivered", len(ids))
		}
	})
}

// A queue that is smaller than a batch, or full of large events, is sent before it
// holds a whole batch.
func TestSmallQueuesAreSent(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*delivery.Config){
		"items":     func(c *delivery.Config) { c.QueueSize = 10 },
		"one item":  func(c *delivery.Config) { c.QueueSize = 1 },
		"bytes":     func(c *delivery.Config) { c.QueueBytes = 1 << 20 },
		"automatic": func(c *delivery.Config) { c.QueueSize = 24 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cfg := config(&endpoint{})
				change(&cfg)
				d := start(t, cfg)
				for id := range 100 {
					if err := d.Enqueue(t.Context(), item(id, name == "automatic", 100_000)); err != nil {
						t.Errorf("item %d: %v", id, err)
					}
					synctest.Wait()
				}
				mustShutdown(t, d)
				if c := d.Counts(); c.Sent != 100 {
					t.Errorf("counts: %+v", c)
				}
			})
		})
	}
}

// Requests on which the server hangs up get smaller: a proxy may find them too large. They
// grow again once it does not.
func TestLargeRequestsAreCutDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var most atomic.Int64
		most.Store(10)
		e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
			if len(ids) > int(most.Load()) {
				return delivery.Result{}, errors.New("connection reset by peer")
			}
			return ok(len(ids))
		}}
		d := start(t, config(e))
		enqueue(t, d, 1, 500)
		time.Sleep(time.Hour)
		if c := d.Counts(); c.Sent != 500 {
			t.Errorf("counts: %+v", c)
		}
		before := len(e.seen())
		most.Store(100)
		enqueue(t, d, 501, 3500)
		time.Sleep(time.Hour)
		if !slices.ContainsFunc(e.seen()[before:], func(r request) bool { return len(r.ids) == 100 }) || d.Counts().Sent != 3500 {
			t.Errorf("when the server takes them: %d requests, counts: %+v", len(e.seen())-before, d.Counts())
		}
		mustShutdown(t, d)
	})
}

func TestPartialFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		outcomes := map[uint64]delivery.Outcome{}
		var mu sync.Mutex
		e := &endpoint{answer: func(int, []int) (delivery.Result, error) {
			return delivery.Result{Accepted: 19, Failed: 1, Rejected: []delivery.Rejection{{Index: 4, Code: "x"}}}, nil
		}}
		cfg := config(e)
		cfg.OnOutcome = func(token uint64, outcome delivery.Outcome) {
			mu.Lock()
			defer mu.Unlock()
			outcomes[token] = outcome
		}
		d := start(t, cfg)
		enqueueOwned(t, d, 1, 20)
		mustShutdown(t, d)
		if c := d.Counts(); c.Sent != 19 || c.Failed != 1 {
			t.Errorf("counts: %+v", c)
		}
		for token, outcome := range outcomes {
			if want := token == 5; (outcome == delivery.Failed) != want {
				t.Errorf("item %d: outcome %v", token, outcome)
			}
		}
		if len(outcomes) != 20 {
			t.Errorf("%d outcomes", len(outcomes))
		}
	})
}

func TestBadEventsAreSingledOut(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		bad         []int
		code        int
		named       bool // the answer says which
		maxRequests int
	}{
		{"one of a hundred, by halves", []int{37}, 400, false, 16},
		{"one of a hundred, named", []int{37}, 400, true, 3},
		{"first and last, by halves", []int{1, 100}, 413, false, 32},
		{"three, named", []int{1, 50, 100}, 422, true, 3},
		{"all, named", upTo(100), 400, true, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
					failure := &delivery.SendError{StatusCode: test.code}
					bad := 0
					for i, id := range ids {
						if slices.Contains(test.bad, id) {
							bad++
							if test.named {
								failure.Rejected = append(failure.Rejected, delivery.Rejection{Index: i})
							}
						}
					}
					if bad > 0 {
						return delivery.Result{}, failure
					}
					return ok(len(ids))
				}}
				cfg := config(e)
				cfg.BatchSize = 100
				d := start(t, cfg)
				enqueue(t, d, 1, 100)
				synctest.Wait()
				n := len(e.seen())
				if n > test.maxRequests {
					t.Errorf("%d requests", n)
				}
				if c := d.Counts(); c.Sent != uint64(100-len(test.bad)) || c.Failed != uint64(len(test.bad)) || c.Retries != uint64(n-1) {
					t.Errorf("counts: %+v", c)
				}
				checkSum(t, d)
				mustShutdown(t, d)
			})
		})
	}
}

// A server that stops at the first bad event, and names it, still gets the good ones.
func TestBadEventsNamedOneByOne(t *testing.T) {
	t.Parallel()
	for _, bad := range []int{10, 48, 90} {
		synctest.Test(t, func(t *testing.T) {
			e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
				first := slices.IndexFunc(ids, func(id int) bool { return id <= bad })
				if first < 0 {
					return ok(len(ids))
				}
				return delivery.Result{}, &delivery.SendError{StatusCode: 400, Rejected: []delivery.Rejection{{Index: first}}}
			}}
			cfg := config(e)
			cfg.BatchSize = 100
			d := start(t, cfg)
			enqueue(t, d, 1, 100)
			time.Sleep(time.Minute)
			if n := len(e.seen()); n != 2*bad+1 || d.Halted() || d.Counts().Retries != uint64(n-1) {
				t.Errorf("%d bad: %d requests, halted %v", bad, n, d.Halted())
			}
			if c := d.Counts(); c.Sent != uint64(100-bad) || c.Failed != uint64(bad) {
				t.Errorf("%d bad: %+v", bad, c)
			}
		})
	}
}

// If all events are bad, and named one by one, a batch takes 64 requests at most. What is left
// of it then waits for its next turn.
func TestRequestsOfOneBatchAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(int, []int) (delivery.Result, error) {
			return delivery.Result{}, &delivery.SendError{StatusCode: 400, Rejected: []delivery.Rejection{{Index: 0}}}
		}}
		cfg := config(e)
		cfg.BatchSize = 100
		d := start(t, cfg)
		enqueue(t, d, 1, 100)
		synctest.Wait()
		if n, c := len(e.seen()), d.Counts(); n != 64 || c.Failed != 32 || c.Held != 68 {
			t.Errorf("%d requests, counts: %+v", n, c)
		}
	})
}

// An answer may name the wrong events, such as by counting from 1. No good event is given
// up for that.
func TestWronglyNamedEventsAreDelivered(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]func(i, n int) int{
		"the next one":             func(i, _ int) int { return i + 1 },
		"the one before":           func(i, _ int) int { return i - 1 },
		"the next one, or a first": func(i, n int) int { return (i + 1) % n },
		"none":                     func(int, int) int { return 1000 },
	} {
		for _, bad := range []int{1, 43, 100} {
			t.Run(fmt.Sprint(name, " of ", bad), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
						i := slices.Index(ids, bad)
						if i < 0 {
							return ok(len(ids))
						}
						return delivery.Result{}, &delivery.SendError{
							StatusCode: 400, Rejected: []delivery.Rejection{{Index: wrong(i, len(ids))}},
						}
					}}
					cfg := config(e)
					cfg.BatchSize = 100
					outcomes := map[uint64]delivery.Outcome{}
					cfg.OnOutcome = func(token uint64, outcome delivery.Outcome) { outcomes[token] = outcome }
					cfg.Senders = 1
					d := start(t, cfg)
					enqueueOwned(t, d, 1, 100)
					mustShutdown(t, d)
					if c := d.Counts(); c.Sent != 99 || c.Failed != 1 || outcomes[uint64(bad)] != delivery.Failed {
						t.Errorf("%d requests, counts: %+v", len(e.seen()), c)
					}
				})
			})
		}
	}
}

func TestMaxAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newOutage(500)
		cfg := config(e)
		cfg.MaxAttempts = 3
		d := start(t, cfg)
		enqueue(t, d, 1, 20)
		time.Sleep(time.Hour)
		if n := len(e.seen()); n != 3 {
			t.Errorf("%d requests", n)
		}
		if c := d.Counts(); c.Failed != 20 || c.Held != 0 || c.Retries != 2 {
			t.Errorf("counts: %+v", c)
		}
		mustShutdown(t, d)
	})
}

// Where large requests are refused for their size, batches become smaller.
func TestBatchesAdaptToALimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var refused atomic.Int64
		e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
			if len(ids) > 10 {
				refused.Add(1)
				return status(413)
			}
			return ok(len(ids))
		}}
		d := start(t, config(e))
		enqueue(t, d, 1, 2000)
		mustFlush(t, d)
		most := len(e.seen()) / 3 // it is half of them if batches stay as they are
		if c := d.Counts(); c.Sent != 2000 || int(refused.Load()) > most {
			t.Errorf("%d of %d requests refused, %+v", refused.Load(), len(e.seen()), c)
		}
	})
}

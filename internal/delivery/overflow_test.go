package delivery_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// full returns a Deliverer whose queue is full of ten explicit items, and whose
// endpoint does not answer until good is closed.
func full(t *testing.T, overflow delivery.Overflow) (d *delivery.Deliverer, good chan struct{}) {
	t.Helper()
	good = make(chan struct{})
	e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
		<-good
		return ok(len(ids))
	}}
	cfg := config(e)
	cfg.QueueSize, cfg.Overflow, cfg.Timeout = 10, overflow, time.Hour
	d = start(t, cfg)
	enqueue(t, d, 1, 10)
	return d, good
}

func TestDropNewest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, good := full(t, delivery.DropNewest)
		for _, automatic := range []bool{false, true} {
			if err := d.Enqueue(t.Context(), item(11, automatic, 0)); !errors.Is(err, delivery.ErrQueueFull) {
				t.Errorf("automatic %v: %v", automatic, err)
			}
		}
		close(good)
		mustShutdown(t, d)
		if c := d.Counts(); c.Sent != 10 || c.Evicted != 2 {
			t.Errorf("counts: %+v", c)
		}
		checkSum(t, d)
	})
}

// Under DropNewest, too, explicit items push out automatic ones.
func TestDropNewestEvictsAutomaticItems(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newOutage(503)
		cfg := config(e)
		cfg.QueueSize, cfg.Overflow = 10, delivery.DropNewest
		d := start(t, cfg)
		for id := range 8 {
			_ = d.Enqueue(t.Context(), item(id, true, 0))
		}
		synctest.Wait() // what is in flight cannot be evicted: now all are back
		for id := range 10 {
			if err := d.Enqueue(t.Context(), item(id, false, 0)); err != nil {
				t.Errorf("explicit item %d: %v", id, err)
			}
		}
	})
}

func TestBlock(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		end  func(d *delivery.Deliverer, good chan struct{}, cancel func()) // what ends the wait
		want []error                                                        // the error matches all of them; nil if the item is queued
	}{
		{"until there is room", func(_ *delivery.Deliverer, good chan struct{}, _ func()) { close(good) }, nil},
		{"until its context ends", func(_ *delivery.Deliverer, _ chan struct{}, cancel func()) { cancel() },
			[]error{delivery.ErrQueueFull, context.Canceled}},
		{"until Shutdown", func(d *delivery.Deliverer, good chan struct{}, _ func()) {
			go func() { time.Sleep(time.Second); close(good) }()
			_ = d.Shutdown(context.Background())
		}, []error{delivery.ErrClosed}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d, good := full(t, delivery.Block)
				ctx, cancel := context.WithCancel(t.Context())
				returned := make(chan error, 1)
				go func() { returned <- d.Enqueue(ctx, item(11, false, 0)) }()
				synctest.Wait()
				select {
				case err := <-returned:
					t.Fatalf("did not block: %v", err)
				default:
				}
				// An automatic item never waits.
				if err := d.Enqueue(t.Context(), item(12, true, 0)); !errors.Is(err, delivery.ErrQueueFull) {
					t.Errorf("automatic item: %v", err)
				}
				test.end(d, good, cancel)
				err := <-returned
				if len(test.want) == 0 && err != nil {
					t.Errorf("error: %v", err)
				}
				if late := d.Counts().Late; (late == 1) != errors.Is(err, delivery.ErrClosed) {
					t.Errorf("%d items late: %v", late, err)
				}
				for _, want := range test.want {
					if !errors.Is(err, want) {
						t.Errorf("error %v, want %v", err, want)
					}
				}
				cancel()
				select {
				case <-good:
				default:
					close(good)
				}
			})
		})
	}
}

func TestBlockEndsWhenSendingIsHalted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		e := &endpoint{answer: func(int, []int) (delivery.Result, error) {
			<-answer
			return status(401)
		}}
		cfg := config(e)
		cfg.QueueSize, cfg.Overflow, cfg.Timeout = 10, delivery.Block, time.Hour
		d := start(t, cfg)
		enqueue(t, d, 1, 10)
		returned := make(chan error, 1)
		go func() { returned <- d.Enqueue(t.Context(), item(11, false, 0)) }()
		synctest.Wait()
		close(answer)
		err := <-returned
		var failure *delivery.SendError
		if !errors.Is(err, delivery.ErrQueueFull) || !errors.As(err, &failure) || failure.StatusCode != 401 {
			t.Errorf("error: %v", err)
		}
	})
}

// A context that has ended does not keep an item out of a queue that has room.
func TestEndedContextStillQueues(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := config(&endpoint{})
		cfg.Overflow = delivery.Block
		d := start(t, cfg)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := d.Enqueue(ctx, item(1, false, 0)); err != nil {
			t.Error(err)
		}
		if err := shutdown(t, d); err != nil || d.Counts().Sent != 1 {
			t.Errorf("Shutdown: %v, counts: %+v", err, d.Counts())
		}
	})
}

// Callers who wait for room get it in the order in which they came, and before any
// newcomer.
func TestBlockIsFair(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const callers, calls = 40, 50
		e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
			time.Sleep(100 * time.Millisecond)
			return ok(len(ids))
		}}
		cfg := config(e)
		cfg.QueueSize, cfg.Overflow = 10, delivery.Block
		d := start(t, cfg)
		var mu sync.Mutex
		var accepted [callers]int
		most := 0 // the largest lead of one caller over another
		var all sync.WaitGroup
		for i := range callers {
			all.Go(func() {
				for range calls {
					if err := d.Enqueue(t.Context(), item(i, false, 0)); err != nil {
						t.Error(err)
					}
					mu.Lock()
					accepted[i]++
					most = max(most, accepted[i]-slices.Min(accepted[:]))
					mu.Unlock()
					time.Sleep(time.Millisecond)
				}
			})
		}
		all.Wait()
		if most > 2 { // one round, and one for a caller who has room and is not counted yet
			t.Errorf("a caller had room %d times more than another", most)
		}
		mustShutdown(t, d)
	})
}

// The line still works when callers in it give up.
func TestBlockedCallersGiveUp(t *testing.T) {
	t.Parallel()
	for _, leaving := range [][]int{{11}, {12, 13}, {11, 12, 13, 14}, {16}, {11, 13, 15, 16}} {
		synctest.Test(t, func(t *testing.T) {
			d, good := full(t, delivery.Block)
			givingUp, cancel := context.WithCancel(t.Context())
			returned := map[int]chan error{}
			for id := 11; id <= 16; id++ {
				ctx := t.Context()
				if slices.Contains(leaving, id) {
					ctx = givingUp
				}
				done := make(chan error, 1)
				returned[id] = done
				go func() { done <- d.Enqueue(ctx, item(id, false, 0)) }()
				synctest.Wait() // it is in line
			}
			cancel()
			close(good) // at the same time
			for id, done := range returned {
				if err := <-done; err != nil && (!errors.Is(err, context.Canceled) || !slices.Contains(leaving, id)) {
					t.Errorf("of %d leaving: item %d: %v", leaving, id, err)
				}
			}
			mustShutdown(t, d)
		})
	}
}

// A roll-up that waits for its share of automatic items does not hold up explicit
// items, for which there is room.
func TestPatientItemsHoldUpNoOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(int, []int) (delivery.Result, error) { return delivery.Result{}, errHang }}
		cfg := config(e)
		cfg.QueueSize, cfg.Overflow, cfg.Timeout = 10, delivery.Block, time.Hour
		d := start(t, cfg)
		for id := 1; id <= 8; id++ { // all that automatic items may take
			if err := d.Enqueue(t.Context(), item(id, true, 0)); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		patient := patientItem(9, 0)
		returned := make(chan error, 1)
		go func() { returned <- d.Enqueue(ctx, patient) }()
		synctest.Wait()
		enqueue(t, d, 10, 11)
		if len(returned) > 0 {
			t.Error("the patient one did not wait")
		}
		cancel()
		if err := <-returned; err != nil {
			t.Error(err) // the last attempt evicts an older item
		}
		_ = shutdownWithin(t, d, 0)
	})
}

// asking is a context of the app's that asks how things are when it is asked for a value.
type asking struct {
	context.Context //nolint:containedctx // it is one

	d *delivery.Deliverer
}

func (c asking) Value(key any) any {
	_ = c.d.Counts()
	return c.Context.Value(key)
}

// The app's context is never called under the queue's lock: this test would hang.
func TestPatienceCallsTheAppsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newOutage(401)
		cfg := config(e)
		cfg.QueueSize = 5
		d := start(t, cfg)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, done := d.Patience(asking{ctx, d})
		done()
		patience, done := d.Patience(asking{ctx, d})
		defer done()
		for id := range 10 {
			go func() { _ = d.Enqueue(t.Context(), patientItem(id, 0)) }()
		}
		<-patience.Done()
		e.setStatus(200)
	})
}

// A halt ends the waits under Block, but patient items go on waiting for room, and take
// no other's. Who waits for them learns of it, once they have to wait.
func TestPatientItemsWaitDuringAHalt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var good atomic.Bool
		e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
			if good.Load() {
				return ok(len(ids))
			}
			return status(401)
		}}
		cfg := config(e)
		cfg.QueueSize = 10
		d := start(t, cfg)
		for id := 1; id <= 7; id++ {
			_ = d.Enqueue(t.Context(), item(id, true, 0))
		}
		var failure *delivery.SendError
		if err := d.Flush(t.Context()); !errors.As(err, &failure) || failure.StatusCode != 401 {
			t.Fatalf("Flush: %v", err)
		}
		synctest.Wait() // until the other sender is done, too
		tries := len(e.seen())
		patience, done := d.Patience(t.Context())
		defer done()
		queued := make(chan error)
		go func() {
			for id := 8; id <= 9; id++ {
				time.Sleep(time.Second)
				queued <- d.Enqueue(t.Context(), patientItem(id, 0))
			}
		}()
		if err := <-queued; err != nil { // the last that fits
			t.Error(err)
		}
		if _ = d.Flush(t.Context()); patience.Err() != nil {
			t.Errorf("though there was room: %v", context.Cause(patience))
		}
		<-patience.Done()
		if cause := context.Cause(patience); !errors.As(cause, &failure) || failure.StatusCode != 401 {
			t.Errorf("ended: %v", cause)
		}
		if n := len(e.seen()); n != tries {
			t.Errorf("%d requests more", n-tries)
		}
		good.Store(true)
		if err := <-queued; err != nil {
			t.Error(err)
		}
		if err := shutdown(t, d); err != nil || d.Counts().Sent != 9 {
			t.Errorf("Shutdown: %v; %+v", err, d.Counts())
		}
	})
}

// Automatic items that return from a failed request make room for callers who wait.
func TestBlockEndsWhenAutomaticItemsComeBack(t *testing.T) {
	t.Parallel()
	for _, code := range []int{503, 429} {
		synctest.Test(t, func(t *testing.T) {
			answer := make(chan struct{})
			e := &endpoint{answer: func(n int, _ []int) (delivery.Result, error) {
				if n > 1 {
					return delivery.Result{}, errHang
				}
				<-answer
				return status(code)
			}}
			cfg := config(e)
			cfg.QueueSize, cfg.Overflow, cfg.Senders, cfg.Timeout = 10, delivery.Block, 1, time.Hour
			d := start(t, cfg)
			for id := range 5 {
				_ = d.Enqueue(t.Context(), item(id, true, 0))
			}
			synctest.Wait()
			enqueue(t, d, 5, 9)
			returned := make(chan error, 1)
			go func() { returned <- d.Enqueue(t.Context(), item(10, false, 0)) }()
			synctest.Wait()
			if len(returned) > 0 {
				t.Errorf("%d: did not wait: %v", code, <-returned)
			}
			close(answer)
			synctest.Wait()
			if len(returned) == 0 {
				t.Errorf("%d: waits, though there are items that may go", code)
			}
			_ = shutdownWithin(t, d, 0)
		})
	}
}

// What a full queue drops for want of room on disk has the same error whether it was
// evicted or refused, also while sending is halted.
func TestDropsHaveOneError(t *testing.T) {
	t.Parallel()
	slow := func(_ *delivery.Config, m *memory) { m.latency = time.Hour }
	full := func(cfg *delivery.Config, _ *memory) { cfg.Fits = func(int, int, bool) bool { return false } }
	for _, tt := range []struct {
		name     string
		disk     func(*delivery.Config, *memory)
		overflow delivery.Overflow
		status   int
		outcome  delivery.Outcome
		want     error
	}{
		{"evicted, disk slow", slow, delivery.DropOldest, 503, delivery.SpoolBusy, delivery.ErrSpoolBusy},
		{"refused, disk slow", slow, delivery.DropNewest, 503, delivery.SpoolBusy, delivery.ErrSpoolBusy},
		{"refused, disk slow, halted", slow, delivery.DropNewest, 401, delivery.SpoolBusy, delivery.ErrSpoolBusy},
		{"evicted, disk full", full, delivery.DropOldest, 503, delivery.SpoolFull, delivery.ErrSpoolFull},
		{"refused, disk full", full, delivery.DropNewest, 503, delivery.SpoolFull, delivery.ErrSpoolFull},
		{"refused, disk full, halted", full, delivery.DropNewest, 401, delivery.SpoolFull, delivery.ErrSpoolFull},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var told reports
				m := newMemory()
				cfg := spoolConfig(newOutage(tt.status), m)
				cfg.QueueSize, cfg.Overflow, cfg.OnReport = 10, tt.overflow, told.add
				tt.disk(&cfg, m)
				d := start(t, cfg)
				enqueue(t, d, 1, 1)
				time.Sleep(cfg.FlushInterval)
				synctest.Wait() // it was sent, in vain
				for id := range 32 {
					err := d.Enqueue(t.Context(), item(id+2, false, 900_000)) // more bytes than may wait for the disk
					if err != nil && (!errors.Is(err, delivery.ErrQueueFull) || !errors.Is(err, tt.want)) {
						t.Errorf("Enqueue: %v", err)
					}
				}
				synctest.Wait()
				items, untold, _ := told.count(tt.outcome)
				if n := d.Counts(); items+untold == 0 || n.Evicted > 0 {
					t.Errorf("%d items told, counts: %+v", items+untold, n)
				}
				for _, r := range told.list() {
					if r.Outcome == tt.outcome && (!errors.Is(r.Err, delivery.ErrQueueFull) || !errors.Is(r.Err, tt.want)) {
						t.Errorf("told: %v", r.Err)
					}
				}
				_ = shutdown(t, d)
				time.Sleep(m.latency) // until the disk is done
			})
		})
	}
}

// So does who begins to wait for them later.
func TestPatienceDuringAHalt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newOutage(401)
		cfg := config(e)
		cfg.QueueSize = 5
		d := start(t, cfg)
		for id := range 10 {
			go func() { _ = d.Enqueue(t.Context(), patientItem(id, 0)) }()
		}
		time.Sleep(time.Second)
		begin := time.Now()
		patience, done := d.Patience(t.Context())
		defer done()
		<-patience.Done()
		if took := time.Since(begin); took > 0 {
			t.Errorf("ended after %v", took)
		}
		e.setStatus(200)
	})
}

// Only who has waited learns that the context has ended: without Block it changes nothing.
func TestEndedContextOfADroppedItem(t *testing.T) {
	t.Parallel()
	for overflow, waits := range map[delivery.Overflow]bool{delivery.DropNewest: false, delivery.Block: true} {
		synctest.Test(t, func(t *testing.T) {
			d, good := full(t, overflow)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			err := d.Enqueue(ctx, item(11, false, 0))
			if !errors.Is(err, delivery.ErrQueueFull) || errors.Is(err, context.Canceled) != waits {
				t.Errorf("policy %v: %v", overflow, err)
			}
			close(good)
		})
	}
}

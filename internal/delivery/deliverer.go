package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klimeapp/klime-go/internal/throttle"
)

// Deliverer delivers items until it is shut down. Its methods are safe for
// concurrent use.
type Deliverer struct {
	cfg         Config
	queue       *queue
	reporter    *reporter
	retries     atomic.Uint64
	late        atomic.Uint64 // items that came after Shutdown
	rejected    atomic.Uint64 // items that Klime refused
	halted      atomic.Bool
	oneShotSent atomic.Bool               // an item of a one-shot send was accepted since the dispatcher last asked
	pinged      atomic.Bool               // a Ping during the halt has succeeded
	lastFailure atomic.Pointer[SendError] // how the last job failed; nil if it did not

	retryLog, culpritLog, refusedLog, unnamedLog, lateLog throttle.Throttle

	wake       chan struct{}      // wakes the dispatcher
	haltCauses chan *SendError    // one-shot sends → dispatcher: failures that halt sending
	jobs       chan job           // dispatcher → senders
	results    chan jobResult     // senders → dispatcher
	stop       context.CancelFunc // ends the dispatcher, the senders and their requests
	running    sync.WaitGroup     // the dispatcher and the senders

	cancelOneShots context.CancelFunc // cancels the one-shot sends
	oneShots       context.Context    //nolint:containedctx // of the one-shot sends

	keeping   *worker       // nil without a spool
	looked    chan struct{} // closed when the keeper has looked for leftovers once
	moving    atomic.Bool   // the keeper reopens or closes the spool, which may have to move its records
	reporting *worker

	ended  chan struct{} // closed when Shutdown is over
	endErr error         // the error of Shutdown; read after ended
}

// New starts a Deliverer, which runs until Shutdown.
func New(cfg Config) *Deliverer {
	ctx, stop := context.WithCancel(context.Background())
	oneShots, cancelOneShots := context.WithCancel(context.Background())
	reporter := &reporter{tell: cfg.OnReport, logger: cfg.Logger, wake: make(chan struct{}, 1)}
	d := &Deliverer{
		cfg:            cfg,
		queue:          newQueue(&cfg, reporter),
		reporter:       reporter,
		wake:           make(chan struct{}, 1),
		haltCauses:     make(chan *SendError, 1),
		jobs:           make(chan job, cfg.Senders),
		results:        make(chan jobResult, cfg.Senders),
		stop:           stop,
		cancelOneShots: cancelOneShots,
		oneShots:       oneShots,
		looked:         make(chan struct{}),
		ended:          make(chan struct{}),
	}
	if n := d.queue.recovered; n > 0 {
		cfg.Logger.Info("klime: events of an earlier process wait in the spool", slog.Uint64("events", n))
	}
	for range cfg.Senders {
		d.running.Go(func() { d.sendJobs(ctx) })
	}
	s := &dispatcher{Deliverer: d, gate: gate{delay: cfg.RetryDelay}}
	d.running.Go(func() { s.run(ctx) })
	if cfg.Spool != nil {
		k := &keeper{Deliverer: d}
		if err := d.queue.disk.fault; err != nil {
			k.fail(work{}, err)
			k.reopen(nil)
		}
		d.keeping = startWorker(k.run)
	}
	d.reporting = startWorker(d.reporter.run)
	return d
}

// worker is a goroutine that runs until end is closed, and then closes done.
type worker struct{ end, done chan struct{} }

func startWorker(run func(end <-chan struct{})) *worker {
	w := &worker{make(chan struct{}), make(chan struct{})}
	go func() {
		defer close(w.done)
		run(w.end)
	}()
	return w
}

// Enqueue accepts an item for delivery. It returns ErrQueueFull if there is no room for
// the item, and ErrClosed after Shutdown. If Config.Overflow is Block, an explicit
// item waits for room until ctx ends, sending is halted, or Shutdown begins; ErrQueueFull
// then wraps why ctx has ended. With Config.WriteAhead, an explicit item is on disk if the
// error is nil, in memory alone if it is ErrNotDurable, which wraps the reason, and dropped
// if it is ErrSpoolFull without ErrNotDurable.
func (d *Deliverer) Enqueue(ctx context.Context, it Item) error {
	if d.cfg.Spool == nil || !d.cfg.WriteAhead || it.Automatic {
		return d.enqueue(ctx, &it)
	}
	written, err := d.queue.writeAhead(it)
	switch {
	case errors.Is(err, ErrNotDurable):
		if refusal := d.enqueue(ctx, &it); refusal != nil {
			return refusal
		}
		return err
	case errors.Is(err, ErrSpoolFull):
		d.tell(it.Token, SpoolFull)
		return err
	case err != nil:
		return d.noteLate(err)
	}
	patience := time.NewTimer(commitPatience)
	defer patience.Stop()
	select {
	case err = <-written:
		return err
	case <-patience.C:
		if !d.queue.stall(written) {
			return <-written
		}
		return notDurable(ErrSpoolBusy)
	}
}

// enqueue pushes an item to the queue until it no longer waits for room.
func (d *Deliverer) enqueue(ctx context.Context, it *Item) error {
	var at *place
	for {
		// Once ctx has ended, this attempt is the last.
		a, err := d.queue.push(it, d.queue.isPatient(it) && ctx.Err() == nil, at)
		if a.wake {
			d.wakeDispatcher()
		}
		d.tellAll(a.evicted, a.outcome)
		if err != nil {
			return d.refused(ctx, it, a.outcome, err)
		}
		if !a.waits {
			return nil
		}
		at = a.place
		select {
		case <-at.turn:
		case <-ctx.Done():
		}
	}
}

// refused handles an item that the queue has refused with err, and returns the error of
// enqueue.
func (d *Deliverer) refused(ctx context.Context, it *Item, outcome Outcome, err error) error {
	if errors.Is(err, ErrQueueFull) {
		d.tell(it.Token, outcome)
		if ctx.Err() != nil && d.cfg.Overflow == Block {
			err = fmt.Errorf("%w: %w", err, EndOf(ctx))
		}
	}
	return d.noteLate(err)
}

// noteLate counts and logs an item that was refused because of Shutdown, and
// returns err: often nobody else learns of it.
func (d *Deliverer) noteLate(err error) error {
	if !errors.Is(err, ErrClosed) {
		return err
	}
	total := d.late.Add(1)
	if d.lateLog.Allows(logInterval, time.Now()) {
		d.cfg.Logger.Warn("klime: an event came after Shutdown: end the client after the server", slog.Uint64("total", total))
	}
	return err
}

// Counts says what became of the items so far.
func (d *Deliverer) Counts() Counts {
	c := d.queue.snapshot()
	c.Retries = d.retries.Load()
	c.Late = d.late.Load()
	return c
}

// Halted reports whether sending has stopped until a probe succeeds.
func (d *Deliverer) Halted() bool { return d.halted.Load() }

// Flush returns when all items that were accepted before it have been settled,
// one-shot sends included, when ctx ends, or when sending is halted. If the spool is
// lost meanwhile, it returns ErrSpoolLost when all others have been settled.
func (d *Deliverer) Flush(ctx context.Context) error {
	lost, err := d.flush(ctx)
	switch {
	case lost == nil:
		return err
	case err == nil:
		return lost
	default:
		return fmt.Errorf("%w: %w", lost, err)
	}
}

// flush is Flush with two errors: that the spool was lost, and why it ended early.
func (d *Deliverer) flush(ctx context.Context) (lost, err error) {
	for {
		err = d.await(ctx, d.queue.wait())
		if !errors.Is(err, ErrSpoolLost) {
			return lost, err
		}
		if lost = err; ctx.Err() != nil {
			return lost, EndOf(ctx)
		}
	}
}

// Patience returns a context for a caller who waits until patient items have been
// accepted. It ends with ctx, or when sending is halted and they wait for room, which
// may take long; that is its cause then.
func (d *Deliverer) Patience(ctx context.Context) (context.Context, context.CancelFunc) {
	defer d.wakeDispatcher()
	return d.queue.patience(ctx)
}

// await wakes the dispatcher and waits until w or ctx ends.
func (d *Deliverer) await(ctx context.Context, w *waiter) error {
	d.wakeDispatcher()
	select {
	case <-w.done:
	case <-ctx.Done():
		d.queue.leave(w, d.withLastFailure(EndOf(ctx)))
	}
	return w.err
}

func (d *Deliverer) wakeDispatcher() { signal(d.wake) }

// signal wakes whoever reads from c, which has room for one signal, unless there is one in it
// already.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// settle ends items: first for OnOutcome, then for the queue, so that OnOutcome has
// been told of them when a Flush that waits for them returns.
func (d *Deliverer) settle(items []Item, outcome Outcome, reports ...Report) {
	d.tellAll(items, outcome)
	d.queue.settle(items, outcome, reports...)
}

// tellAll tells OnOutcome how items with a Token ended.
func (d *Deliverer) tellAll(items []Item, outcome Outcome) {
	for i := range items {
		d.tell(items[i].Token, outcome)
	}
}

// tellTokens is tellAll for items of which only the tokens are known.
func (d *Deliverer) tellTokens(tokens []uint64, outcome Outcome) {
	for _, token := range tokens {
		d.tell(token, outcome)
	}
}

func (d *Deliverer) tell(token uint64, outcome Outcome) {
	if token != 0 && d.cfg.OnOutcome != nil {
		d.cfg.OnOutcome(token, outcome)
	}
}

// EndOf returns why ctx has ended: an error that matches both ctx.Err and context.Cause.
func EndOf(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// withLastFailure adds to err how the last job failed.
func (d *Deliverer) withLastFailure(err error) error {
	if failure := d.lastFailure.Load(); failure != nil {
		return fmt.Errorf("%w (last attempt: %w)", err, failure)
	}
	return err
}

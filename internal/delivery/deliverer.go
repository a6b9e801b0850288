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

// Config tunes a Deliverer. All numbers but MaxAttempts are positive.
type Config struct {
	Storage // the disk

	Transport     Transport
	FlushInterval time.Duration // the longest an item waits for company
	BatchSize     int           // this many waiting items start a send
	QueueSize     int           // items held at most
	QueueBytes    int           // bytes held at most
	Overflow      Overflow      // what gives way when the queue is full
	Senders       int           // requests at the same time
	MaxAttempts   int           // requests that may carry one item, and a few more to find which of a batch is at fault; 0 for no end
	RetryDelay    time.Duration // before the first retry; doubled for each further one
	Timeout       time.Duration // of one request
	Logger        *slog.Logger

	// OnOutcome learns how items ended that have a Token. It is called from
	// many goroutines and must not block. It may be nil.
	OnOutcome func(token uint64, outcome Outcome)

	// OnRequest is told of each request that carried items: how many, how long it
	// took, and why it failed, nil if it did not. It is called from many
	// goroutines and must not block. It may be nil.
	OnRequest func(items int, took time.Duration, failure *SendError)

	// OnReport learns how items ended, from one goroutine. It may block, at the
	// cost of later reports: see Report.Untold. It may be nil.
	OnReport func(Report)

	// OnClose hands over what its owner still has, at the beginning of Shutdown: while
	// it runs patient items are accepted, and no others. It returns how many it could
	// not hand over before ctx ended, or soon after. It may be nil.
	OnClose func(ctx context.Context) (lost int)

	ReportSent bool   // OnReport is also told of what was delivered
	OnPanic    func() // told when the Transport panicked; may be nil
}

// stopGrace is how long Shutdown waits for a Transport or a callback that does
// not return when it should.
const stopGrace = 250 * time.Millisecond

// Deliverer delivers items until it is shut down. Its methods are safe for
// concurrent use.
type Deliverer struct {
	cfg         Config
	queue       *queue
	reporter    *reporter
	retries     atomic.Uint64
	late        atomic.Uint64 // items that Shutdown has refused
	halted      atomic.Bool
	lastFailure atomic.Pointer[SendError] // how the last request failed, nil if it did not

	retryLog, culpritLog, refusedLog, lateLog throttle.Throttle

	wake       chan struct{}      // something changed for the dispatcher
	haltCauses chan *SendError    // what a one-shot send has found to be a reason to halt
	jobs       chan job           // dispatcher → senders
	results    chan jobResult     // senders → dispatcher
	stop       context.CancelFunc // ends the dispatcher, the senders and their requests
	running    sync.WaitGroup     // these goroutines

	cancelOneShots      context.CancelFunc // ends the one-shot sends
	onOneShotsCancelled func(func()) (forget func() bool)

	endKeeper  chan struct{} // ends the keeper of the spool
	keeperDone chan struct{} // closed when it has ended, nil without a spool

	endReports  chan struct{} // ends the reporter
	reportsDone chan struct{} // closed when it has ended

	ended  chan struct{} // closed when Shutdown is over
	endErr error         // of that Shutdown; read after ended
}

// job is one batch.
type job struct {
	items []Item
	from  source
	probe bool // of a halted endpoint: one request and no more
	epoch int  // of the gate, when it went out
}

// source is where the items of a batch have waited.
type source int

const (
	fromQueue source = iota
	fromDisk
	fromSuspects
	fromCulprits
)

// isApart reports whether that is quarantine.
func (s source) isQuarantine() bool { return s == fromSuspects || s == fromCulprits }

// report is what a sender says of a job.
type jobResult struct {
	job       job
	unsettled []Item // not settled
	verdict   verdict
	accepted  bool       // Klime took at least one event
	failure   *SendError // nil if there was none
}

// New starts a Deliverer. It ends with Shutdown.
func New(cfg Config) *Deliverer {
	ctx, stop := context.WithCancel(context.Background())
	oneShot, cutOff := context.WithCancel(context.Background())
	d := &Deliverer{
		cfg:                 cfg,
		queue:               newQueue(&cfg),
		reporter:            &reporter{tell: cfg.OnReport, logger: cfg.Logger, wake: make(chan struct{}, 1)},
		wake:                make(chan struct{}, 1),
		haltCauses:          make(chan *SendError, 1),
		jobs:                make(chan job, cfg.Senders),
		results:             make(chan jobResult, cfg.Senders),
		stop:                stop,
		cancelOneShots:      cutOff,
		onOneShotsCancelled: func(do func()) func() bool { return context.AfterFunc(oneShot, do) },
		endReports:          make(chan struct{}),
		reportsDone:         make(chan struct{}),
		ended:               make(chan struct{}),
	}
	for range cfg.Senders {
		d.running.Go(func() { d.sendJobs(ctx) })
	}
	s := &dispatcher{Deliverer: d, gate: gate{delay: cfg.RetryDelay}}
	d.running.Go(func() { s.run(ctx) })
	if cfg.Spool != nil {
		d.endKeeper, d.keeperDone = make(chan struct{}), make(chan struct{})
		go func() {
			defer close(d.keeperDone)
			(&keeper{Deliverer: d}).run(d.endKeeper)
		}()
	}
	go func() {
		defer close(d.reportsDone)
		d.reporter.run(d.endReports)
	}()
	return d
}

// Enqueue accepts it for delivery. It returns ErrFull where there was no room
// for it, and ErrClosed after Shutdown. Where Config.Overflow is Block, an
// explicit item waits for room until ctx ends, sending is halted, or Shutdown.
// With Config.WriteAhead an explicit item is on disk when it returns nil, in
// memory alone where it returns ErrNotDurable, and nowhere where it returns
// ErrSpoolFull without that.
func (d *Deliverer) Enqueue(ctx context.Context, it Item) error {
	if d.cfg.Spool == nil || !d.cfg.WriteAhead || it.Automatic {
		return d.enqueue(ctx, &it)
	}
	written, err := d.queue.writeAhead(it)
	if errors.Is(err, ErrSpoolFull) {
		d.refuse(it, SpoolFull, err)
	}
	if err != nil {
		return d.noteLate(err)
	}
	if written == nil {
		if err := d.enqueue(ctx, &it); err != nil {
			return err
		}
		return ErrNotDurable
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

// refuse tells of an item that was accepted only to be dropped at once.
func (d *Deliverer) refuse(it Item, outcome Outcome, err error) {
	d.tellAll([]Item{it}, outcome)
	d.reporter.add(Report{Items: []Item{it}, Outcome: outcome, Err: err})
}

func (d *Deliverer) enqueue(ctx context.Context, it *Item) error {
	var at *place
	for {
		// With the last attempt its patience ends.
		a, err := d.queue.push(it, ctx.Err() == nil, at)
		if a.wake {
			d.nudge()
		}
		if a.dropped > 0 {
			d.reporter.count(a.outcome, a.dropped, it.Queued)
		}
		if len(a.evicted) > 0 {
			d.tellAll(a.evicted, a.outcome)
			d.reporter.add(Report{Items: a.evicted, Outcome: a.outcome, Err: a.outcome.dropError()})
		}
		if errors.Is(err, ErrFull) {
			d.refuse(*it, a.outcome, err)
		}
		_ = d.noteLate(err)
		if !a.waits {
			if errors.Is(err, ErrFull) && ctx.Err() != nil && d.cfg.Overflow == Block {
				return fmt.Errorf("%w: %w", err, ctx.Err())
			}
			return err
		}
		at = a.place
		select {
		case <-at.turn:
		case <-ctx.Done():
		}
	}
}

// noteLate counts an item that is refused with err because of Shutdown, and returns
// err: often nobody else learns of it.
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

// SendNow delivers it with one request, past queue and backoff. While sending
// is halted it returns the reason, after at most one probe. Its request ends with
// the context of Shutdown at the latest.
func (d *Deliverer) SendNow(ctx context.Context, it Item) (Result, error) {
	if err := d.awaitGate(ctx); err != nil {
		return Result{}, err
	}
	if err := d.queue.acceptOneShot(&it); err != nil {
		return Result{}, d.noteLate(err)
	}
	outcome := Failed
	defer func() { d.queue.settleOneShot(&it, outcome) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer d.onOneShotsCancelled(cancel)()
	result, failure := d.sendOnce(ctx, []Item{it})
	if failure != nil {
		failure.Attempts = 1 // before others see it
	}
	switch {
	case failure == nil && len(result.Rejected) == 0:
		outcome = Sent
		return result, nil
	case judge(failure) == halting:
		select {
		case d.haltCauses <- failure:
		default:
		}
	}
	if failure == nil {
		return result, nil
	}
	return Result{}, failure
}

func (d *Deliverer) awaitGate(ctx context.Context) error {
	if !d.Halted() {
		return nil
	}
	w := d.queue.waitForGate()
	return d.await(ctx, w)
}

// Counts is what became of the items so far.
func (d *Deliverer) Counts() Counts {
	c := d.queue.snapshot()
	c.Retries = d.retries.Load()
	c.Late = d.late.Load()
	return c
}

// Halted reports whether sending has stopped until a probe succeeds.
func (d *Deliverer) Halted() bool { return d.halted.Load() }

// Ping sends an empty batch, past queue and gate.
func (d *Deliverer) Ping(ctx context.Context) error {
	if _, failure := d.sendOnce(ctx, nil); failure != nil {
		failure.Attempts = 1
		return failure
	}
	return nil
}

// Flush returns when all that was accepted before it has been settled, one-shot
// sends included, when ctx ends, or when sending is halted.
func (d *Deliverer) Flush(ctx context.Context) error {
	return d.await(ctx, d.queue.wait())
}

func (d *Deliverer) await(ctx context.Context, w *waiter) error {
	d.nudge()
	select {
	case <-w.done:
	case <-ctx.Done():
		d.queue.leave(w, d.withLastFailure(ctx.Err()))
		<-w.done
	}
	return w.err
}

// Shutdown refuses further items but those of Config.OnClose, delivers what is held
// until ctx ends or sending is halted, and gives up the rest, but for what is on
// disk then: its error says how many. One-shot sends have until ctx ends; what becomes of them
// their callers learn. A further call waits for the first and returns the same.
func (d *Deliverer) Shutdown(ctx context.Context) error {
	if !d.queue.close() {
		select {
		case <-d.ended:
			return d.endErr
		default:
		}
		select {
		case <-d.ended:
			return d.endErr
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer close(d.ended)
	defer d.cancelOneShots()
	defer context.AfterFunc(ctx, d.cancelOneShots)()
	d.nudge()
	lost, cause := d.finalFlush(ctx)
	d.stop()
	waitFor(allDone(&d.running), nil, stopGrace)
	if d.keeperDone != nil {
		close(d.endKeeper)
		waitFor(d.keeperDone, ctx.Done(), keeperGrace)
	}
	waitFor(allDone(&d.queue.oneShots), ctx.Done(), stopGrace)
	rest := d.queue.drain()
	d.settle(rest, Undone)
	stuck := d.queue.abandon(lost)
	if n := len(rest) + stuck; n > 0 {
		d.endErr = notDelivered(n, cause)
		d.cfg.Logger.Warn("klime: shut down before all events were delivered", slog.Int("events", n))
		d.reporter.add(Report{Items: rest, Outcome: Undone, Err: d.endErr, Untold: stuck})
	}
	if n := d.queue.snapshot().Spooled; n > 0 {
		d.cfg.Logger.Info("klime: shut down, events wait in the spool", slog.Int("events", n))
	}
	close(d.endReports)
	waitFor(d.reportsDone, ctx.Done(), stopGrace)
	return d.endErr
}

func notDelivered(events int, cause error) error {
	if cause == nil {
		return fmt.Errorf("%d events not delivered", events)
	}
	return fmt.Errorf("%d events not delivered: %w", events, cause)
}

// flushForGood is the Flush of Shutdown, also of what is handed over only now. It
// returns how much could not be. With a spool it leaves time to write what could not
// be delivered.
func (d *Deliverer) finalFlush(ctx context.Context) (lost int, err error) {
	if deadline, has := ctx.Deadline(); has && d.keeperDone != nil {
		reserve := min(time.Second, time.Until(deadline)/5)
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-reserve))
		defer cancel()
	}
	if d.cfg.OnClose != nil {
		lost = d.cfg.OnClose(ctx)
	}
	d.queue.seal()
	err = d.Flush(ctx)
	if err == nil && lost > 0 {
		err = ctx.Err()
	}
	return lost, err
}

// over is closed when all of a group are done.
func allDone(group *sync.WaitGroup) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		group.Wait()
	}()
	return done
}

// waitFor waits for the app's code until the time is up, and then a little for
// what should soon be over.
func waitFor(done, timeUp <-chan struct{}, more time.Duration) {
	if timeUp != nil {
		select {
		case <-done:
			return
		case <-timeUp:
		}
	}
	grace := time.NewTimer(more)
	defer grace.Stop()
	select {
	case <-done:
	case <-grace.C:
	}
}

func (d *Deliverer) nudge() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// settle ends items, for who asked to be told and then for the books: when
// Flush returns, all have been told.
func (d *Deliverer) settle(items []Item, outcome Outcome) {
	d.tellAll(items, outcome)
	d.queue.settle(items, outcome)
}

func (d *Deliverer) tellAll(items []Item, outcome Outcome) {
	for i := range items {
		if items[i].Token != 0 && d.cfg.OnOutcome != nil {
			d.cfg.OnOutcome(items[i].Token, outcome)
		}
	}
}

// blame adds to err what the last request failed of.
func (d *Deliverer) withLastFailure(err error) error {
	if trouble := d.lastFailure.Load(); trouble != nil {
		return fmt.Errorf("%w (last attempt: %w)", err, trouble)
	}
	return err
}

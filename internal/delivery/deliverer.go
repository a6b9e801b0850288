package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Config tunes a Deliverer. All numbers but MaxAttempts are positive.
type Config struct {
	Transport     Transport
	FlushInterval time.Duration // the longest an item waits for company
	BatchSize     int           // this many waiting items start a send
	QueueSize     int           // items held at most
	QueueBytes    int           // bytes held at most
	Senders       int           // requests at the same time
	MaxAttempts   int           // requests that may carry one item, 0 for no end
	RetryDelay    time.Duration // before the first retry; doubled for each further one
	Timeout       time.Duration // of one request
	Logger        *slog.Logger

	// OnOutcome learns how items ended that have a Token. It is called from
	// many goroutines and must not block.
	OnOutcome func(token uint64, outcome Outcome)
}

// Deliverer delivers items until it is shut down. Its methods are safe for
// concurrent use.
type Deliverer struct {
	cfg     Config
	queue   *queue
	retries atomic.Uint64
	halted  atomic.Bool
	trouble atomic.Pointer[SendError] // how the last request failed, nil if it did not

	wake    chan struct{}      // something changed for the dispatcher
	jobs    chan job           // dispatcher → senders
	results chan report        // senders → dispatcher
	stop    context.CancelFunc // ends the dispatcher, the senders and their requests
	running sync.WaitGroup     // these goroutines
	ended   chan struct{}      // closed when Shutdown is over
	endErr  error              // of that Shutdown; read after ended
}

// job is one batch, or without items a probe.
type job struct {
	items []Item
	epoch int // of the gate, when it went out
}

// report is what a sender says of a job.
type report struct {
	job      job
	rest     []Item // not settled
	verdict  verdict
	accepted bool       // Klime took at least one event
	failure  *SendError // nil if there was none
}

// New starts a Deliverer. It ends with Shutdown.
func New(cfg Config) *Deliverer {
	ctx, stop := context.WithCancel(context.Background())
	d := &Deliverer{
		cfg:     cfg,
		queue:   newQueue(cfg.QueueSize, cfg.QueueBytes, cfg.Senders, cfg.BatchSize),
		wake:    make(chan struct{}, 1),
		jobs:    make(chan job, cfg.Senders),
		results: make(chan report, cfg.Senders),
		stop:    stop,
		ended:   make(chan struct{}),
	}
	for range cfg.Senders {
		d.running.Go(func() { d.sendJobs(ctx) })
	}
	s := &dispatcher{Deliverer: d, gate: gate{delay: cfg.RetryDelay}}
	d.running.Go(func() { s.run(ctx) })
	return d
}

// Enqueue accepts it for delivery. It returns ErrFull where nothing older
// could make room, and ErrClosed after Shutdown.
func (d *Deliverer) Enqueue(it Item) error {
	evicted, wake, err := d.queue.push(it)
	if wake {
		d.nudge()
	}
	for i := range evicted {
		d.tell(&evicted[i], Evicted)
	}
	return err
}

// Counts is what became of the items so far.
func (d *Deliverer) Counts() Counts {
	c := d.queue.snapshot()
	c.Retries = d.retries.Load()
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

// Flush returns when all that was accepted before it has been settled, when
// ctx ends, or when sending is halted.
func (d *Deliverer) Flush(ctx context.Context) error {
	w := d.queue.wait()
	d.nudge()
	select {
	case <-w.done:
	case <-ctx.Done():
		d.queue.leave(w, d.blame(ctx.Err()))
		<-w.done
	}
	return w.err
}

// Shutdown refuses further items, delivers what is held until ctx ends or
// sending is halted, and gives up the rest: its error then says how many. A
// further call waits for the first and returns the same.
func (d *Deliverer) Shutdown(ctx context.Context) error {
	if !d.queue.close() {
		select {
		case <-d.ended:
			return d.endErr
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer close(d.ended)
	cause := d.Flush(ctx)
	d.stop()
	d.running.Wait()
	if rest := d.queue.drain(); len(rest) > 0 {
		d.settle(rest, Undone)
		d.endErr = fmt.Errorf("%d events not delivered: %w", len(rest), cause)
	}
	return d.endErr
}

func (d *Deliverer) nudge() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// settle ends items, for the books and for who asked to be told.
func (d *Deliverer) settle(items []Item, outcome Outcome) {
	d.queue.settle(items, outcome)
	for i := range items {
		d.tell(&items[i], outcome)
	}
}

func (d *Deliverer) tell(it *Item, outcome Outcome) {
	if it.Token != 0 && d.cfg.OnOutcome != nil {
		d.cfg.OnOutcome(it.Token, outcome)
	}
}

// blame adds to err what the last request failed of.
func (d *Deliverer) blame(err error) error {
	if trouble := d.trouble.Load(); trouble != nil {
		return fmt.Errorf("%w (last attempt: %w)", err, trouble)
	}
	return err
}

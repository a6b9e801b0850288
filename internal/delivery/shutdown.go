package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"
)

// stopGrace is how long Shutdown, SendNow and Ping wait for a Transport, and Shutdown for
// a callback, that does not return when it should, and for the first look at leftovers.
const stopGrace = 250 * time.Millisecond

// reportPortion is how many items Shutdown reports at once. To decode them takes time and
// memory: if there is not enough for all, some are told.
const reportPortion = 500

// Shutdown refuses further items, except those of Config.OnClose and of the keeper's first
// look at leftovers, and delivers what is held until ctx ends, or a probe finds sending
// halted and no request is in flight. What is left then is given up unless it is on disk;
// the error says how many items that is, with those that are lost on disk meanwhile, and
// how many on disk are not safe yet.
// One-shot sends may go on until ctx ends; only their callers learn how they end. A
// further call waits for the first and returns the same error, unless its own ctx ends
// earlier.
func (d *Deliverer) Shutdown(ctx context.Context) error {
	if d.queue.close() {
		defer close(d.ended)
		d.endErr = d.end(ctx)
		return d.endErr
	}
	select {
	case <-d.ended:
		return d.endErr
	default:
	}
	select {
	case <-d.ended:
		return d.endErr
	case <-ctx.Done():
		return EndOf(ctx)
	}
}

// awaitLook gives the keeper time for its first look at what ended processes left: nothing
// is taken over once the queue is sealed, and commands of which each lives for some
// milliseconds would leave it for ever.
func (d *Deliverer) awaitLook(ctx context.Context) {
	if d.keeping == nil || d.cfg.Leftovers == nil {
		return
	}
	patience := stopGrace
	if deadline, has := ctx.Deadline(); has {
		patience = min(patience, time.Until(deadline)/5) // most of it is for what is queued
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-d.looked:
	case <-ctx.Done():
	}
}

// end is the first call of Shutdown.
func (d *Deliverer) end(ctx context.Context) (err error) {
	defer d.cancelOneShots()
	defer context.AfterFunc(ctx, d.cancelOneShots)()
	d.wakeDispatcher()
	lostBefore := d.queue.snapshot().SpoolLost
	hadEnded := ctx.Err() != nil
	lost, cause := d.finalFlush(ctx)
	if hadEnded && cause != nil {
		cause = fmt.Errorf("the context had ended before Shutdown: %w", cause)
	}
	d.stop()
	waitFor(allDone(&d.running), nil, stopGrace)
	if d.keeping != nil {
		close(d.keeping.end)
		waitFor(d.keeping.done, ctx.Done(), keeperGrace)
	}
	rest := d.queue.drain()
	d.tellTokens(d.queue.takeForgotten(), Evicted)
	d.settle(rest, Abandoned)
	rest = d.queue.drainLeftOut(rest)
	stuck := d.queue.abandon(lost)
	onDisk := int(d.queue.snapshot().SpoolLost - lostBefore) //nolint:gosec // an amount
	if n := len(rest) + stuck + onDisk; n > 0 {
		err = notDelivered(n, onDisk, cause)
		d.cfg.Logger.Warn("klime: shut down before all events were delivered", slog.Int("events", n), slog.Bool("ended_before", hadEnded))
	}
	for ; len(rest) > reportPortion; rest = rest[reportPortion:] {
		d.reporter.add(Report{Items: rest[:reportPortion], Outcome: Abandoned, Err: err})
	}
	if len(rest)+stuck > 0 {
		d.reporter.add(Report{Items: rest, Outcome: Abandoned, Err: err, Untold: stuck})
	}
	waitFor(allDone(&d.queue.oneShots), ctx.Done(), stopGrace)
	err = d.noteSpooled(err)
	close(d.reporting.end)
	if waitFor(d.reporting.done, ctx.Done(), stopGrace) {
		return err
	}
	d.cfg.Logger.Warn("klime: shut down before a callback returned, it may not know of all events")
	if err != nil {
		err = fmt.Errorf("%w; a callback has not returned in time", err)
	}
	return err
}

// noteSpooled logs how many items are on disk. If the process ends while the keeper is
// moving them, they are lost: then that is added to the error of Shutdown.
func (d *Deliverer) noteSpooled(err error) error {
	moving, n := d.moving.Load(), d.queue.snapshot().Spooled
	switch {
	case n == 0:
	case !moving:
		d.cfg.Logger.Info("klime: shut down, events wait in the spool", slog.Int("events", n))
	default:
		d.cfg.Logger.Warn("klime: shut down before the spool was ready, events on disk may be lost", slog.Int("events", n))
		atRisk := fmt.Errorf("the spool was not ready in time, %s on disk may be lost", count(n, "event"))
		if err == nil {
			return atRisk
		}
		return fmt.Errorf("%w; %w", err, atRisk)
	}
	return err
}

// notDelivered is the error for so many events, some of which were lost on disk.
func notDelivered(events, onDisk int, cause error) error {
	switch {
	case onDisk > 0 && cause != nil:
		cause = fmt.Errorf("%w: %w", errDamaged(onDisk), cause)
	case onDisk > 0:
		cause = errDamaged(onDisk)
	case cause == nil:
		return fmt.Errorf("%s not delivered", count(events, "event"))
	}
	return fmt.Errorf("%s not delivered: %w", count(events, "event"), cause)
}

// count says how many there are of what.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// finalFlush is the Flush of Shutdown, which includes what OnClose hands over. It
// returns how many items OnClose lost. It ends early enough to write what could not be
// delivered to the spool, and to tell the app of it.
func (d *Deliverer) finalFlush(ctx context.Context) (lost int, err error) {
	deadline, has := ctx.Deadline()
	var most time.Duration
	if has {
		most = min(time.Second, time.Until(deadline)/5) // taken before OnClose, which may take long
	}
	if d.cfg.OnClose != nil {
		patience, done := d.Patience(ctx)
		defer done()
		lost = d.cfg.OnClose(patience)
	}
	d.awaitLook(ctx)
	d.queue.seal()
	if has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-d.reserve(most)))
		defer cancel()
	}
	_, err = d.flush(ctx) // Shutdown tells of a lost spool itself
	if err == nil && lost > 0 {
		err = EndOf(ctx)
	}
	return lost, err
}

// reserve returns how much of Shutdown's time is kept for what cannot be delivered in it.
// most bounds it.
func (d *Deliverer) reserve(most time.Duration) time.Duration {
	switch {
	case d.keeping != nil:
		return most
	case d.cfg.ReportLost:
		return min(most, time.Duration(d.queue.snapshot().Held)*time.Millisecond)
	default:
		return 0
	}
}

// allDone returns a channel that is closed when the group is done.
func allDone(group *sync.WaitGroup) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		group.Wait()
	}()
	return done
}

// waitFor waits for the app's code until timeUp (unless that is nil), and then a
// little longer, as it should end soon. It reports whether the code has ended.
func waitFor(done, timeUp <-chan struct{}, more time.Duration) bool {
	if timeUp != nil {
		select {
		case <-done:
			return true
		case <-timeUp:
		}
	}
	grace := time.NewTimer(more)
	defer grace.Stop()
	select {
	case <-done:
		return true
	case <-grace.C:
		return false
	}
}

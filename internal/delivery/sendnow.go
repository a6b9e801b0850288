package delivery

import (
	"context"
	"fmt"
	"time"
)

// SendNow is a one-shot send: it delivers an item with one request, past queue and
// backoff. While sending is halted it returns the reason, after at most one probe.
// Its request ends with the context of Shutdown at the latest. An item whose Transport
// does not return counts as failed.
func (d *Deliverer) SendNow(ctx context.Context, it Item) (Result, error) {
	var halt error
	if d.Halted() {
		halt = d.await(ctx, d.queue.waitForGate())
	}
	if err := d.queue.acceptOneShot(&it); err != nil {
		return Result{}, d.noteLate(err)
	}
	outcome := Failed
	defer func() { d.queue.settleOneShot(&it, outcome) }()
	if halt != nil {
		return Result{}, unsent(halt)
	}
	it.attempts = 1
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(d.oneShots, cancel)()
	result, failure := d.sendFor(ctx, []Item{it})
	if failure == nil {
		if len(result.Rejected) == 0 {
			outcome = Sent
			d.oneShotSent.Store(true)
		}
		return result, nil
	}
	if judge(failure) == halting && !failure.isForbidden() { // else it may be about this event alone
		select {
		case d.haltCauses <- failure:
		default:
		}
	}
	return Result{}, failure
}

// unsent returns why an item was not sent: the reason for a halt, which is another item's
// failure, or the end of the caller's context.
func unsent(why error) *SendError {
	if reason, isReason := why.(*SendError); isReason { //nolint:errorlint // another error may wrap how others failed
		own := *reason
		own.Attempts = 0
		return &own
	}
	return &SendError{Err: fmt.Errorf("not sent, as sending is halted: %w", why)}
}

// Ping sends an empty batch, past queue and gate. If it succeeds while sending is halted, the
// next probe is due at once.
func (d *Deliverer) Ping(ctx context.Context) error {
	if _, failure := d.sendFor(ctx, nil); failure != nil {
		return failure
	}
	if d.Halted() {
		d.pinged.Store(true)
		d.wakeDispatcher()
	}
	return nil
}

// sendFor is sendOnce for a caller who waits. It returns soon after ctx ends, even if the
// Transport does not: then nobody learns of a later answer.
func (d *Deliverer) sendFor(ctx context.Context, items []Item) (Result, *SendError) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	start := time.Now()
	var result Result
	var failure *SendError
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		result, failure = d.request(ctx, items)
	}()
	waitFor(answered, ctx.Done(), stopGrace)
	select {
	case <-answered:
		d.tellRequest(items, start, failure)
		return result, failure
	default:
		late := &SendError{Attempts: 1, Err: EndOf(ctx)}
		d.tellRequest(items, start, late)
		return Result{}, late
	}
}

// acceptOneShot counts an item that its caller sends itself.
func (q *queue) acceptOneShot(it *Item) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.phase >= closing {
		return ErrClosed
	}
	q.register(it)
	q.oneShotAmount.add(it)
	q.oneShots.Add(1)
	return nil
}

// settleOneShot ends an item of acceptOneShot. It does so even after abandon, since
// only the caller knows how its send ended.
func (q *queue) settleOneShot(it *Item, outcome Outcome) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.oneShotAmount.remove(it)
	q.ended[outcome]++
	q.waiters.itemEnded(it.seq)
	q.oneShots.Done()
}

package delivery

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
)

// maxRequests is how many requests one batch may take when events in it are refused:
// enough to single out two bad ones of a hundred, or 32 that answers name one by one.
const maxRequests = 32

// sendJobs runs one sender.
func (d *Deliverer) sendJobs(ctx context.Context) {
	for {
		select {
		case j := <-d.jobs:
			d.results <- d.sendJob(ctx, j) // does not block: it has room for one result per sender
		case <-ctx.Done():
			return
		}
	}
}

// sendJob sends a batch and settles its items. If Klime refuses it because of some
// event, it is split until the bad events stand alone.
func (d *Deliverer) sendJob(ctx context.Context, j job) jobResult {
	r := jobResult{job: j, verdict: delivered}
	again := len(j.items) > 0 && j.items[0].attempts > 0
	for i := range j.items {
		j.items[i].attempts++
	}
	parts := stack{{items: j.items}}
	for counted := 0; len(parts) > 0 && (counted < maxRequests || parts[len(parts)-1].named); again = true {
		if again {
			d.retries.Add(1)
		}
		p := parts.pop()
		if !p.named {
			counted++
		}
		result, failure := d.sendOnce(ctx, p.items)
		switch v := judge(failure); v {
		case delivered:
			r.accepted = r.accepted || result.Failed < len(p.items)
			d.settleAccepted(p.items, result)
		case refused:
			r.verdict, r.failure = refused, failure
			if failure.StatusCode == http.StatusRequestEntityTooLarge {
				r.tooLarge = len(p.items) > 1
			}
			if j.probe {
				r.unsettled = p.items
				return r // a probe is one request, and the event may be good
			}
			parts = append(parts, d.split(p, failure)...)
		case transient, halting:
			r.verdict, r.failure = v, failure
			parts = append(parts, p)
			r.unsettled = parts.flatten()
			return r
		}
	}
	r.unsettled = parts.flatten()
	return r
}

// sendOnce makes one request and tells OnRequest of it.
func (d *Deliverer) sendOnce(ctx context.Context, items []Item) (Result, *SendError) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	start := time.Now()
	result, failure := d.request(ctx, items)
	d.tellRequest(items, start, failure)
	return result, failure
}

func (d *Deliverer) request(ctx context.Context, items []Item) (Result, *SendError) {
	result, err := d.callTransport(ctx, items)
	if result.Unnamed > 0 && d.unnamedLog.Allows(logInterval, time.Now()) {
		d.cfg.Logger.Warn("klime: an answer does not name all events that it counts as failed, the others count as sent",
			slog.Int("failed", result.Failed+result.Unnamed), slog.Int("named", result.Failed))
	}
	failure := asSendError(err)
	if failure != nil {
		failure.Attempts = 1 // of a ping
		if len(items) > 0 {
			failure.Attempts = int(items[0].attempts)
		}
	}
	return result, failure
}

func (d *Deliverer) tellRequest(items []Item, start time.Time, failure *SendError) {
	if d.cfg.OnRequest != nil && len(items) > 0 {
		took := time.Since(start)
		CallApp(func() { d.cfg.OnRequest(len(items), took, failure) })
	}
}

// errPanicked stands for a Transport that has not returned. The value with which it
// panicked belongs to the app and is not shown.
var errPanicked = errors.New("transport panicked, or ended its goroutine")

// callTransport has the Transport send a batch. Not to return counts as a failure.
func (d *Deliverer) callTransport(ctx context.Context, items []Item) (result Result, err error) {
	returned := CallApp(func() { result, err = d.cfg.Transport.Send(ctx, items) })
	if returned {
		return result, err
	}
	if d.cfg.OnPanic != nil {
		d.cfg.OnPanic()
	}
	return Result{}, errPanicked
}

// split returns what to send in place of a refused part, the last element first: the
// events that the answer names apart from the others, or else two halves. The answer may
// name the wrong ones, so they get another request, without the others. What is refused for
// good is settled: an event alone, or a part of which the answer names every event.
func (d *Deliverer) split(p part, failure *SendError) []part {
	good, bad := separate(p.items, failure.Rejected)
	switch {
	case len(p.items) <= 1, len(good) == 0:
		d.settleRejected(p.items, failure)
		return nil
	case len(bad) > 0:
		return []part{{items: good}, {items: bad, named: !p.named}}
	default:
		half := len(p.items) / 2
		return []part{{items: p.items[half:]}, {items: p.items[:half]}}
	}
}

// settleAccepted settles the events of a successful request: as sent, except those
// that the answer names.
func (d *Deliverer) settleAccepted(items []Item, result Result) {
	if len(items) == 0 {
		return // a probe for which there was no event
	}
	good, bad := separate(items, result.Rejected)
	var reports []Report
	if d.cfg.ReportSent {
		told := result
		told.Rejected = slices.SortedFunc(slices.Values(result.Rejected), func(a, b Rejection) int { return a.Index - b.Index }) // as bad is
		reports = []Report{{Items: bad, Outcome: Sent, Result: told}}
	}
	d.settle(good, Sent, reports...)
	d.settleRejected(bad, &SendError{StatusCode: http.StatusOK, Attempts: int(items[0].attempts), Rejected: result.Rejected})
}

// settleRejected settles events that Klime refused.
func (d *Deliverer) settleRejected(items []Item, failure *SendError) {
	if len(items) == 0 {
		return
	}
	if failure.Message == "" && len(failure.Rejected) > 0 {
		failure.Message = failure.Rejected[0].Message
	}
	d.settle(items, Failed, Report{Items: items, Outcome: Failed, Err: failure})
	total := d.rejected.Add(uint64(len(items)))
	if d.refusedLog.Allows(logInterval, time.Now()) {
		d.cfg.Logger.Warn("klime: events refused", slog.Int("events", len(items)), slog.Uint64("total", total),
			slog.Int("status", failure.StatusCode), slog.String("code", loggedCode(items, failure)))
	}
}

// loggedCode is the first code of a failure, unless it may hold what an event says, such
// as an ID. (The message is not logged at all.)
func loggedCode(items []Item, failure *SendError) string {
	if len(failure.Rejected) == 0 {
		return ""
	}
	code := failure.Rejected[0].Code
	if strings.Trim(code, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return ""
	}
	if slices.ContainsFunc(items, func(it Item) bool { return bytes.Contains(it.Body, []byte(code)) }) {
		return ""
	}
	return code
}

// separate splits items into those that were not rejected and those that were.
func separate(items []Item, rejected []Rejection) (good, bad []Item) {
	if len(rejected) == 0 {
		return items, nil
	}
	out := make(map[int]bool, len(rejected))
	for _, r := range rejected {
		out[r.Index] = true
	}
	for i, it := range items {
		if out[i] {
			bad = append(bad, it)
		} else {
			good = append(good, it)
		}
	}
	return good, bad
}

// part is a part of a batch. If it was named apart from others, its request does not
// count: those that name bad events one by one need two requests for each. A part of such
// a part counts again, so that no server can ask for more than twice maxRequests.
type part struct {
	items []Item
	named bool
}

// stack holds the parts of a batch that a sender has yet to send. The top is next.
type stack []part

func (s *stack) pop() part {
	top := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return top
}

// flatten empties the stack and returns its items in the order in which they would
// have been sent.
func (s *stack) flatten() []Item {
	var items []Item
	for len(*s) > 0 {
		items = append(items, s.pop().items...)
	}
	return items
}

package delivery

import (
	"context"
	"log/slog"
	"time"
)

// dispatcher owns the gate and decides, on every event that could change the
// answer, which jobs go out.
type dispatcher struct {
	*Deliverer

	gate     gate
	inFlight int
	probes   int
}

// run ends with ctx. With nothing held it sleeps without a timer.
func (s *dispatcher) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if at := s.step(time.Now()); at.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(at))
		}
		select {
		case <-s.wake:
		case <-timer.C:
		case r := <-s.results:
			s.finish(time.Now(), r)
		case failure := <-s.news:
			s.halt(time.Now(), failure)
		case <-ctx.Done():
			s.collect()
			return
		}
	}
}

// step sends out what is due and returns when to look again, zero for
// whenever something changes.
func (s *dispatcher) step(now time.Time) time.Time {
	for s.inFlight < s.cfg.Senders {
		p := s.queue.pending()
		if p.closed {
			s.gate.hurry()
		}
		if s.gate.halt != nil {
			return s.stepHalted(now, p)
		}
		if p.items == 0 {
			return time.Time{}
		}
		if due := s.due(p); now.Before(due) {
			return due
		}
		if ok, at := s.gate.allows(now, s.inFlight); !ok {
			return at
		}
		s.start(s.queue.take(s.gate.shrink), false)
	}
	return time.Time{}
}

// due is when what is pending should be sent, zero for at once.
func (s *dispatcher) due(p pending) time.Time {
	if p.hurry || p.full {
		return time.Time{}
	}
	return p.oldest.Add(s.cfg.FlushInterval)
}

// stepHalted probes while there is something to send or somebody who asks: with
// one event, as an endpoint may be good to empty batches alone. By turns it is
// the newest and the oldest, so that no single bad one prolongs the halt.
func (s *dispatcher) stepHalted(now time.Time, p pending) time.Time {
	if s.inFlight > 0 {
		return time.Time{}
	}
	if now.Before(s.gate.nextProbe) {
		s.queue.turnAway(s.gate.halt)
		if p.items == 0 {
			return time.Time{}
		}
		return s.gate.nextProbe
	}
	if p.items > 0 || p.hurry {
		s.probes++
		s.start(s.queue.takeOne(s.probes%2 == 1), true)
	}
	return time.Time{}
}

func (s *dispatcher) start(items []Item, probe bool) {
	s.inFlight++
	s.jobs <- job{items: items, probe: probe, epoch: s.gate.epoch} // has room for one job a sender
}

// finish takes in what a sender reports.
func (s *dispatcher) finish(now time.Time, r report) {
	s.inFlight--
	switch {
	case r.job.probe:
		s.finishProbe(now, r)
	case r.verdict == delivered, r.accepted && r.verdict == refused:
		s.open()
	case r.verdict == halting:
		s.halt(now, r.failure)
	case r.verdict == refused:
		if s.gate.refusedWhole() {
			s.halt(now, r.failure)
		}
	case r.verdict == transient:
		if s.gate.failed(now, r.job.epoch, r.failure) && s.retryLog.allows(now) {
			s.cfg.Logger.Warn("klime: delivery failed, will retry", slog.Any("error", r.failure),
				slog.Duration("in", s.gate.opensAt.Sub(now)), slog.Int("events", len(r.rest)))
		}
		r.rest = s.giveUp(r.rest, r.failure)
	}
	s.trouble.Store(r.failure)
	s.queue.putBack(r.rest)
}

// finishProbe ends the halt where the endpoint takes events again, or where it
// now looks at them and finds fault with this one.
func (s *dispatcher) finishProbe(now time.Time, r report) {
	switch {
	case r.verdict == delivered, r.verdict == refused && judge(s.gate.halt) == halting:
		s.open()
	case r.verdict == halting:
		s.halt(now, r.failure)
	default: // what it says is no reason for the halt
		s.halt(now, s.gate.halt)
	}
}

// giveUp settles the items that have had their last attempt and returns the
// others.
func (s *dispatcher) giveUp(items []Item, failure *SendError) []Item {
	if s.cfg.MaxAttempts == 0 {
		return items
	}
	var again, over []Item
	for _, it := range items {
		if it.attempts < s.cfg.MaxAttempts {
			again = append(again, it)
		} else {
			over = append(over, it)
		}
	}
	if len(over) > 0 {
		s.settle(over, Failed)
		s.reporter.add(Report{Items: over, Outcome: Failed, Err: failure})
		s.cfg.Logger.Warn("klime: events given up after their last attempt", slog.Int("events", len(over)))
	}
	return again
}

func (s *dispatcher) open() {
	if s.gate.halt != nil {
		s.cfg.Logger.Info("klime: sending resumed")
	}
	s.gate.succeeded()
	s.halted.Store(false)
	s.queue.resume()
}

func (s *dispatcher) halt(now time.Time, err *SendError) {
	if s.gate.halt == nil {
		s.reporter.add(Report{Outcome: Failed, Err: err})
		s.cfg.Logger.Error("klime: sending halted, events are kept, one probe a minute", slog.Any("error", err))
	}
	s.gate.stop(now, err)
	s.halted.Store(true)
	s.queue.turnAway(err)
}

// collect takes back what is out. The requests have been cancelled, and what
// no sender has picked up none will.
func (s *dispatcher) collect() {
	for ; s.inFlight > 0; s.inFlight-- {
		select {
		case r := <-s.results:
			s.queue.putBack(r.rest)
		case j := <-s.jobs:
			s.queue.putBack(j.items)
		}
	}
}

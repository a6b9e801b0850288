package delivery

import (
	"context"
	"log/slog"
	"time"
)

// dispatcher owns the gates and decides which jobs go out, each time something
// happens that could change the answer. Its fields belong to its goroutine.
type dispatcher struct {
	*Deliverer

	gate         gate
	quarantine   quarantineGate
	inFlight     int  // jobs that the senders have
	newestProbed bool // the last probe of queued items has carried the newest, so the next one carries the oldest

	replayJobs int  // jobs in flight with items from disk
	freshNext  bool // new items go before those from disk, if both are due
	othersNext bool // new items and those from disk go before those from quarantine

	failureLogged bool // a failure was logged, and its end was not yet

	newest   uint64    // seq of the newest item that was seen
	napUntil time.Time // when to look at an empty queue again: nothing can be due earlier
}

// run ends with ctx. It needs no timer once nothing has been held for a while.
func (s *dispatcher) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		at, seen := s.step(now)
		spill := s.spillOld(now)
		at = earliest(at, spill)
		idle := seen.items == 0 || s.cfg.Spool != nil && spill.IsZero() // on disk already, or soon
		if !s.queue.setAlarm(s.alarm(now, at, idle), seen) {
			continue
		}
		if at.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(at))
		}
		select {
		case <-s.wake:
		case <-timer.C:
		case r := <-s.results:
			s.finish(time.Now(), r)
		case failure := <-s.haltCauses:
			s.noteOneShots()
			s.halt(time.Now(), failure)
		case <-ctx.Done():
			s.collect()
			return
		}
	}
}

// alarm returns how many items must be waiting to wake the dispatcher before at.
// While all senders are busy, the first to be done will wake it. With a spool, a new
// item must be on disk before long, whenever it is sent.
func (s *dispatcher) alarm(now, at time.Time, idle bool) int {
	busy := s.inFlight == s.cfg.Senders
	late := at.IsZero() || at.Sub(now) > s.cfg.FlushInterval
	switch {
	case idle && late && (!busy || s.cfg.Spool != nil):
		return 1
	case busy:
		return noAlarm
	default:
		return s.queue.dueItems
	}
}

// step starts the jobs that are due. It returns when to look again, zero for when
// something changes, and what it last saw of the queue.
func (s *dispatcher) step(now time.Time) (at time.Time, seen pending) {
	for {
		p := s.queue.pending()
		if p.last != s.newest {
			s.newest, s.napUntil = p.last, now.Add(s.cfg.FlushInterval)
		}
		if p.closed && !s.gate.hurried {
			s.gate.hurry()
			s.quarantine.hurry()
		}
		if s.inFlight == s.cfg.Senders {
			return time.Time{}, p
		}
		if s.gate.halt != nil {
			return s.stepHalted(now, p), p
		}
		due := s.due(now, p)
		fresh := p.items > 0 && !now.Before(due)
		replay := p.replay > 0 && (p.closed || s.replayJobs < max(1, s.cfg.Senders-1))
		from, quarantined, later := s.quarantine.next(now, p)
		if !fresh && !replay && !quarantined {
			return earliest(due, later), p
		}
		if ok, at := s.gate.allows(now, s.inFlight); !ok {
			return at, p
		}
		switch {
		case quarantined && (!s.othersNext || !fresh && !replay):
			s.startQuarantined(from, max(s.quarantine.shrink(s.gate.failures), s.quarantine.size.shrink, s.gate.size.shrink))
		case replay && (!s.freshNext || !fresh):
			s.startReplay()
		default:
			s.freshNext = false
			s.start(job{items: s.queue.take(s.gate.size.shrink)})
		}
	}
}

// startQuarantined sends items from quarantine: suspects in a batch, culprits alone.
func (s *dispatcher) startQuarantined(from source, shrink int) {
	if from == fromCulprits {
		shrink = maxShrink
	}
	if items := s.queue.takeQuarantined(from, shrink); len(items) > 0 { // they may have made room for others meanwhile
		s.start(job{items: items, from: from})
	}
}

// startReplay sends items that were read from disk. Until Shutdown, they take turns
// with new items and leave them one sender, if there are several.
func (s *dispatcher) startReplay() {
	s.freshNext = true
	if items := s.queue.takeReplay(s.gate.size.shrink); len(items) > 0 { // they may have made room for others meanwhile
		s.replayJobs++
		s.start(job{items: items, from: fromDisk})
	}
}

// spillOld moves to disk what has been in memory alone for too long. It returns when
// to look again, zero for never.
func (s *dispatcher) spillOld(now time.Time) time.Time {
	if s.cfg.Spool == nil {
		return time.Time{}
	}
	age := s.cfg.FlushInterval + spillGrace
	oldest := s.queue.spillOld(now.Add(-age))
	if oldest.IsZero() {
		return oldest
	}
	return oldest.Add(age)
}

// earliest returns the earlier of two times, where zero stands for never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// due returns when to send what is pending, zero for at once. Without items it
// returns when to look again, zero for never: while events keep coming, the first of
// a batch need not wake the dispatcher, as it cannot be due before napUntil.
func (s *dispatcher) due(now time.Time, p pending) time.Time {
	switch {
	case p.items == 0 && now.Before(s.napUntil):
		return s.napUntil
	case p.items == 0 || p.hurry || p.full:
		return time.Time{}
	case p.suspects > 0 && s.gate.failures > 0: // new items show whether the endpoint works
		return time.Time{}
	default:
		return p.oldest.Add(s.cfg.FlushInterval)
	}
}

// stepHalted probes a halted endpoint while there is something to send or a caller
// waits. A probe carries one event, as the endpoint may accept only empty batches.
// The newest and the oldest take turns, so that no single bad event prolongs the halt.
// What is in flight may end the halt, and only Shutdown does not wait for it.
func (s *dispatcher) stepHalted(now time.Time, p pending) time.Time {
	if s.pinged.Load() {
		s.gate.nextProbe = now
	}
	isEarly := now.Before(s.gate.nextProbe)
	if s.inFlight > 0 && (isEarly || !p.closed) {
		return time.Time{}
	}
	if isEarly {
		s.queue.turnAway(s.gate.halt, p.closed)
		return s.gate.nextProbe
	}
	pinged := s.pinged.Swap(false)
	j := job{probe: true}
	switch {
	case p.items+p.replay > 0, (p.hurry || pinged) && p.suspects+p.culprits == 0:
		s.newestProbed = !s.newestProbed
		j.items = s.queue.takeOne(s.newestProbed)
	case p.suspects > 0:
		j.from, j.items = fromSuspects, s.queue.takeQuarantined(fromSuspects, maxShrink)
	case p.culprits > 0:
		j.from, j.items = fromCulprits, s.queue.takeQuarantined(fromCulprits, maxShrink)
	default:
		return time.Time{}
	}
	s.gate.epoch++
	s.gate.scheduleProbe(now) // unless Shutdown begins and wants one of its own
	s.start(j)
	return time.Time{}
}

// start gives a job to the senders.
func (s *dispatcher) start(j job) {
	s.inFlight++
	s.othersNext = j.from.isQuarantine()
	s.quarantine.inFlight = s.quarantine.inFlight || s.othersNext
	j.epoch, j.shrink = s.gate.epoch, s.gate.size.shrink
	s.jobs <- j // does not block: it has room for one job per sender
}

// finish handles the result of a job.
func (s *dispatcher) finish(now time.Time, r jobResult) {
	s.inFlight--
	switch {
	case r.job.from == fromDisk:
		s.replayJobs--
	case r.job.from.isQuarantine():
		s.quarantine.inFlight = false
	}
	s.noteOneShots()
	atFault := s.isApart(r.job) && r.failure.mayBlameEvents()
	switch {
	case r.job.probe && s.gate.halt != nil:
		pardon(r.unsettled)
		s.finishProbe(now, r)
	case r.verdict == delivered, r.accepted && r.verdict == refused:
		s.markHealthy(r.job)
	case atFault:
		s.backOffQuarantine(now, r)
		if len(r.unsettled) == 1 { // of several, some may be good
			r.unsettled = s.giveUp(r.unsettled, r.failure)
		}
	case r.verdict == halting:
		pardon(r.unsettled)
		s.finishHalting(now, r)
	case r.verdict == refused:
		if !s.isApart(r.job) && s.gate.refusedWhole() {
			s.halt(now, r.failure)
		}
	case r.verdict == transient:
		s.backOff(now, r)
		r.unsettled = s.giveUp(r.unsettled, r.failure)
	}
	if r.tooLarge && r.job.shrink >= s.gate.size.shrink {
		s.gate.size.halve()
	}
	s.lastFailure.Store(r.failure)
	s.putBack(r, atFault)
}

// noteOneShots notes that one-shot sends have been accepted.
func (s *dispatcher) noteOneShots() {
	if s.oneShotSent.Swap(false) {
		s.gate.prove()
	}
}

// backOff delays the next batch.
func (s *dispatcher) backOff(now time.Time, r jobResult) {
	if s.gate.failed(now, r.job.epoch, r.failure) && s.retryLog.Allows(logInterval, now) {
		s.failureLogged = true
		s.cfg.Logger.Warn("klime: delivery failed, will retry", slog.Any("error", r.failure),
			slog.Duration("in", s.gate.opensAt.Sub(now).Round(time.Millisecond)), slog.Int("events", len(r.unsettled)))
	}
}

// putBack returns unsettled items to the queue, or puts them into quarantine.
func (s *dispatcher) putBack(r jobResult, atFault bool) {
	suspect := r.failure.mayBlameEvents() && !r.job.probe
	switch {
	case len(r.unsettled) == 0:
	case atFault && len(r.unsettled) == 1:
		s.queue.isolate(r.unsettled, fromCulprits, true)
	case r.job.from.isQuarantine():
		if suspect && s.quarantine.healthy {
			halve(r.unsettled, s.queue.takeItems)
		}
		s.queue.isolate(r.unsettled, r.job.from, true)
	case suspect:
		s.quarantine.healthy = false
		s.othersNext = s.gate.failures <= lastingFailures // then it may be that all fresh batches have bad events
		s.queue.isolate(r.unsettled, fromSuspects, false)
	default:
		s.queue.putBack(r.unsettled)
	}
}

// isApart reports whether the items of a job were in quarantine while others are
// delivered: its failure says something about them, but not about the endpoint.
func (s *dispatcher) isApart(j job) bool {
	return j.from.isQuarantine() && !j.probe && s.quarantine.healthy
}

// backOffQuarantine delays the next attempt of suspects or of culprits, and of
// nothing else.
func (s *dispatcher) backOffQuarantine(now time.Time, r jobResult) {
	if r.job.from == fromSuspects {
		s.quarantine.suspectsFailed(now, s.gate.pause(1), r.failure)
	} else {
		s.quarantine.culpritFailures++
		s.quarantine.culpritsAt = now.Add(s.gate.pause(s.quarantine.culpritFailures))
	}
	if len(r.unsettled) == 1 && s.culpritLog.Allows(logInterval, now) {
		s.cfg.Logger.Warn("klime: an event fails by itself while others are delivered, will retry", slog.Any("error", r.failure))
	}
}

// pardon has the last attempt not count: no event is given up for a halt, as it may be the
// key or the address.
func pardon(items []Item) {
	for i := range items {
		items[i].pardoned++
	}
}

// finishHalting halts sending, unless the halt has ended since the job went out, or the
// failure may be about its events.
func (s *dispatcher) finishHalting(now time.Time, r jobResult) {
	switch {
	case r.job.epoch < s.gate.provenBy:
	case s.gate.tolerates(r.job, r.failure):
		s.backOff(now, r)
	default:
		s.halt(now, r.failure)
	}
}

// finishProbe ends the halt if the endpoint accepts events again. It also does if
// the endpoint used to turn away every request and now refuses just this event.
func (s *dispatcher) finishProbe(now time.Time, r jobResult) {
	switch {
	case r.verdict == delivered, r.verdict == refused && judge(s.gate.halt) == halting:
		s.markHealthy(r.job)
		s.gate.provenBy = r.job.epoch
	case r.verdict == halting:
		s.halt(now, r.failure)
	default: // the halt goes on, and so does its reason: this was the probe that callers waited for
		s.queue.turnAway(s.gate.halt, false)
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
		if int(it.attempts-it.pardoned) < s.cfg.MaxAttempts {
			again = append(again, it)
		} else {
			over = append(over, it)
		}
	}
	if len(over) > 0 {
		s.settle(over, Failed, Report{Items: over, Outcome: Failed, Err: failure})
		s.cfg.Logger.Warn("klime: events given up after their last attempt", slog.Int("events", len(over)))
	}
	return again
}

// markHealthy notes that the endpoint accepts events. It ends backoff and halt.
func (s *dispatcher) markHealthy(j job) {
	s.quarantine.delivered(j.from, j.epoch != s.gate.epoch)
	if s.gate.halt != nil {
		s.cfg.Logger.Info("klime: sending resumed")
	}
	if s.failureLogged && j.epoch == s.gate.epoch {
		s.failureLogged = false
		c := s.queue.snapshot()
		s.cfg.Logger.Info("klime: delivery works again", slog.Int("waiting", c.Held+c.Spooled))
	}
	s.gate.succeeded()
	s.halted.Store(false)
	s.queue.resume()
}

// halt stops sending because of err.
func (s *dispatcher) halt(now time.Time, err *SendError) {
	if s.gate.halt == nil {
		s.reporter.add(Report{Outcome: Failed, Err: err})
		s.cfg.Logger.Error("klime: sending halted, events are kept, probed at least once a minute", slog.Any("error", err))
		s.pinged.Store(false) // it was meant for an earlier halt
	}
	s.gate.stop(now, err)
	s.halted.Store(true)
	s.queue.turnAway(err, false) // stepHalted turns Shutdown away
}

// collect returns all items to the queue: from quarantine, and from jobs that are
// out. Their requests have been cancelled, but a Transport may ignore that for a
// while. Jobs that no sender has picked up are still in the channel.
func (s *dispatcher) collect() {
	s.queue.dissolve()
	for ; s.inFlight > 0; s.inFlight-- {
		select {
		case r := <-s.results:
			s.queue.putBack(r.unsettled)
		case j := <-s.jobs:
			s.queue.putBack(j.items)
		}
	}
}

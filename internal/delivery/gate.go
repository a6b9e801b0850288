package delivery

import (
	"math/rand/v2"
	"time"
)

const (
	maxDelay      = 16 * time.Second // where the doubling of Config.RetryDelay ends
	maxRetryAfter = 5 * time.Minute  // the longest an answer may silence us
	probeInterval = time.Minute      // between two probes of a halted endpoint
	maxShrink     = 7                // to one event of a hundred
	growAfter     = 8                // successes until a larger batch is tried again
	maxRefusals   = 3                // batches refused whole, in a row, until a halt
)

// gate is the one memory of how the endpoint fares, shared by all senders, so
// that an outage is probed by one request and not by every batch. It belongs
// to the dispatcher.
type gate struct {
	delay time.Duration // before the first retry

	failures  int        // transient answers in a row
	refusals  int        // batches refused whole in a row
	opensAt   time.Time  // no batch goes out before
	halt      *SendError // why sending has stopped, nil while it has not
	nextProbe time.Time  // no probe goes out before
	epoch     int        // counts the closings
	hurried   bool       // Shutdown is waiting: no delay grows beyond the first
	shrink    int        // batches are 2^-shrink of the usual: large ones seem not to get through
	successes int        // successes in a row since shrink changed
}

// allows reports whether another batch may go out beside those in flight, and
// if only time is missing, when. The gate is not halted.
func (g *gate) allows(now time.Time, inFlight int) (ok bool, at time.Time) {
	if now.Before(g.opensAt) {
		return false, g.opensAt
	}
	return g.failures == 0 || inFlight == 0, time.Time{}
}

// failed closes the gate for a while and reports whether it did: a batch that
// was already out when it last closed says nothing new, but for how long the
// answer asked to wait. At Shutdown there is no time for that.
func (g *gate) failed(now time.Time, epoch int, failure *SendError) bool {
	asked := min(failure.RetryAfter, maxRetryAfter)
	if g.hurried {
		asked = 0
	}
	if epoch != g.epoch {
		if until := now.Add(asked); asked > 0 && until.After(g.opensAt) {
			g.opensAt = until
		}
		return false
	}
	g.epoch++
	g.failures++
	// A server or proxy that finds a request too large may hang up on it.
	if g.failures > 1 && failure.StatusCode == 0 && g.shrink < maxShrink {
		g.shrink++
		g.successes = 0
	}
	wait := asked
	if wait == 0 {
		wait = g.pause(g.failures)
	}
	g.opensAt = now.Add(wait)
	return true
}

// pause is how long to wait after so many failures in a row.
func (g *gate) pause(failures int) time.Duration {
	if g.hurried {
		failures = 1
	}
	return jitter(backoff(g.delay, failures))
}

// hurry lets a new attempt through at once, whatever was to be waited for, and
// whatever is out: what is not delivered now may never be.
func (g *gate) hurry() {
	if !g.hurried {
		g.hurried = true
		g.epoch++
		g.failures, g.opensAt, g.nextProbe = 0, time.Time{}, time.Time{}
	}
}

func (g *gate) succeeded() {
	g.failures, g.refusals, g.opensAt, g.halt = 0, 0, time.Time{}, nil
	if g.successes++; g.shrink > 0 && g.successes >= growAfter {
		g.shrink--
		g.successes = 0
	}
}

// refusedWhole counts a batch of which nothing was accepted, and reports
// whether it was one too many.
func (g *gate) refusedWhole() bool {
	g.refusals++
	return g.refusals >= maxRefusals
}

func (g *gate) stop(now time.Time, err *SendError) {
	g.halt = err
	g.refusals = 0
	g.nextProbe = now.Add(probeInterval)
}

// backoff is the delay before the n-th retry in a row.
func backoff(first time.Duration, n int) time.Duration {
	d := first
	for ; n > 1 && d < maxDelay; n-- {
		d *= 2
	}
	return min(d, max(first, maxDelay))
}

// jitter spreads the retries of many processes over the last half of d.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1)
}

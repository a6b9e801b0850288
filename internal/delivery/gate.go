package delivery

import (
	"cmp"
	"math/rand/v2"
	"time"
)

const (
	maxDelay      = 16 * time.Second // Config.RetryDelay doubles up to this
	maxRetryAfter = 5 * time.Minute  // the longest that an answer may have us wait
	probeInterval = time.Minute      // between two probes of a halted endpoint, at most
	maxRefusals   = 3                // so many batches refused whole, or forbidden, since events were last accepted halt sending
)

// gate tracks the health of the endpoint. All senders share it, so that an outage
// is probed by one request and not by every batch. It belongs to the dispatcher.
type gate struct {
	delay time.Duration // before the first retry

	failures      int        // transient answers in a row
	refusals      int        // batches refused whole since events were last accepted
	proven        bool       // Klime has answered as Klime at some time
	forbiddenLeft int        // how many more forbidden batches halt sending; 0 until an event was accepted: with a wrong key the first does
	opensAt       time.Time  // no batch goes out before this
	halt          *SendError // why sending is halted; nil if it is not
	nextProbe     time.Time  // no probe of a halted endpoint goes out before this
	probes        int        // of this halt, after a short wait: see scheduleProbe
	epoch         int        // how often the gate has closed or a probe went out; a batch keeps the epoch in which it went out
	provenBy      int        // epoch of the last probe that has ended a halt
	hurried       bool       // Shutdown waits: each delay is as long as the first
	size          batchSize
}

// allows reports whether another batch may go out beside those in flight. If it
// only has to wait, at says until when. The gate must not be halted.
func (g *gate) allows(now time.Time, inFlight int) (ok bool, at time.Time) {
	if now.Before(g.opensAt) {
		return false, g.opensAt
	}
	return g.failures == 0 || inFlight == 0, time.Time{}
}

// failed closes the gate for a while and reports whether it did. It does not if
// the batch went out before the gate last closed: that failure says nothing new.
// How long the answer asks to wait counts all the same, except during Shutdown.
func (g *gate) failed(now time.Time, epoch int, failure *SendError) bool {
	asked := failure.RetryAfter
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
	if g.failures > 1 && failure.StatusCode == 0 { // a server or proxy that finds a request too large may hang up on it
		g.size.halve()
	}
	g.opensAt = now.Add(cmp.Or(asked, g.pause(g.failures)))
	return true
}

// pause returns how long to wait after so many failures in a row.
func (g *gate) pause(failures int) time.Duration {
	if g.hurried {
		failures = 1
	}
	return jitter(backoff(g.delay, failures))
}

// hurry lets the next batch go out at once, whatever we were waiting for and
// whatever is in flight: what Shutdown does not deliver now may never be delivered.
func (g *gate) hurry() {
	g.hurried = true
	g.epoch++
	g.failures, g.opensAt, g.nextProbe = 0, time.Time{}, time.Time{}
}

// prove notes that events have been accepted.
func (g *gate) prove() { g.proven, g.forbiddenLeft = true, maxRefusals }

// succeeded opens the gate and ends a halt.
func (g *gate) succeeded() {
	g.failures, g.refusals, g.opensAt, g.halt = 0, 0, time.Time{}, nil
	g.prove()
	g.size.succeeded()
}

// refusedWhole counts a batch of which nothing was accepted, and reports whether
// it is time to halt.
func (g *gate) refusedWhole() bool {
	g.refusals++
	return g.refusals >= maxRefusals
}

// tolerates reports whether sending may go on after a failure that would halt it: a
// firewall forbids some events for what they say, but a wrong key all of them. A job from
// quarantine says nothing new, nor does one that went out before the gate last closed.
func (g *gate) tolerates(j job, failure *SendError) bool {
	if g.forbiddenLeft == 0 || !failure.isForbidden() {
		return false
	}
	if j.epoch == g.epoch && !j.from.isQuarantine() {
		g.forbiddenLeft--
	}
	return g.forbiddenLeft > 0
}

// stop halts sending because of err until a probe succeeds. During Shutdown the first
// probe is due at once.
func (g *gate) stop(now time.Time, err *SendError) {
	isNew := g.halt == nil
	g.halt = err
	if isNew && !g.hurried {
		g.probes = 0
		g.scheduleProbe(now)
	}
	g.refusals, g.forbiddenLeft = 0, 0
}

// scheduleProbe sets when the next probe is due: after the halt, or after the last probe. If
// an endpoint that has accepted events seems to be gone, it may be back soon: that is how an
// ingress answers while it is reloaded.
func (g *gate) scheduleProbe(now time.Time) {
	wait := time.Second << g.probes
	if g.hurried || !g.proven || !g.halt.isMisdirected() || wait > probeInterval {
		g.nextProbe = now.Add(probeInterval)
		return
	}
	g.probes++
	g.nextProbe = now.Add(jitter(wait))
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

package delivery_test

import (
	"errors"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

func TestOutageIsProbedByOneRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		e := &endpoint{}
		e.answer = func(_ int, ids []int) (delivery.Result, error) {
			time.Sleep(10 * time.Millisecond)
			if time.Since(begin) < 30*time.Second {
				return delivery.Result{}, errors.New("connection refused")
			}
			return ok(len(ids))
		}
		d := start(t, config(e))
		enqueue(t, d, 1, 1000)
		time.Sleep(29 * time.Second)
		// Two at the start, when nothing was known; then 1, 2, 4, 8, 16 s.
		if seen := e.seen(); len(seen) > 8 {
			t.Errorf("%d requests in an outage of 30 s", len(seen))
		}
		for i, r := range e.seen() {
			if i > 2 && r.at.Equal(e.seen()[i-1].at) {
				t.Errorf("requests %d and %d at the same time", i, i+1)
			}
		}
		mustShutdown(t, d)
		if c := d.Counts(); c.Sent != 1000 {
			t.Errorf("counts: %+v", c)
		}
	})
}

// The log says how long it waits, without digits that nobody reads.
func TestRetryIsLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := config(newOutage(503))
		cfg.RetryDelay = time.Second
		log := keepLog(&cfg)
		d := start(t, cfg)
		enqueue(t, d, 1, 1)
		time.Sleep(time.Minute)
		_ = shutdown(t, d)
		waits := regexp.MustCompile(`will retry" .* in=(\S+) events=1\n`).FindAllStringSubmatch(log.String(), -1)
		if len(waits) == 0 {
			t.Errorf("log: %s", log)
		}
		for _, wait := range waits {
			if in, err := time.ParseDuration(wait[1]); err != nil || in == 0 || in%time.Millisecond != 0 {
				t.Errorf("retries in %v: %v", wait[1], err)
			}
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		e.answer = func(n int, ids []int) (delivery.Result, error) {
			if n == 1 {
				return delivery.Result{}, &delivery.SendError{StatusCode: 429, RetryAfter: 42 * time.Second}
			}
			return ok(len(ids))
		}
		d := start(t, config(e))
		enqueue(t, d, 1, 20)
		time.Sleep(time.Minute)
		seen := e.seen()
		if len(seen) != 2 || seen[1].at.Sub(seen[0].at) != 42*time.Second {
			t.Errorf("requests: %+v", seen)
		}
		mustShutdown(t, d)
	})
}

// A Transport that computes a wait from a clock may come to a negative one. It counts as
// none, and one that is too long for five minutes.
func TestRetryAfterOfATransport(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ asked, told, most time.Duration }{
		{-time.Nanosecond, 0, 16 * time.Second},
		{-time.Hour, 0, 16 * time.Second},
		{time.Hour, 5 * time.Minute, 5 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			e := &endpoint{answer: func(n int, ids []int) (delivery.Result, error) {
				if n > 1000 { // or time would stand still
					return ok(len(ids))
				}
				return delivery.Result{}, &delivery.SendError{StatusCode: 429, RetryAfter: tt.asked}
			}}
			d := start(t, config(e))
			var failure *delivery.SendError
			if _, err := d.SendNow(t.Context(), item(0, false, 0)); !errors.As(err, &failure) || failure.RetryAfter != tt.told {
				t.Errorf("%v: SendNow: %+v", tt.asked, failure)
			}
			enqueue(t, d, 1, 20)
			time.Sleep(time.Hour)
			if n, most := len(e.seen()), int(time.Hour/tt.most)*2+10; n < int(time.Hour/tt.most) || n > most {
				t.Errorf("%v: %d requests in an hour", tt.asked, n)
			}
		})
	}
}

// How long an answer asks to wait counts even if another failure came before it.
func TestRetryAfterOfTheSecondSender(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(n int, ids []int) (delivery.Result, error) {
			time.Sleep(time.Duration(n) * 100 * time.Millisecond) // both requests are in flight when the first answer comes
			switch n {
			case 1:
				return status(503)
			case 2:
				return delivery.Result{}, &delivery.SendError{StatusCode: 429, RetryAfter: 2 * time.Minute}
			default:
				return ok(len(ids))
			}
		}}
		d := start(t, config(e))
		enqueue(t, d, 1, 200)
		time.Sleep(time.Hour)
		if seen := e.seen(); seen[2].at.Sub(seen[1].at) < 2*time.Minute {
			t.Errorf("asked to wait 2 minutes, waited %v", seen[2].at.Sub(seen[1].at))
		}
		mustShutdown(t, d)
	})
}

// Shutdown does not sit out waits that answers ask for.
func TestRetryAfterDuringShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(n int, ids []int) (delivery.Result, error) {
			if n <= 3 {
				return delivery.Result{}, &delivery.SendError{StatusCode: 429, RetryAfter: time.Hour}
			}
			return ok(len(ids))
		}}
		d := start(t, config(e))
		enqueue(t, d, 1, 10)
		begin := time.Now()
		mustShutdown(t, d)
		if took := time.Since(begin); took > 3*time.Second || len(e.seen()) != 4 {
			t.Errorf("%d requests, %v", len(e.seen()), took)
		}
	})
}

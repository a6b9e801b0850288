package delivery_test

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// A firewall that blocks some events for what they say does not halt sending.
func TestForbiddenEventsDoNotHalt(t *testing.T) {
	t.Parallel()
	for _, senders := range []int{1, 8} {
		synctest.Test(t, func(t *testing.T) {
			const n = 6000
			isBad := func(id int) bool { return id%300 == 50 }
			e := newPoisoned(isBad, failsWith(403))
			var told reports
			cfg := config(e)
			cfg.OnReport, cfg.Senders = told.add, senders
			d := start(t, cfg)
			enqueue(t, d, 1, 1) // accepted first
			for id := 2; id <= n; id++ {
				time.Sleep(100 * time.Millisecond)
				enqueue(t, d, id, id)
				if id%100 == 50 {
					_, _ = d.SendNow(t.Context(), item(50, false, 0))
				}
				if c := d.Counts(); d.Halted() || c.Held > 20+150 {
					t.Fatalf("%d senders: after %d: halted %v, %+v", senders, id, d.Halted(), c)
				}
			}
			time.Sleep(20 * time.Second)
			if got := e.delivered(); !slices.Equal(got, upToExcept(n, isBad)) || len(told.list()) != 0 {
				t.Errorf("%d senders: %d of %d delivered, or some twice; told %+v", senders, len(got), n-n/300, told.list())
			}
		})
	}
}

// Nor does one that answers them with a page in place of a 403.
func TestEventsAnsweredByAPageDoNotHalt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		firewall := answering(func(r *http.Request) *http.Response {
			answer := "{}"
			if body, err := io.ReadAll(r.Body); err != nil || bytes.Contains(body, []byte(`"id":107,`)) {
				answer = "<html><body>The requested URL was rejected.</body></html>"
			}
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(answer)), Request: r}
		})
		d := start(t, config(delivery.NewHTTP(&http.Client{Transport: firewall}, "http://klime.example/v1/batch", "key", "agent")))
		for round := range 60 {
			enqueue(t, d, 1+round*20, 20+round*20)
			_, _ = d.SendNow(t.Context(), item(107, false, 0))
			time.Sleep(30 * time.Second) // less than until a probe would end a halt
			if d.Halted() {
				t.Fatalf("halted in round %d", round)
			}
		}
		if c := d.Counts(); c.Sent != 1199 {
			t.Errorf("counts %+v", c)
		}
	})
}

// While a captive portal answers in a quiet app, the events in quarantine use up no attempts.
func TestPortalGivesUpNoEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var code atomic.Int32 // 0 for the portal's page
		code.Store(http.StatusOK)
		portal := answering(func(r *http.Request) *http.Response {
			status, answer := int(code.Load()), "{}"
			if status == 0 {
				status, answer = http.StatusOK, "<html>log in</html>"
			}
			return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(answer)), Request: r}
		})
		cfg := config(delivery.NewHTTP(&http.Client{Transport: portal}, "http://klime.example/v1/batch", "key", "agent"))
		cfg.MaxAttempts = 20
		d := start(t, cfg)
		enqueue(t, d, 1, 20) // accepted first
		time.Sleep(time.Minute)
		code.Store(0)
		enqueue(t, d, 21, 40)
		time.Sleep(2 * time.Hour)
		code.Store(http.StatusServiceUnavailable)
		time.Sleep(30 * time.Second)
		code.Store(http.StatusOK)
		time.Sleep(3 * time.Minute)
		if c := d.Counts(); c.Sent != 40 || c.Failed != 0 {
			t.Errorf("counts %+v", c)
		}
	})
}

// That holds too where hardly any other event shows that the key is good: to try the
// same event again proves nothing.
func TestForbiddenEventsOfAQuietAppDoNotHalt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		every         time.Duration
		atOnce, badOf int // one of badOf events is bad
	}{
		{5 * time.Second, 1, 60},
		{10 * time.Second, 1, 3},
		{time.Minute, 1, 10},
		{5 * time.Minute, 20, 20},
	} {
		synctest.Test(t, func(t *testing.T) {
			isBad := func(id int) bool { return id > tt.atOnce && id%tt.badOf == 2 } // some are accepted first
			e := newPoisoned(isBad, failsWith(403))
			var told reports
			cfg := config(e)
			cfg.OnReport = told.add
			d := start(t, cfg)
			last := 0
			for range time.Hour / tt.every {
				enqueue(t, d, last+1, last+tt.atOnce)
				last += tt.atOnce
				time.Sleep(tt.every)
				if d.Halted() {
					t.Fatalf("every %v: halted after %d", tt.every, last)
				}
			}
			time.Sleep(time.Minute)
			if got := e.delivered(); !slices.Equal(got, upToExcept(last, isBad)) || len(told.list()) != 0 {
				t.Errorf("every %v: %d of %d delivered, or some twice; told %+v", tt.every, len(got), last, told.list())
			}
		})
	}
}

// A 403 that asks to wait is waited for, and halts nothing either.
func TestForbiddenForAWhileDoesNotHalt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newPoisoned(func(id int) bool { return id > 1 }, func([]int) error {
			return &delivery.SendError{StatusCode: 403, RetryAfter: time.Minute}
		})
		d := start(t, config(e))
		enqueue(t, d, 1, 1) // accepted first
		time.Sleep(5 * time.Second)
		if _, err := d.SendNow(t.Context(), item(2, false, 0)); err == nil {
			t.Error("SendNow: no error")
		}
		enqueue(t, d, 3, 22)
		time.Sleep(59 * time.Second)
		if n := len(e.seen()); n != 3 || d.Halted() {
			t.Errorf("%d requests, halted %v", n, d.Halted())
		}
		e.mended.Store(true)
		time.Sleep(2 * time.Second)
		if c := d.Counts(); c.Sent != 21 {
			t.Errorf("counts: %+v", c)
		}
	})
}

// An event that was accepted by itself shows that the key is good, too.
func TestForbiddenAfterSendNowDoesNotHalt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newPoisoned(func(id int) bool { return id >= 2 }, failsWith(403))
		d := start(t, config(e))
		for id := 2; id <= 10; id++ {
			if _, err := d.SendNow(t.Context(), item(1, false, 0)); err != nil {
				t.Fatal(err)
			}
			enqueue(t, d, id, id)
			time.Sleep(time.Minute)
			if d.Halted() {
				t.Fatalf("halted after %d requests", len(e.seen()))
			}
		}
	})
}

// A 403 halts sending at once if Klime has accepted nothing yet, and soon if it then
// forbids everything. The events are kept, whatever MaxAttempts says.
func TestForbiddenKeyHalts(t *testing.T) {
	t.Parallel()
	for _, senders := range []int{1, 8} {
		synctest.Test(t, func(t *testing.T) {
			e := newPoisoned(func(int) bool { return true }, failsWith(403))
			cfg := config(e)
			cfg.MaxAttempts, cfg.Senders = 1, senders
			d := start(t, cfg)
			enqueue(t, d, 1, 20)
			synctest.Wait()
			if n := len(e.seen()); n != 1 || !d.Halted() {
				t.Errorf("%d senders: never accepted: %d requests, halted %v", senders, n, d.Halted())
			}
			e.mended.Store(true)
			time.Sleep(2 * time.Minute)
			e.mended.Store(false) // revoked
			before := len(e.seen())
			enqueue(t, d, 21, 3000)
			time.Sleep(5 * time.Second)
			if n := len(e.seen()) - before; n > 2+senders || !d.Halted() {
				t.Errorf("%d senders: revoked: %d requests, halted %v", senders, n, d.Halted())
			}
			time.Sleep(10 * time.Minute)
			if n := len(e.seen()) - before; n > 2+senders+10 {
				t.Errorf("%d senders: halted: %d requests", senders, n)
			}
			if c := d.Counts(); c.Sent != 20 || c.Held != 2980 {
				t.Errorf("%d senders: %+v", senders, c)
			}
			e.mended.Store(true)
			time.Sleep(2 * time.Minute)
			if c := d.Counts(); c.Sent != 3000 {
				t.Errorf("%d senders: good again: %+v", senders, c)
			}
		})
	}
}

// A request that went out before the key was revoked, and is accepted afterwards, does not
// put the blame on the events that were forbidden meanwhile.
func TestLateSuccessBlamesNoEvents(t *testing.T) {
	t.Parallel()
	for _, traffic := range []int{0, 1} { // events each 20 s
		synctest.Test(t, func(t *testing.T) {
			e := &endpoint{answer: func(n int, ids []int) (delivery.Result, error) {
				switch n {
				case 1:
					return ok(len(ids))
				case 2:
					time.Sleep(500 * time.Millisecond)
					return ok(len(ids))
				default:
					time.Sleep(100 * time.Millisecond)
					return status(403)
				}
			}}
			cfg := config(e)
			cfg.MaxAttempts = 1
			d := start(t, cfg)
			enqueue(t, d, 1, 20)
			synctest.Wait()
			enqueue(t, d, 21, 40)
			synctest.Wait()
			enqueue(t, d, 41, 60)
			last := 60
			for range 30 {
				time.Sleep(20 * time.Second)
				enqueue(t, d, last+1, last+traffic)
				last += traffic
			}
			if c := d.Counts(); c.Sent != 40 || c.Held != last-40 {
				t.Errorf("traffic %d: %+v", traffic, c)
			}
		})
	}
}

package klime_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// broker is a Transport of an app.
type broker struct {
	mu     sync.Mutex
	bodies []string
	answer func(n int) (klime.BatchResult, error) // to the n-th request, from 1
}

func (b *broker) Send(_ context.Context, body []byte, _ int) (klime.BatchResult, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bodies = append(b.bodies, string(body))
	if b.answer == nil {
		return klime.BatchResult{}, nil
	}
	return b.answer(len(b.bodies))
}

// An error of a Transport says what it says, also if there is a nil DeliveryError in it.
func TestTransportsError(t *testing.T) {
	t.Parallel()
	bubble(t, func(cfg *klime.Config) {
		cfg.MaxAttempts = 1
		cfg.Transport = &broker{answer: func(int) (klime.BatchResult, error) {
			return klime.BatchResult{}, errors.Join((*klime.DeliveryError)(nil), errors.New("broker away"))
		}}
	}, func(t *testing.T, _ *klimetest.Recorder, c *klime.Client) {
		if _, err := c.TrackSync(t.Context(), "Done", nil, klime.ForUser("u1")); err == nil || !strings.Contains(err.Error(), "broker away") {
			t.Errorf("error %v", err)
		}
	})
}

func TestTransport(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		answer       func(n int) (klime.BatchResult, error)
		requests     int
		sent, failed uint64
		halted       bool
	}{
		{"accepts", nil, 1, 20, 0, false},
		{"fails at first", func(n int) (klime.BatchResult, error) {
			if n < 3 {
				return klime.BatchResult{}, errors.New("broker away")
			}
			return klime.BatchResult{}, nil
		}, 3, 20, 0, false},
		{"refuses for now", func(n int) (klime.BatchResult, error) {
			if n == 1 {
				return klime.BatchResult{}, &klime.DeliveryError{StatusCode: 429, RetryAfter: time.Minute}
			}
			return klime.BatchResult{}, nil
		}, 2, 20, 0, false},
		{"names a bad event", func(int) (klime.BatchResult, error) {
			return klime.BatchResult{Errors: []klime.EventError{{Index: 3, Code: "bad"}}}, nil
		}, 1, 19, 1, false},
		{"refuses the key, at length", func(int) (klime.BatchResult, error) {
			return klime.BatchResult{}, &klime.DeliveryError{StatusCode: 401, Message: strings.Repeat("no ", 1000)}
		}, 2, 0, 0, true},
		{"has no whole answer at first", func(n int) (klime.BatchResult, error) {
			if n == 1 {
				return klime.BatchResult{}, &klime.DeliveryError{StatusCode: 200, Err: io.ErrUnexpectedEOF}
			}
			return klime.BatchResult{}, nil
		}, 2, 20, 0, false},
		{"names a bad event, and an error", func(n int) (klime.BatchResult, error) {
			if n < 3 { // the batch, and the event alone
				named := []klime.EventError{{Index: []int{3, 0}[n-1]}}
				return klime.BatchResult{Errors: named}, &klime.DeliveryError{StatusCode: 207, Err: errors.New("one refused")}
			}
			return klime.BatchResult{}, nil
		}, 3, 19, 1, false},
		{"has a nil DeliveryError", func(int) (klime.BatchResult, error) {
			var failure *klime.DeliveryError
			return klime.BatchResult{}, failure
		}, 1, 20, 0, false},
		{"fails with a nil DeliveryError in the error", func(n int) (klime.BatchResult, error) {
			if n == 1 {
				return klime.BatchResult{}, errors.Join(errors.New("broker away"), (*klime.DeliveryError)(nil))
			}
			return klime.BatchResult{}, nil
		}, 2, 20, 0, false},
		{"names a bad event, at length", func(int) (klime.BatchResult, error) {
			return klime.BatchResult{Errors: []klime.EventError{{Index: 3, Code: strings.Repeat("c", 1000), Message: strings.Repeat("no ", 1000)}}}, nil
		}, 1, 19, 1, false},
		{"panics at first", func(n int) (klime.BatchResult, error) {
			if n == 1 {
				panic("a broker's bug")
			}
			return klime.BatchResult{}, nil
		}, 2, 20, 0, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var o told
				b := &broker{answer: test.answer}
				cfg := klime.Config{Transport: b}
				o.attach(&cfg)
				c, err := klime.New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				trackJane(t, c, 20)
				time.Sleep(100 * time.Second) // a halt is probed once
				synctest.Wait()
				if s := c.Stats(); s.Sent != test.sent || s.Failed != test.failed || s.Halted != test.halted || len(b.bodies) != test.requests {
					t.Errorf("%d requests, stats: %+v", len(b.bodies), s)
				}
				if uint64(len(o.events)) != test.failed || len(o.events) > 0 && o.events[0].Properties["n"] != int64(3) {
					t.Errorf("told of %+v", o.events)
				}
				for _, r := range o.results {
					if len(r.Errors) > 0 && len(r.Errors[0].Code)+len(r.Errors[0].Message) > 700 {
						t.Errorf("result %.1000s", fmt.Sprint(r))
					}
				}
				if text := errors.Join(o.errs...); text != nil && len(text.Error()) > 400 {
					t.Errorf("errors: %v", text)
				}
				_ = c.Shutdown(t.Context())
				checkSum(t, c)
				if body := b.bodies[0]; !strings.HasPrefix(body, `{"batch":[{"type":"track"`) || !strings.HasSuffix(body, `}]}`) {
					t.Errorf("body: %.60s", body)
				}
			})
		})
	}
}

package klime_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// told keeps what the callbacks are given.
type told struct {
	mu      sync.Mutex
	results []klime.BatchResult
	errs    []error
	events  []klime.Event // of the errors
}

func (o *told) attach(c *klime.Config) {
	c.OnSuccess = func(r klime.BatchResult) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.results = append(o.results, r)
	}
	c.OnError = func(err error, events []klime.Event) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.errs = append(o.errs, err)
		o.events = append(o.events, events...)
	}
}

func TestCallbacksOfAPartialFailure(t *testing.T) {
	t.Parallel()
	var o told
	bubble(t, o.attach, func(t *testing.T, recorder *klimetest.Recorder, c *klime.Client) {
		recorder.Fail(klimetest.Reject(4, 7))
		trackJane(t, c, 20)
		synctest.Wait()
		if len(o.results) != 1 || o.results[0].Accepted != 18 || o.results[0].Failed != 2 {
			t.Fatalf("results: %+v", o.results)
		}
		for i, e := range o.results[0].Errors {
			if want := []int64{4, 7}[i]; e.Index != int(want) || e.Event.Properties["n"] != want || e.Event.UserID != "jane" {
				t.Errorf("error %+v", e)
			}
		}
		if len(o.errs) != 1 || len(o.events) != 2 || o.events[1].Properties["n"] != int64(7) {
			t.Errorf("errors %v of %+v", o.errs, o.events)
		}
		var failure *klime.DeliveryError
		if !errors.As(o.errs[0], &failure) || failure.StatusCode != 200 || failure.Message == "" {
			t.Errorf("error: %v", o.errs[0])
		}
	})
}

func TestOnErrorOfAHalt(t *testing.T) {
	t.Parallel()
	var o told
	bubble(t, o.attach, func(t *testing.T, recorder *klimetest.Recorder, c *klime.Client) {
		recorder.Fail(klimetest.Status(401))
		trackJane(t, c, 20)
		synctest.Wait()
		var failure *klime.DeliveryError
		if len(o.errs) != 1 || len(o.events) != 0 || !errors.As(o.errs[0], &failure) || failure.StatusCode != 401 {
			t.Errorf("errors %v of %d events", o.errs, len(o.events))
		}
		if !c.Stats().Halted {
			t.Error("not halted")
		}
		if err := c.Flush(t.Context()); !errors.As(err, &failure) {
			t.Errorf("Flush: %v", err)
		}
		time.Sleep(2 * time.Minute) // the fault is over; a probe finds out
		if s := c.Stats(); s.Halted || s.Sent != 20 {
			t.Errorf("stats: %+v", s)
		}
	})
}

func TestOnErrorOfDrops(t *testing.T) {
	t.Parallel()
	var o told
	change := func(c *klime.Config) {
		o.attach(c)
		c.QueueSize = 100
	}
	bubble(t, change, func(t *testing.T, recorder *klimetest.Recorder, c *klime.Client) {
		for range 100 {
			recorder.Fail(klimetest.Status(503))
		}
		trackJane(t, c, 150)
		synctest.Wait()
		if len(o.events) != 50 || !errors.Is(o.errs[0], klime.ErrQueueFull) {
			t.Errorf("%d events dropped, %v", len(o.events), o.errs)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := c.Shutdown(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(fmt.Sprint(err), "100 events not delivered") {
			t.Errorf("Shutdown: %v", err)
		}
		if len(o.events) != 150 {
			t.Errorf("%d events reported in the end", len(o.events))
		}
		if s := c.Stats(); s.Dropped[klime.DropQueueFull] != 50 || s.Dropped[klime.DropShutdown] != 100 {
			t.Errorf("stats: %+v", s)
		}
	})
}

// Callbacks that panic, or end their goroutine, are called again. The log has one line in
// ten seconds of each.
func TestCallbacksThatDoNotReturn(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(){"panic": func() { panic("the app's bug") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log *syncBuffer
			change := func(c *klime.Config) {
				log = logTo(c)
				c.OnSuccess = func(klime.BatchResult) { end() }
				c.OnError = func(error, []klime.Event) { end() }
			}
			bubble(t, change, func(t *testing.T, recorder *klimetest.Recorder, c *klime.Client) {
				for i := range uint64(5) {
					recorder.Fail(klimetest.Reject(0))
					trackJane(t, c, 2)
					if err := c.Flush(t.Context()); err != nil {
						t.Error(err)
					}
					synctest.Wait()
					if s := c.Stats(); s.Panics != 2*(i+1) {
						t.Errorf("after %d batches: %+v", i+1, s)
					}
				}
				if lines := strings.Count(log.String(), "callback panicked"); lines != 2 {
					t.Errorf("%d lines: %s", lines, log)
				}
			})
		})
	}
}

func TestBeforeSend(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		before func(*klime.Event) bool
		err    error
		event  string // that arrives, "" for none
		user   string
	}{
		{"leaves", func(*klime.Event) bool { return true }, nil, "Report Generated", "jane"},
		{"renames", func(e *klime.Event) bool { e.Event = "Renamed"; return true }, nil, "Renamed", "jane"},
		{"pseudonymises", func(e *klime.Event) bool { e.UserID = "p-1"; return true }, nil, "Report Generated", "p-1"},
		{"drops", func(*klime.Event) bool { return false }, nil, "", ""},
		{"panics", func(*klime.Event) bool { panic("the app's bug") }, nil, "", ""},
		{"takes the identity", func(e *klime.Event) bool { e.UserID = ""; return true }, klime.ErrMissingIdentity, "", ""},
		{"makes it too large", func(e *klime.Event) bool {
			e.Properties["x"] = strings.Repeat("x", 300_000)
			return true
		}, klime.ErrEventTooLarge, "", ""},
		{"makes it of no type", func(e *klime.Event) bool { e.Type = 77; return true }, klime.ErrNotEncodable, "", ""},
		{"makes it unencodable", func(e *klime.Event) bool {
			e.Properties["x"] = func() {}
			return true
		}, klime.ErrNotEncodable, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			change := func(c *klime.Config) { c.BeforeSend = test.before }
			bubble(t, change, func(t *testing.T, recorder *klimetest.Recorder, c *klime.Client) {
				err := c.Track(t.Context(), "Report Generated", klime.Properties{"a": 1}, klime.ForUser("jane"))
				if !errors.Is(err, test.err) {
					t.Errorf("Track: %v", err)
				}
				result, err := c.TrackSync(t.Context(), "Report Generated", klime.Properties{"a": 1}, klime.ForUser("jane"))
				if !errors.Is(err, test.err) || (result.Accepted == 1) != (test.event != "") {
					t.Errorf("TrackSync: %+v, %v", result, err)
				}
				if err := c.Flush(t.Context()); err != nil {
					t.Error(err)
				}
				want := 2
				if test.event == "" {
					want = 0
				}
				events := recorder.Events()
				if len(events) != want {
					t.Errorf("%d events, want %d", len(events), want)
				}
				for _, e := range events {
					if e.Event != test.event || e.UserID != test.user {
						t.Errorf("event: %+v", e)
					}
				}
			})
		})
	}
}

// A BeforeSend that ends its goroutine costs the one event, which is counted: others of a
// roll-up's window are sent, and a Link is sent again later.
func TestBeforeSendThatDoesNotReturn(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(){"panic": func() { panic("the app's bug") }, "Goexit": runtime.Goexit} {
		change := func(c *klime.Config) {
			var ended atomic.Bool
			c.BeforeSend = func(*klime.Event) bool {
				if ended.CompareAndSwap(false, true) {
					end()
				}
				return true
			}
		}
		t.Run(name+" of a roll-up", func(t *testing.T) {
			t.Parallel()
			bubble(t, change, func(t *testing.T, _ *klimetest.Recorder, c *klime.Client) {
				tracker := klime.NewTracker(c, klime.RollUp(time.Minute))
				for range 3 {
					for _, user := range []string{"u1", "u2", "u3", "u4", "u5"} {
						traffic{tracker: tracker}.serve(func(ctx context.Context) { klime.SetUser(ctx, user) })
					}
					if err := c.Flush(t.Context()); err != nil {
						t.Error(err)
					}
				}
				if s := c.Stats(); s.Sent != 14 || s.Dropped[klime.DropBeforeSend] != 1 || s.RollUpKeys != 0 {
					t.Errorf("stats: %+v", s)
				}
				checkSum(t, c)
			})
		})
		t.Run(name+" of a Link", func(t *testing.T) {
			t.Parallel()
			bubble(t, change, func(t *testing.T, _ *klimetest.Recorder, c *klime.Client) {
				for range 2 {
					var link sync.WaitGroup
					link.Go(func() { _ = c.Link(t.Context(), klime.User{ID: "jane"}, klime.Group{ID: "acme"}) })
					link.Wait()
					time.Sleep(2 * time.Minute)
				}
				if s := c.Stats(); s.Sent != 1 || s.Dropped[klime.DropBeforeSend] != 1 {
					t.Errorf("stats: %+v", s)
				}
				checkSum(t, c)
			})
		})
	}
}

// Of what makes an event of its type, BeforeSend can take nothing away.
func TestBeforeSendLeavesAWholeEvent(t *testing.T) {
	t.Parallel()
	change := func(c *klime.Config) {
		c.BeforeSend = func(e *klime.Event) bool {
			e.Type, e.Timestamp, e.MessageID = klime.IdentifyEvent, time.Time{}, ""
			return true
		}
	}
	bubble(t, change, func(t *testing.T, recorder *klimetest.Recorder, c *klime.Client) {
		happened := time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)
		if err := c.Track(t.Context(), "Report Generated", nil, klime.ForUser("jane"), klime.At(happened)); err != nil {
			t.Fatal(err)
		}
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		e := recorder.Events()[0]
		if e.Type != klime.IdentifyEvent || e.Event != "" || !e.Timestamp.Equal(happened) || e.MessageID == "" {
			t.Errorf("sent %+v", e)
		}
	})
}

func TestBeforeSendSeesAllThatIsSent(t *testing.T) {
	t.Parallel()
	var seen []*klime.Event
	change := func(c *klime.Config) {
		c.BeforeSend = func(e *klime.Event) bool { seen = append(seen, e); return true }
	}
	bubble(t, change, func(t *testing.T, recorder *klimetest.Recorder, c *klime.Client) {
		nested := map[string]any{"deep": []any{"a"}}
		properties := klime.Properties{"nested": nested, "big": int64(1<<62 + 1), "half": 0.5}
		if err := c.Track(t.Context(), "Done", properties, klime.ForUser("jane"), klime.WithContext("locale", "de")); err != nil {
			t.Fatal(err)
		}
		e := seen[0]
		if e.MessageID == "" || e.Timestamp.IsZero() || e.Context["locale"] != "de" || e.Context["library"] == nil ||
			e.Properties["big"] != int64(1<<62+1) || e.Properties["half"] != 0.5 {
			t.Errorf("saw %+v", e)
		}
		// The event is its own: what it keeps and changes is neither the
		// caller's nor on its way.
		e.Properties["nested"].(map[string]any)["deep"] = "changed"
		if fmt.Sprint(nested) != "map[deep:[a]]" {
			t.Errorf("the caller's map: %v", nested)
		}
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		sent := recorder.Events()[0]
		if sent.MessageID != e.MessageID || fmt.Sprint(sent.Properties["nested"]) != "map[deep:[a]]" {
			t.Errorf("sent %+v", sent)
		}
	})
}

// Only the caller waits for BeforeSend, and it may call the client.
func TestBeforeSendMayBlockAndTrack(t *testing.T) {
	t.Parallel()
	var c *klime.Client
	change := func(cfg *klime.Config) {
		cfg.BeforeSend = func(e *klime.Event) bool {
			time.Sleep(10 * time.Millisecond)
			if e.Event == "Report Generated" {
				if err := c.Track(context.Background(), "Filtered", nil, klime.ForUser("jane")); err != nil {
					t.Error(err)
				}
			}
			return true
		}
	}
	bubble(t, change, func(t *testing.T, recorder *klimetest.Recorder, client *klime.Client) {
		c = client
		begin := time.Now()
		var calls sync.WaitGroup
		for range 10 {
			calls.Go(func() { trackJane(t, c, 1) })
		}
		calls.Wait()
		if took := time.Since(begin); took != 20*time.Millisecond {
			t.Errorf("ten callers waited for each other: %v", took)
		}
		if err := c.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if n := len(recorder.Events()); n != 20 {
			t.Errorf("%d events", n)
		}
	})
}

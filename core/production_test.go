package klime_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// 503 to the first three requests, 300 events queued, Shutdown at once.
func TestShutdownDeliversAfterAnOutage(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, recorder *klimetest.Recorder, c *klime.Client) {
		recorder.Fail(klimetest.Status(503), klimetest.Status(503), klimetest.Status(503))
		trackJane(t, c, 300)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := c.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		seen := map[any]bool{}
		for _, e := range recorder.Events() {
			seen[e.Properties["n"]] = true
		}
		if len(seen) != 300 || len(recorder.Events()) != 300 || recorder.Repeated() != 0 {
			t.Errorf("%d events of 300, %d repeated", len(seen), recorder.Repeated())
		}
	})
}

// An answer that is lost makes a repeat, by which Klime can know it.
func TestRepeatsCarryTheSameMessageIDs(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, recorder *klimetest.Recorder, c *klime.Client) {
		recorder.Fail(klimetest.Cut(), klimetest.Cut())
		trackJane(t, c, 20)
		time.Sleep(time.Minute)
		if n := len(recorder.Events()); n != 20 || recorder.Repeated() != 40 {
			t.Errorf("%d events, %d repeated", n, recorder.Repeated())
		}
	})
}

// Without a deadline, Shutdown takes ShutdownTimeout at most.
func TestShutdownTimeout(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, recorder *klimetest.Recorder, c *klime.Client) {
		for range 100 {
			recorder.Fail(klimetest.Hang())
		}
		trackJane(t, c, 30)
		begin := time.Now()
		if err := c.Shutdown(context.Background()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v", err)
		}
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("Shutdown took %v", took)
		}
	})
}

// Every event of a thousand goroutines that track while Shutdown runs is
// delivered, or its call says that it is not.
func TestTrackDuringShutdown(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	config := server.Config()
	config.Senders, config.ShutdownTimeout = 2, time.Minute // with -race on a busy machine
	client, err := klime.New(config)
	if err != nil {
		t.Fatal(err)
	}
	var accepted atomic.Int64
	var calls sync.WaitGroup
	for range 1000 {
		calls.Go(func() {
			for {
				switch err := client.Track(t.Context(), "Done", nil, klime.ForUser("jane")); {
				case err == nil:
					accepted.Add(1)
				case errors.Is(err, klime.ErrClosed):
					return
				default:
					t.Error(err)
					return
				}
				runtime.Gosched()
			}
		})
	}
	calls.Go(func() { _ = client.Flush(t.Context()) })
	server.Wait(100)
	shutDown(t, client)
	calls.Wait()
	s := client.Stats()
	if delivered := len(server.Events()); uint64(delivered) != s.Sent {
		t.Errorf("%d events delivered; stats: %+v", delivered, s)
	}
	if n := s.Sent + s.Dropped[klime.DropQueueFull]; n != uint64(accepted.Load()) {
		t.Errorf("%d calls without an error; stats: %+v", accepted.Load(), s)
	}
	checkSum(t, client)
}

// So it is with a small queue, whatever gives way. OnError is told of each drop.
func TestDropsDuringShutdown(t *testing.T) {
	t.Parallel()
	for _, overflow := range []klime.Overflow{klime.DropOldest, klime.DropNewest, klime.Block} {
		for range 10 {
			checkDropsDuringShutdown(t, overflow)
		}
	}
}

func checkDropsDuringShutdown(t *testing.T, overflow klime.Overflow) {
	t.Helper()
	recorder := klimetest.NewRecorder()
	config := recorder.Config()
	config.QueueSize, config.Overflow = 20, overflow
	var told atomic.Uint64
	var first sync.Once
	config.OnError = func(err error, events []klime.Event) { told.Add(uint64(len(events)) + more(err)) }
	delivered := make(chan struct{})
	config.OnSuccess = func(klime.BatchResult) { first.Do(func() { close(delivered) }) }
	client, err := klime.New(config)
	if err != nil {
		t.Fatal(err)
	}
	var tracked atomic.Uint64
	var calls sync.WaitGroup
	for range 16 {
		calls.Go(func() {
			for {
				err := client.Track(t.Context(), "Done", nil, klime.ForUser("jane"))
				if errors.Is(err, klime.ErrClosed) {
					return
				}
				if refused := errors.Is(err, klime.ErrQueueFull); err != nil && (overflow != klime.DropNewest || !refused) {
					t.Error(err)
				}
				tracked.Add(1)
			}
		})
	}
	<-delivered
	shutDown(t, client)
	calls.Wait()
	s := client.Stats()
	dropped := s.Dropped[klime.DropQueueFull]
	if told.Load() != dropped {
		t.Errorf("Overflow %d: told of %d drops; stats: %+v", overflow, told.Load(), s)
	}
	if n := uint64(len(recorder.Events())); n != s.Sent || n+dropped != tracked.Load() {
		t.Errorf("Overflow %d: %d events tracked, %d delivered; stats: %+v", overflow, tracked.Load(), n, s)
	}
	checkSum(t, client)
}

// more returns how many events an error of OnError stands for beside those that come with it.
func more(err error) (n uint64) {
	if _, text, found := strings.Cut(err.Error(), " (and "); found {
		_, _ = fmt.Sscanf(text, "%d more)", &n)
	}
	return n
}

// What comes after Shutdown is counted, by whatever way it comes, and logged now
// and then.
func TestLate(t *testing.T) {
	t.Parallel()
	ways := []struct {
		name   string
		events uint64
		call   func(ctx context.Context, c *klime.Client, t *klime.Tracker) error // nil where nobody is told
	}{
		{"Client.Track", 1, func(ctx context.Context, c *klime.Client, _ *klime.Tracker) error {
			return c.Track(ctx, "Done", nil, klime.ForUser("jane"))
		}},
		{"Client.Identify", 1, func(ctx context.Context, c *klime.Client, _ *klime.Tracker) error {
			return c.Identify(ctx, "jane", nil)
		}},
		{"Client.Link", 1, func(ctx context.Context, c *klime.Client, _ *klime.Tracker) error {
			return c.Link(ctx, klime.User{ID: "jane", Traits: klime.Traits{"name": "Jane"}})
		}},
		{"Client.TrackSync", 1, func(ctx context.Context, c *klime.Client, _ *klime.Tracker) error {
			_, err := c.TrackSync(ctx, "Done", nil, klime.ForUser("jane"))
			return err
		}},
		{"a request", 1, func(_ context.Context, _ *klime.Client, t *klime.Tracker) error {
			traffic{tracker: t}.serve(func(ctx context.Context) { klime.SetUser(ctx, "jane") })
			return klime.ErrClosed
		}},
		{"Track and Link", 3, func(_ context.Context, _ *klime.Client, t *klime.Tracker) error {
			traffic{tracker: t}.serve(func(ctx context.Context) {
				klime.Link(ctx, klime.User{ID: "joe", Traits: klime.Traits{"name": "Joe"}})
				klime.Track(ctx, "Done", nil)
			})
			return klime.ErrClosed
		}},
	}
	for _, rollUp := range []time.Duration{0, time.Minute} {
		var log *syncBuffer
		m := &meter{values: map[string]float64{}}
		change := func(cfg *klime.Config) {
			log = logTo(cfg)
			cfg.MeterProvider = provider{m: m}
		}
		bubble(t, change, func(t *testing.T, _ *klimetest.Recorder, c *klime.Client) {
			var opts []klime.Option
			if rollUp > 0 {
				opts = append(opts, klime.RollUp(rollUp))
			}
			tracker := klime.NewTracker(c, opts...)
			trackJane(t, c, 1)
			shutDown(t, c)
			want := uint64(0)
			for _, way := range ways {
				want += way.events
				if err := way.call(t.Context(), c, tracker); !errors.Is(err, klime.ErrClosed) {
					t.Errorf("%s: %v", way.name, err)
				}
				if s := c.Stats(); s.Late != want || s.Accepted != 1 || s.Invalid != 0 {
					t.Errorf("%s: %d events late, want %d; stats: %+v", way.name, s.Late, want, s)
				}
			}
			_ = c.Track(t.Context(), "", nil, klime.ForUser("jane")) // not valid at any time
			const line = "an event came after Shutdown: end the client after the server"
			if n := strings.Count(log.String(), line); n != 1 {
				t.Errorf("%d log lines: %s", n, log.String())
			}
			time.Sleep(10 * time.Second)
			_ = ways[0].call(t.Context(), c, tracker)
			if text := log.String(); strings.Count(text, line) != 2 || !strings.Contains(text, "total=9") || c.Stats().Late != 9 {
				t.Errorf("after 10 s: %s; stats: %+v", text, c.Stats())
			}
			// A reader that asks while Shutdown is running is told as much.
			m.collect(t)
			if m.values["klime.event.late"] != 9 {
				t.Errorf("measured %v", m.values)
			}
		})
	}
}

// 2000 batches over HTTP/1 take no more connections than there are senders.
func TestConnections(t *testing.T) {
	t.Parallel()
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"status":"ok","accepted":1,"failed":0}`))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	client, err := klime.New(klime.Config{WriteKey: "key", Endpoint: server.URL, BatchSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 2000 {
		trackDone(t, client, "jane")
		if err := client.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	shutDown(t, client)
	if n := connections.Load(); n > 2 {
		t.Errorf("%d connections", n)
	}
}

// In a handler, an automatic event never waits, whatever the policy.
func TestBlockIsForExplicitCalls(t *testing.T) {
	t.Parallel()
	change := func(c *klime.Config) { c.Overflow, c.QueueSize = klime.Block, 10 }
	bubble(t, change, func(t *testing.T, recorder *klimetest.Recorder, c *klime.Client) {
		recorder.Fail(klimetest.Hang(), klimetest.Hang())
		trackJane(t, c, 10)
		begin := time.Now()
		tracker := klime.NewTracker(c)
		scope := tracker.Begin(t.Context())
		klime.SetUser(scope, "jane")
		tracker.Observe(scope, klime.Exchange{Method: http.MethodGet, Route: "/", Status: http.StatusOK, Start: begin})
		if took := time.Since(begin); took != 0 {
			t.Errorf("a request waited %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := c.Track(ctx, "Done", nil, klime.ForUser("jane"))
		if !errors.Is(err, klime.ErrQueueFull) || !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("Track: %v after %v", err, time.Since(begin))
		}
	})
}

// What was passed at the call is sent, whoever changes it right after: under
// -race this fails if the client still looks at it.
func TestCallersReuseTheirMaps(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	client := server.Client()
	inner := map[string]any{"n": 1}
	properties := klime.Properties{"n": 1, "inner": inner}
	if err := client.Track(t.Context(), "Done", properties, klime.ForUser("jane")); err != nil {
		t.Fatal(err)
	}
	var others sync.WaitGroup
	others.Go(func() {
		for i := range 1000 {
			properties["n"], inner["n"] = i+2, i+2
		}
	})
	e := server.Wait(1)[0]
	others.Wait()
	nested, _ := e.Properties["inner"].(map[string]any)
	if e.Properties["n"] != 1.0 || nested["n"] != 1.0 {
		t.Errorf("sent %v", e.Properties)
	}
}

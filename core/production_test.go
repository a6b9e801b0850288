package klime_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
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
	config.Senders = 2
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
	if err := client.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
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
		if err := client.Track(t.Context(), "Done", nil, klime.ForUser("jane")); err != nil {
			t.Fatal(err)
		}
		if err := client.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
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

// soakTime is how long TestSoak runs: 2 s, or what KLIME_SOAK says.
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(os.Getenv("KLIME_SOAK"))
	if err != nil {
		return 2 * time.Second
	}
	return d
}

// Under random faults every event is delivered at least once or reported, and
// the sums are equal in the end. KLIME_SOAK=10m runs it for longer.
func TestSoak(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	server := klimetest.NewServer(t)
	config := server.Config()
	config.Senders, config.RetryDelay, config.Timeout, config.QueueSize = 2, time.Millisecond, 500*time.Millisecond, 2000

	var mu sync.Mutex
	reported := map[string]bool{}
	var untold atomic.Bool
	config.OnError = func(err error, events []klime.Event) {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range events {
			reported[fmt.Sprint(e.Properties["n"])] = true
		}
		if len(events) == 0 {
			untold.Store(true) // a halt, or more than could be kept to tell
		}
		_ = err
	}
	client, err := klime.New(config)
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(soakTime(t))
	var tracked atomic.Int64
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for time.Now().Before(deadline) {
				for range 50 {
					n := strconv.FormatInt(tracked.Add(1), 10)
					if err := client.Track(t.Context(), "Done", klime.Properties{"n": n}, klime.ForUser("jane")); err != nil {
						t.Error(err)
					}
				}
				time.Sleep(20 * time.Millisecond) // the rate of an app; nothing is timed by it
			}
		})
	}
	for time.Now().Before(deadline) {
		faults := []klimetest.Fault{
			klimetest.Status(500), klimetest.Status(503), klimetest.Status(400), klimetest.Status(429),
			klimetest.Hang(), klimetest.Cut(), klimetest.Reject(random.IntN(20)),
		}
		server.Heal()
		server.Fail(faults[random.IntN(len(faults))])
		time.Sleep(time.Duration(random.IntN(100)) * time.Millisecond)
	}
	server.Heal()
	running.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := client.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	checkSum(t, client)
	s := client.Stats()
	delivered := map[string]bool{}
	for _, e := range server.Events() {
		delivered[fmt.Sprint(e.Properties["n"])] = true
	}
	lost := 0
	for n := range tracked.Load() {
		id := strconv.FormatInt(n+1, 10)
		if !delivered[id] && !reported[id] {
			lost++
		}
	}
	if lost > 0 && !untold.Load() || s.Accepted != uint64(tracked.Load()) {
		t.Errorf("%d events neither delivered nor reported; tracked %d, stats: %+v", lost, tracked.Load(), s)
	}
	t.Logf("tracked %d, delivered %d, reported %d, lost %d, repeated %d, stats %+v",
		tracked.Load(), len(delivered), len(reported), lost, server.Repeated(), s)
}

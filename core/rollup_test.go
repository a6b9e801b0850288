package klime_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

// usageOf is the roll-ups among events, as "user/group method route count
// clientErrors serverErrors".
func usageOf(events []map[string]any) []string {
	var lines []string
	for _, e := range events {
		if e["event"] != "API Usage Recorded" {
			continue
		}
		p := e["properties"].(map[string]any)
		lines = append(lines, fmt.Sprintf("%s %v %v %v %v %v", who(e), p["method"], p["route"], p["count"], p["clientErrors"], p["serverErrors"]))
	}
	slices.Sort(lines)
	return lines
}

// countOf adds up what roll-ups and single events stand for.
func countOf(events []map[string]any) int {
	n := 0
	for _, e := range events {
		switch e["event"] {
		case "API Usage Recorded":
			n += int(e["properties"].(map[string]any)["count"].(float64))
		case "API Called":
			n++
		}
	}
	return n
}

// A length that a client claims does not make a sum negative.
func TestRollUpOfHugeLengths(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	tracker := klime.NewTracker(client, asUser("u1"), klime.RollUp(time.Minute))
	for _, length := range []int64{math.MaxInt64, math.MaxInt64, 1, -1} {
		traffic{tracker: tracker, exchange: klime.Exchange{RequestBytes: length, ResponseBytes: length}}.serve(nil)
	}
	p := wire.one(t, client)["properties"].(map[string]any)
	for _, key := range []string{"requestBytes", "responseBytes"} {
		if p[key] != float64(math.MaxInt64) {
			t.Errorf("%s %v", key, p[key])
		}
	}
}

// gRPC answers with a status of 200 even if a call has failed. What its own status may say is
// from https://grpc.io/docs/guides/status-codes; whose fault that is, from OpenTelemetry's
// conventions for spans of a server.
func TestRollUpOfGRPC(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	tracker := klime.NewTracker(client, asUser("u1"), klime.RollUp(time.Minute))
	statuses := []string{"00", "03", "17", "x"}
	for status := range 17 {
		statuses = append(statuses, strconv.Itoa(status))
	}
	for _, status := range statuses {
		x := klime.Exchange{Method: "POST", Route: "/grpc", Status: 200, ContentType: "application/grpc", GRPCStatus: status}
		traffic{tracker: tracker, exchange: x}.serve(nil)
	}
	traffic{tracker: tracker, exchange: klime.Exchange{Method: "POST", Route: "/grpc", Status: 503, GRPCStatus: "0"}}.serve(nil)
	if got, want := usageOf(wire.events(t, client)), []string{"u1/ POST /grpc 22 11 9"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A handler may write anything as its status.
func TestGRPCStatus(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]any{"": nil, "0": 0.0, "16": 16.0, "255": 255.0, "256": nil, "-1": nil, "x": nil, `"}`: nil} {
		client, wire := newClient(t)
		x := klime.Exchange{Status: 200, ContentType: "application/grpc", GRPCStatus: text}
		traffic{tracker: klime.NewTracker(client, asUser("u1")), exchange: x}.serve(nil)
		if got := wire.one(t, client)["properties"].(map[string]any)["grpcStatus"]; got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// A size that no request had is left out, as in the event of a single request.
func TestRollUpOfUnknownLengths(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		lengths []int64
		want    any
	}{{[]int64{-1, -1}, nil}, {[]int64{-1, 0}, 0.0}, {[]int64{-1, 3, -1}, 3.0}} {
		client, wire := newClient(t)
		tracker := klime.NewTracker(client, asUser("u1"), klime.RollUp(time.Minute))
		for _, length := range test.lengths {
			traffic{tracker: tracker, exchange: klime.Exchange{RequestBytes: length, ResponseBytes: length}}.serve(nil)
		}
		p := wire.one(t, client)["properties"].(map[string]any)
		for _, key := range []string{"requestBytes", "responseBytes"} {
			if p[key] != test.want {
				t.Errorf("%v: %s %v, want %v", test.lengths, key, p[key], test.want)
			}
		}
	}
}

// A route that is not known is left out.
func TestRollUpWithoutARoute(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	traffic{tracker: klime.NewTracker(client, asUser("u1"), klime.RollUp(time.Minute)), exchange: klime.Exchange{Route: "no slash"}}.serve(nil)
	p := wire.one(t, client)["properties"].(map[string]any)
	if route, there := p["route"]; there || p["count"] != 1.0 {
		t.Errorf("route %v, count %v", route, p["count"])
	}
}

// One event for each user, group, method and route in a window.
func TestRollUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, wire := newClient(t)
		tracker := klime.NewTracker(client, klime.RollUp(time.Minute))
		start := time.Now() // midnight, in a bubble
		request := func(user, group string, x klime.Exchange) {
			x.Start = time.Now()
			traffic{tracker: tracker, exchange: x}.serve(func(ctx context.Context) {
				klime.SetUser(ctx, user)
				klime.SetGroup(ctx, group)
				time.Sleep(10 * time.Millisecond)
			})
		}
		time.Sleep(20 * time.Second)
		for i := range 10 {
			request("u1", "g1", klime.Exchange{RequestBytes: 10, ResponseBytes: int64(i)})
		}
		request("u1", "g1", klime.Exchange{Status: 404, RequestBytes: -1, ResponseBytes: -1})
		request("u1", "g1", klime.Exchange{Panicked: true})
		request("u1", "g1", klime.Exchange{Aborted: true})
		request("u1", "g2", klime.Exchange{})                                        // another company of the same user
		request("u2", "g1", klime.Exchange{})                                        // another user of the same company
		request("u1", "g1", klime.Exchange{Method: "GET"})                           // another method
		request("u1", "g1", klime.Exchange{Route: "/orgs/{org}"})                    // another route
		request("u1", "g1", klime.Exchange{Method: "GET", ContentType: "text/html"}) // a page
		request("u1", "g1", klime.Exchange{Status: 101})                             // a stream
		request("u1", "g1", klime.Exchange{Status: 101, Panicked: true})             // one that breaks
		last := time.Now()
		if got := wire.events(t, client); len(usageOf(got)) == 0 {
			t.Error("Flush does not send what was counted")
		}
		request("u1", "g1", klime.Exchange{})
		time.Sleep(time.Minute) // the window ends, and FlushInterval
		synctest.Wait()
		wire.mu.Lock()
		events := slices.Clone(wire.accepted)
		wire.mu.Unlock()
		want := []string{
			"u1/g1 GET /reports 1 0 0", "u1/g1 POST /orgs/{org} 1 0 0", "u1/g1 POST /reports 1 0 0", "u1/g1 POST /reports 13 1 1",
			"u1/g2 POST /reports 1 0 0", "u2/g1 POST /reports 1 0 0",
		}
		if got := usageOf(events); !slices.Equal(got, want) {
			t.Errorf("usage\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
		if got := countOf(events); got != 20 { // streams are sent by themselves
			t.Errorf("%d requests counted, want 20", got)
		}
		for _, e := range events {
			p := e["properties"].(map[string]any)
			if p["count"] != 13.0 {
				continue
			}
			for key, want := range map[string]any{
				"aborted": 1.0, "requestBytes": 100.0, "responseBytes": 45.0, "durationMsAvg": 10.0, "durationMsMax": 10.0,
				"windowStart": start.UTC().Format("2006-01-02T15:04:05.000Z"), "windowSeconds": 60.0,
			} {
				if p[key] != want {
					t.Errorf("%s is %v, want %v", key, p[key], want)
				}
			}
			for _, key := range []string{"durationMsP50", "durationMsP95"} {
				if ms, ok := p[key].(float64); !ok || ms < 9.5 || ms > 10 {
					t.Errorf("%s is %v, want about 10", key, p[key])
				}
			}
			if at, err := time.Parse(time.RFC3339, e["timestamp"].(string)); err != nil || at.Before(start.Add(20*time.Second)) || at.After(last) {
				t.Errorf("timestamp %v", e["timestamp"])
			}
			if _, traced := e["context"].(map[string]any)["trace"]; traced {
				t.Error("a roll-up has a trace")
			}
		}
	})
}

// Whatever goes on meanwhile, the counts add up to the requests seen: windows
// that end, Flush, too many keys, a queue that is too small for a burst,
// Shutdown.
func TestRollUpsAddUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		wire := &wire{}
		client, err := klime.New(klime.Config{WriteKey: "key", HTTPClient: &http.Client{Transport: wire}, QueueSize: 500})
		if err != nil {
			t.Fatal(err)
		}
		tracker := klime.NewTracker(client, klime.RollUp(time.Second))
		const goroutines, each = 8, 5000
		var running sync.WaitGroup
		for g := range goroutines {
			running.Go(func() {
				random := rand.New(rand.NewPCG(uint64(g), 1))
				for range each {
					traffic{tracker: tracker}.serve(func(ctx context.Context) { klime.SetUser(ctx, fmt.Sprint("u", random.IntN(20_000))) })
					if random.IntN(50) == 0 {
						time.Sleep(50 * time.Millisecond)
					}
					if random.IntN(2000) == 0 {
						if err := client.Flush(t.Context()); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		running.Wait()
		shutDown(t, client)
		traffic{tracker: tracker}.serve(func(ctx context.Context) { klime.SetUser(ctx, "late") })
		synctest.Wait()
		if got := countOf(wire.accepted); got != goroutines*each {
			t.Errorf("%d requests counted, want %d; %+v", got, goroutines*each, client.Stats())
		}
		if n := len(wire.accepted); n >= goroutines*each {
			t.Errorf("%d events for as many requests", n)
		}
	})
}

// A window with too many keys is sent early.
func TestRollUpWithManyKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, wire := newClient(t, func(cfg *klime.Config) { cfg.QueueSize = 20_000 })
		tracker := klime.NewTracker(client, klime.RollUp(time.Hour))
		for i := range 10_001 {
			traffic{tracker: tracker}.serve(func(ctx context.Context) { klime.SetUser(ctx, fmt.Sprint("u", i)) })
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		wire.mu.Lock()
		early := len(wire.accepted)
		wire.mu.Unlock()
		if early != 10_000 {
			t.Errorf("%d events long before the window ends, want 10000", early)
		}
		if got := countOf(wire.events(t, client)); got != 10_001 {
			t.Errorf("%d requests counted", got)
		}
	})
}

// Who could never fit an event is refused at once, as in the event of a single request.
func TestRollUpOfAnEndlessID(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]klime.Option{"single": nil, "rolled up": {klime.RollUp(time.Hour)}} {
		client, wire := newClient(t)
		tracker := klime.NewTracker(client, append(opts, asUser("u1"), klime.ResolveGroup(answerWith(strings.Repeat("g", 300_000))))...)
		for range 2 {
			traffic{tracker: tracker}.serve(nil)
		}
		if s := client.Stats(); s.Invalid != 2 || s.RollUpKeys != 0 {
			t.Errorf("%s: Stats %+v", name, s)
		}
		if events := wire.events(t, client); len(events) != 0 {
			t.Errorf("%s: %q", name, summary(events))
		}
	}
}

// A window whose keys are long is sent early, too.
func TestRollUpWithLongKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, wire := newClient(t)
		tracker := klime.NewTracker(client, klime.RollUp(time.Hour))
		long := strings.Repeat("u", 100_000)
		request := func(i int) {
			traffic{tracker: tracker}.serve(func(ctx context.Context) { klime.SetUser(ctx, fmt.Sprint(long, i)) })
		}
		for range 2 {
			for i := range 41 { // 4 MiB
				request(i)
			}
		}
		if s := client.Stats(); s.RollUpKeys != 41 {
			t.Errorf("Stats %+v", s)
		}
		request(41)
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := client.Stats(); s.RollUpKeys != 1 || s.Sent != 41 {
			t.Errorf("Stats %+v", s)
		}
		if got := countOf(wire.events(t, client)); got != 83 {
			t.Errorf("%d requests counted", got)
		}
	})
}

// Long keys that wait in an outage take no more memory than 16 full windows do, and only what is
// beyond that is lost. Those of users who call in each window take no more however long it lasts.
func TestRollUpWithLongKeysDuringAnOutage(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("u", 100_000)
	for name, tt := range map[string]struct{ users, minutes, most int }{
		"others":   {30, 30, (16 * 4 << 20) / 100_000},
		"the same": {0, 10, 3 * 30},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client, wire := newClient(t, func(cfg *klime.Config) { cfg.QueueBytes = 1 << 20 })
				wire.answers(always(http.StatusServiceUnavailable, "down"))
				tracker := klime.NewTracker(client, klime.RollUp(time.Minute))
				for minute := range tt.minutes {
					for i := range 30 {
						id := fmt.Sprint(long, minute*tt.users+i)
						traffic{tracker: tracker}.serve(func(ctx context.Context) { klime.SetUser(ctx, id) })
					}
					time.Sleep(time.Minute)
				}
				s := client.Stats()
				if s.RollUpKeys > tt.most {
					t.Errorf("Stats %+v", s)
				}
				wire.answers(nil)
				time.Sleep(time.Minute)
				got, lost := countOf(wire.events(t, client)), client.Stats().Dropped[klime.DropQueueFull]
				if lost == 0 != (tt.users == 0) || uint64(got)+lost != uint64(30*tt.minutes) {
					t.Errorf("%d requests counted, %d lost", got, lost)
				}
				if full := 4 << 20 / 100_000; lost > uint64(30*tt.minutes-tt.most+2*full) {
					t.Errorf("%d requests lost, more than have to give way", lost)
				}
			})
		})
	}
}

// Keys that come faster than their events can be made are not kept: further requests have
// events of their own.
func TestRollUpOfTooMuchToKeep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		client, _ := newClient(t, func(cfg *klime.Config) {
			cfg.BeforeSend = func(e *klime.Event) bool {
				if e.Event == "API Usage Recorded" {
					<-goOn
				}
				return true
			}
		})
		tracker := klime.NewTracker(client, klime.RollUp(time.Hour), klime.Sample(0)) // what is refused is not sampled
		long := strings.Repeat("u", 100_000)
		const users, most = 750, (16 * 4 << 20) / 100_000
		for i := range users {
			traffic{tracker: tracker}.serve(func(ctx context.Context) { klime.SetUser(ctx, fmt.Sprint(long, i)) })
			time.Sleep(time.Millisecond)
		}
		if s := client.Stats(); s.RollUpKeys > most || s.Accepted < users-most {
			t.Errorf("Stats %+v", s)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := client.Shutdown(ctx)
		close(goOn)
		if s := client.Stats(); s.Accepted != users || s.Sent+s.Dropped[klime.DropShutdown] != users {
			t.Errorf("Shutdown: %v; %+v", err, s)
		}
	})
}

// A request after Shutdown is counted as late, whether or not others would be sampled.
func TestRollUpAfterShutdown(t *testing.T) {
	t.Parallel()
	for _, opts := range [][]klime.Option{nil, {klime.Sample(0)}} {
		client, _ := newClient(t)
		opts = append(opts, asUser("u1"), klime.RollUp(time.Hour))
		before := klime.NewTracker(client, opts...)
		shutDown(t, client)
		_ = client.Flush(t.Context())                                                 // which does not begin the counting again
		after := klime.NewTracker(client, append(opts, klime.RollUp(time.Minute))...) // of windows that there were not
		traffic{tracker: before}.serve(nil)
		traffic{tracker: after}.serve(nil)
		if s := client.Stats(); s.Late != 2 || s.RollUpKeys != 0 {
			t.Errorf("%d options: Stats %+v", len(opts), s)
		}
	}
}

// downs are answers of Klime in an outage: with one it is tried again before long, with
// the other sending is halted.
func downs() map[string]int {
	return map[string]int{"backoff": http.StatusServiceUnavailable, "halted": http.StatusUnauthorized}
}

// During an outage what is counted waits for room; it does not push out what the
// app tracks, and memory stays bounded.
func TestRollUpDuringAnOutage(t *testing.T) {
	t.Parallel()
	for name, status := range downs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client, wire := newClient(t, func(cfg *klime.Config) { cfg.QueueSize = 100 })
				wire.answers(always(status, "down"))
				tracker := klime.NewTracker(client, klime.RollUp(time.Minute))
				trackDone(t, client, "u1")
				for i := range 200 {
					traffic{tracker: tracker}.serve(func(ctx context.Context) { klime.SetUser(ctx, fmt.Sprint("u", i)) })
				}
				time.Sleep(90 * time.Second) // the window has ended: 80 are queued, the others wait
				if s := client.Stats(); s.Queued != 81 || s.Dropped[klime.DropQueueFull] != 0 {
					t.Errorf("Stats %+v", s)
				}
				wire.answers(nil)
				time.Sleep(time.Minute)
				if got := countOf(wire.events(t, client)); got != 200 {
					t.Errorf("%d requests counted", got)
				}
			})
		})
	}
}

// However long an outage lasts, who calls in each window takes no more memory, and
// every request is counted.
func TestRollUpDuringALongOutage(t *testing.T) {
	t.Parallel()
	for name, status := range downs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client, wire := newClient(t, func(cfg *klime.Config) { cfg.QueueSize = 100 })
				wire.answers(always(status, "down"))
				tracker := klime.NewTracker(client, klime.RollUp(time.Minute))
				start := time.Now()
				const users, minutes = 150, 300
				for range minutes {
					for i := range users {
						traffic{tracker: tracker, exchange: klime.Exchange{RequestBytes: 10}}.serve(func(ctx context.Context) { klime.SetUser(ctx, fmt.Sprint("u", i)) })
					}
					time.Sleep(time.Minute)
				}
				if s := client.Stats(); s.RollUpKeys > 3*users || s.Dropped[klime.DropQueueFull] != 0 {
					t.Errorf("Stats %+v", s)
				}
				wire.answers(nil)
				time.Sleep(time.Minute)
				events := wire.events(t, client)
				if got := countOf(events); got != users*minutes {
					t.Errorf("%d requests counted, want %d", got, users*minutes)
				}
				var bytes float64
				for _, e := range events {
					p := e["properties"].(map[string]any)
					bytes += p["requestBytes"].(float64)
					from, err := time.Parse(time.RFC3339, p["windowStart"].(string))
					if err != nil {
						t.Fatal(err)
					}
					to := from.Add(time.Duration(p["windowSeconds"].(float64) * float64(time.Second)))
					at, err := time.Parse(time.RFC3339, e["timestamp"].(string))
					if err != nil {
						t.Fatal(err)
					}
					if from.Before(start) || at.Before(from) || at.After(to) {
						t.Fatalf("at %v, of the window from %v to %v", at, from, to)
					}
					if p["count"].(float64) > to.Sub(from).Minutes() {
						t.Fatalf("%v requests from %v to %v", p["count"], from, to)
					}
				}
				if bytes != 10*users*minutes {
					t.Errorf("%v bytes", bytes)
				}
			})
		})
	}
}

// callBy makes a request by a user.
func callBy(tracker *klime.Tracker, user int) {
	traffic{tracker: tracker}.serve(func(ctx context.Context) { klime.SetUser(ctx, fmt.Sprint("u", user)) })
}

// However many users call in an outage, if a window holds them all, and however often the app calls Flush, each key takes
// the memory of three windows at most, and every request is counted.
func TestRollUpOfManyDuringALongOutage(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ users, each, minutes, flushes int }{
		"others in each window": {3000, 2000, 30, 0},
		"flushed often":         {150, 150, 5, 60},
	} {
		for down, status := range downs() {
			t.Run(name+", "+down, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					client, wire := newClient(t, func(cfg *klime.Config) { cfg.QueueSize = 100 })
					wire.answers(always(status, "down"))
					tracker := klime.NewTracker(client, klime.RollUp(time.Minute))
					flush := func() {
						ctx, cancel := context.WithTimeout(t.Context(), time.Second)
						defer cancel()
						_ = client.Flush(ctx)
					}
					want := 0
					for minute := range tt.minutes {
						for range max(tt.flushes, 1) {
							for i := range tt.each {
								callBy(tracker, (minute*700+i)%tt.users)
								want++
							}
							if tt.flushes > 0 {
								flush()
							}
							time.Sleep(time.Second)
						}
						time.Sleep(time.Minute)
					}
					if s := client.Stats(); s.RollUpKeys > 3*tt.users || s.Dropped[klime.DropQueueFull] != 0 {
						t.Errorf("Stats %+v", s)
					}
					wire.answers(nil)
					time.Sleep(time.Minute)
					if got := countOf(wire.events(t, client)); got != want {
						t.Errorf("%d requests counted, want %d", got, want)
					}
				})
			})
		}
	}
}

// Of long windows an outage blurs no more than it must: two that wait stay as they are, the
// one that goes on says for how long, and is sent as soon as Klime is back.
func TestRollUpOfDaysDuringAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, wire := newClient(t, func(cfg *klime.Config) { cfg.QueueSize = 10 })
		wire.answers(always(http.StatusUnauthorized, "down"))
		tracker := klime.NewTracker(client, klime.RollUp(24*time.Hour))
		start := time.Now() // midnight, in a bubble
		const users = 20
		callFor := func(hours int) {
			for range hours {
				for i := range users {
					callBy(tracker, i)
				}
				time.Sleep(time.Hour)
			}
		}
		callFor(3*24 + 2)
		wire.answers(nil)
		time.Sleep(2 * time.Minute)
		if s := client.Stats(); s.RollUpKeys != 0 {
			t.Errorf("what waited is not sent when Klime is back: Stats %+v", s)
		}
		callFor(3)
		counts := map[string]int{}
		for _, e := range wire.events(t, client) {
			p := e["properties"].(map[string]any)
			from, err := time.Parse(time.RFC3339, p["windowStart"].(string))
			if err != nil {
				t.Fatal(err)
			}
			counts[fmt.Sprintf("%v hours from %v", p["windowSeconds"].(float64)/3600, from.Sub(start).Hours())] += int(p["count"].(float64))
		}
		want := map[string]int{
			"24 hours from 0": 24 * users, "24 hours from 24": 24 * users, "48 hours from 48": 26 * users, "24 hours from 72": 3 * users,
		}
		if !maps.Equal(counts, want) {
			t.Errorf("requests by window: %v, want %v", counts, want)
		}
	})
}

// What Shutdown gives up in an outage includes the window that goes on.
func TestRollUpGivenUpAfterALongOutage(t *testing.T) {
	t.Parallel()
	for name, status := range downs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				told := 0
				client, wire := newClient(t, func(cfg *klime.Config) {
					cfg.QueueSize = 100
					cfg.OnError = func(_ error, events []klime.Event) {
						for i := range events {
							told += int(events[i].Properties["count"].(int64))
						}
					}
				})
				wire.answers(always(status, "down"))
				tracker := klime.NewTracker(client, klime.RollUp(time.Minute))
				const users, minutes = 200, 10
				for range minutes {
					for i := range users {
						callBy(tracker, i)
					}
					time.Sleep(time.Minute)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				err := client.Shutdown(ctx)
				if want := fmt.Sprint(3*users, " events not delivered"); !strings.Contains(fmt.Sprint(err), want) {
					t.Errorf("Shutdown: %v, want %s", err, want)
				}
				if told != users*minutes {
					t.Errorf("%d requests reported, want %d; %+v", told, users*minutes, client.Stats())
				}
			})
		})
	}
}

// A burst of far more keys than a window holds is sent, if Klime is there.
func TestRollUpOfABurst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, wire := newClient(t)
		tracker := klime.NewTracker(client, klime.RollUp(time.Minute))
		const users = 60_000
		for i := range users {
			traffic{tracker: tracker}.serve(func(ctx context.Context) { klime.SetUser(ctx, fmt.Sprint("u", i)) })
		}
		if got := countOf(wire.events(t, client)); got != users {
			t.Errorf("%d requests counted, want %d: %+v", got, users, client.Stats())
		}
	})
}

// What was counted waits for room in a full queue, also at Shutdown, and that makes
// its attempt at once all the same. What the app tracks meanwhile is refused.
func TestRollUpAtShutdownWithAFullQueue(t *testing.T) {
	t.Parallel()
	for name, status := range downs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client, wire := newClient(t, func(cfg *klime.Config) { cfg.QueueSize, cfg.RetryDelay = 10, time.Minute })
				wire.answers(always(status, "down"))
				tracker := klime.NewTracker(client, asUser("u1"), klime.RollUp(time.Hour))
				for range 8 { // all of the room that there is for requests
					traffic{tracker: tracker, exchange: klime.Exchange{Status: 101}}.serve(nil)
				}
				for range 2 {
					trackDone(t, client, "u1")
				}
				time.Sleep(5 * time.Second) // and the first attempt has failed
				traffic{tracker: tracker}.serve(nil)
				var late error
				wire.answers(func(int) (int, string) { // Klime is back
					late = client.Track(t.Context(), "Done", nil, klime.ForUser("u1"))
					return http.StatusOK, ""
				})
				begin := time.Now()
				if err := client.Shutdown(t.Context()); err != nil || time.Since(begin) > time.Second {
					t.Errorf("Shutdown: %v, after %v", err, time.Since(begin))
				}
				if got := wire.accepted; len(got) != 11 || len(usageOf(got)) != 1 {
					t.Errorf("%d events, of which usage %v; %+v", len(got), usageOf(got), client.Stats())
				}
				if !errors.Is(late, klime.ErrClosed) || client.Stats().Late == 0 {
					t.Errorf("Track during Shutdown: %v; %d late", late, client.Stats().Late)
				}
			})
		})
	}
}

// What Shutdown gives up because there was never room for it is in its error, its counter
// and its report, as is what was in the queue.
func TestRollUpGivenUpAtShutdown(t *testing.T) {
	t.Parallel()
	for name, status := range downs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, users := range []int{50, 500, 5000} {
				synctest.Test(t, func(t *testing.T) {
					told := 0
					client, wire := newClient(t, func(cfg *klime.Config) {
						cfg.QueueSize = 100
						cfg.OnError = func(err error, events []klime.Event) {
							if len(events) == 0 { // a halt
								return
							}
							told += len(events)
							if want := fmt.Sprint(users, " events not delivered"); !strings.Contains(err.Error(), want) {
								t.Errorf("OnError: %v", err)
							}
						}
					})
					wire.answers(always(status, "down"))
					tracker := klime.NewTracker(client, klime.RollUp(time.Hour))
					for i := range users {
						traffic{tracker: tracker}.serve(func(ctx context.Context) { klime.SetUser(ctx, fmt.Sprint("u", i)) })
					}
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					err := client.Shutdown(ctx)
					if want := fmt.Sprint(users, " events not delivered"); !strings.Contains(fmt.Sprint(err), want) {
						t.Errorf("Shutdown: %v, want %s", err, want)
					}
					s := client.Stats()
					if s.Dropped[klime.DropShutdown] != uint64(users) || s.Accepted != uint64(users) || s.Dropped[klime.DropQueueFull] != 0 {
						t.Errorf("Stats of %d users: %+v", users, s)
					}
					if want := min(users, 80+1000); told != want {
						t.Errorf("%d events reported, want %d", told, want)
					}
				})
			}
		})
	}
}

// A BeforeSend that is slow, or hangs, holds up neither Flush nor Shutdown beyond
// their time. What was not queued then is counted.
func TestRollUpWithASlowBeforeSend(t *testing.T) {
	t.Parallel()
	const users = 500
	for name, beforeSend := range map[string]func(end <-chan struct{}){
		"hangs": func(end <-chan struct{}) { <-end },
		"slow": func(end <-chan struct{}) {
			select {
			case <-time.After(20 * time.Millisecond):
			case <-end:
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				end := make(chan struct{})
				client, wire := newClient(t, func(cfg *klime.Config) {
					cfg.BeforeSend = func(*klime.Event) bool { beforeSend(end); return true }
				})
				tracker := klime.NewTracker(client, klime.RollUp(time.Hour))
				for i := range users {
					traffic{tracker: tracker}.serve(func(ctx context.Context) { klime.SetUser(ctx, fmt.Sprint("u", i)) })
				}
				within := func(what string, call func(context.Context) error) error {
					cause := errors.New("the deploy is over")
					ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
					defer cancel()
					begin := time.Now()
					err := call(ctx)
					if took := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || took > 1500*time.Millisecond {
						t.Errorf("%s of 1 s: %v, after %v", what, err, took)
					}
					if !errors.Is(err, cause) {
						t.Errorf("%s: %v, without the cause", what, err)
					}
					return err
				}
				_ = within("Flush", client.Flush)
				err := within("Shutdown", client.Shutdown)
				s := client.Stats()
				if lost := s.Dropped[klime.DropShutdown]; lost == 0 || s.Sent+lost != users || s.Accepted != users ||
					!strings.Contains(fmt.Sprint(err), fmt.Sprint(lost, " events not delivered")) {
					t.Errorf("Shutdown: %v; %+v", err, s)
				}
				if again := client.Shutdown(t.Context()); fmt.Sprint(again) != fmt.Sprint(err) {
					t.Errorf("again: %v", again)
				}
				close(end)
				synctest.Wait()
				if got := countOf(wire.accepted); uint64(got) != s.Sent {
					t.Errorf("%d requests counted, sent %d", got, s.Sent)
				}
				if late := client.Stats().Late; late != 0 {
					t.Errorf("%d of the lost counted as late, too", late)
				}
			})
		})
	}
}

// A Flush that ends early costs nothing: what was counted goes on waiting. During a halt
// it ends at once.
func TestRollUpAfterAFlushThatEnds(t *testing.T) {
	t.Parallel()
	for name, status := range downs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client, wire := newClient(t, func(cfg *klime.Config) { cfg.QueueSize = 100 })
				wire.answers(always(status, "down"))
				tracker := klime.NewTracker(client, klime.RollUp(time.Hour))
				for i := range 200 {
					traffic{tracker: tracker}.serve(func(ctx context.Context) { klime.SetUser(ctx, fmt.Sprint("u", i)) })
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				begin, failure := time.Now(), (*klime.DeliveryError)(nil)
				err, took := client.Flush(ctx), time.Since(begin)
				if !errors.As(err, &failure) || failure.StatusCode != status || errors.Is(err, context.DeadlineExceeded) == (took == 0) {
					t.Errorf("Flush: %v, after %v", err, took)
				}
				if halted := client.Stats().Halted; halted != (took == 0) {
					t.Errorf("halted %v, but Flush took %v", halted, took)
				}
				wire.answers(nil)
				time.Sleep(time.Minute)
				if got := countOf(wire.events(t, client)); got != 200 {
					t.Errorf("%d requests counted: %+v", got, client.Stats())
				}
			})
		})
	}
}

// A BeforeSend that hangs is not called again once Shutdown has given up.
func TestRollUpGivenUpAsksNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang, asked := make(chan struct{}), 0
		client, _ := newClient(t, func(cfg *klime.Config) {
			cfg.BeforeSend = func(*klime.Event) bool {
				asked++
				<-hang
				return true
			}
		})
		tracker := klime.NewTracker(client, klime.RollUp(time.Minute))
		callBy(tracker, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = client.Flush(ctx)
		callBy(tracker, 2)
		if err := client.Shutdown(ctx); err == nil {
			t.Error("Shutdown has given up nothing")
		}
		close(hang)
		synctest.Wait()
		if asked != 1 {
			t.Errorf("BeforeSend was asked %d times", asked)
		}
	})
}

// A BeforeSend that flushes waits for itself, but not for ever.
func TestRollUpWithABeforeSendThatFlushes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var client *klime.Client
		client, wire := newClient(t, func(cfg *klime.Config) {
			cfg.BeforeSend = func(*klime.Event) bool { _ = client.Flush(t.Context()); return true }
		})
		traffic{tracker: klime.NewTracker(client, asUser("u1"), klime.RollUp(time.Hour))}.serve(nil)
		_ = client.Flush(t.Context())
		time.Sleep(time.Minute)
		if got := countOf(wire.events(t, client)); got != 1 {
			t.Errorf("%d requests counted", got)
		}
	})
}

func BenchmarkRollUp(b *testing.B) {
	client, _ := newClient(b)
	tracker := klime.NewTracker(client, asUser("u1"), klime.RollUp(time.Minute))
	request := traffic{tracker: tracker, native: struct{}{}}
	b.ReportAllocs()
	for b.Loop() {
		request.serve(nil)
	}
}

// However long the app takes to say whose a request was, it counts where it is counted:
// its event does not lie before the window.
func TestRollUpWithASlowResolver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, wire := newClient(t)
		slow := func(native any) any { time.Sleep(native.(time.Duration)); return "u1" }
		tracker := klime.NewTracker(client, klime.ResolveUser(slow), klime.RollUp(time.Minute))
		serve := func(delay time.Duration) {
			x := klime.Exchange{Method: "GET", Route: "/reports", Status: 200, Start: time.Now(), Native: delay}
			tracker.Observe(tracker.Begin(t.Context()), x)
		}
		time.Sleep(55 * time.Second)
		serve(0)
		go serve(6 * time.Second) // counted in the next minute
		time.Sleep(7 * time.Second)
		serve(0)
		time.Sleep(time.Minute)
		var got []string
		for _, e := range wire.events(t, client) {
			properties, _ := e["properties"].(map[string]any)
			got = append(got, fmt.Sprint(properties["windowStart"], " ", e["timestamp"], " ", properties["count"], " ", properties["durationMsMax"]))
		}
		want := []string{
			"2000-01-01T00:00:00.000Z 2000-01-01T00:00:55.000Z 1 0",
			"2000-01-01T00:01:00.000Z 2000-01-01T00:01:02.000Z 2 0",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

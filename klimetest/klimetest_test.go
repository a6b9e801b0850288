package klimetest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
	"github.com/klimeapp/klime-go/nethttp"
)

func TestServerReceivesTypedEvents(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	client := server.Client()
	ctx := t.Context()
	for _, err := range []error{
		client.Identify(ctx, "user_1", klime.Traits{"name": "Jane"}),
		client.Group(ctx, "org_1", klime.Traits{"plan": "pro"}, klime.ForUser("user_1")),
		client.Track(ctx, "Report Generated", klime.Properties{"pages": 3}, klime.ForUser("user_1"), klime.InGroup("org_1")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	events := server.Wait(3)
	if e := events[0]; e.Type != klime.IdentifyEvent || e.UserID != "user_1" || e.Traits["name"] != "Jane" {
		t.Errorf("identify: %+v", e)
	}
	if e := events[1]; e.Type != klime.GroupEvent || e.UserID != "user_1" || e.GroupID != "org_1" || e.Traits["plan"] != "pro" {
		t.Errorf("group: %+v", e)
	}
	if e := events[2]; e.Type != klime.TrackEvent || e.Event != "Report Generated" || e.UserID != "user_1" ||
		e.GroupID != "org_1" || e.Properties["pages"] != 3.0 || e.MessageID == "" || e.Timestamp.IsZero() {
		t.Errorf("track: %+v", e)
	}
	if n := server.Rejected(); n != 0 {
		t.Errorf("%d events rejected", n)
	}
}

func TestExample(t *testing.T) {
	t.Parallel()
	testReportIsTracked(t)
}

// A write key that is not the Server's is refused, as Klime would refuse it.
func TestServerChecksTheKey(t *testing.T) {
	t.Parallel()
	config := klimetest.NewServer(t).Config()
	config.WriteKey = "another"
	client, err := klime.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Ping(t.Context()); err == nil {
		t.Error("Ping: no error")
	}
	if err := client.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// A fake Klime shows customers and users: also those that were only named, and events from
// before a link, in the order in which they happened.
func TestCustomersAndUsers(t *testing.T) {
	t.Parallel()
	recorder := klimetest.NewRecorder()
	client, err := klime.New(recorder.Config())
	if err != nil {
		t.Fatal(err)
	}
	ctx, noon := t.Context(), time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, err := range []error{
		client.Track(ctx, "Later", nil, klime.ForUser("user_2"), klime.At(noon.Add(time.Hour))),
		client.Track(ctx, "Earlier", klime.Properties{"pages": 3}, klime.ForUser("user_2"), klime.At(noon)),
		client.Track(ctx, "Elsewhere", nil, klime.ForUser("user_2"), klime.InGroup("org_2")),
		client.Group(ctx, "org_1", klime.Traits{"plan": "pro"}, klime.ForUser("user_2")),
		client.Identify(ctx, "user_1", klime.Traits{"name": "Jane"}),
		client.Shutdown(ctx),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	customers := recorder.Customers()
	if len(customers) != 1 || customers[0].ID != "org_1" || customers[0].Traits["plan"] != "pro" || !slices.Equal(customers[0].Users, []string{"user_2"}) {
		t.Fatalf("customers %+v", customers)
	}
	if e := customers[0].Events; len(e) != 2 || e[0].Event != "Earlier" || e[0].Properties["pages"] != 3.0 || e[1].Event != "Later" {
		t.Errorf("events %+v", e)
	}
	users := recorder.Users()
	if got, want := fmt.Sprint(users), "[{user_1 map[name:Jane] []} {user_2 map[] [org_1]}]"; got != want {
		t.Errorf("users %s, want %s", got, want)
	}
}

// A Server ends with its test.
func TestServerEnds(t *testing.T) {
	t.Parallel()
	inner := &failing{TB: t}
	config := klimetest.NewServer(inner).Config()
	client, err := klime.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Shutdown(context.Background()) })
	if err := client.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	inner.end()
	if err := client.Ping(t.Context()); err == nil {
		t.Error("the Server still answers")
	}
}

// Waiting in vain fails the test, and says what did arrive and what was in the way.
func TestWaitInVain(t *testing.T) {
	t.Parallel()
	track := func(t *testing.T, client *klime.Client, names ...string) {
		t.Helper()
		for _, name := range names {
			_, err := client.TrackSync(t.Context(), name, nil, klime.ForUser("user_1"))
			var failed *klime.DeliveryError
			if err != nil && !errors.As(err, &failed) {
				t.Error(err)
			}
		}
	}
	for name, test := range map[string]struct {
		act  func(*testing.T, *klimetest.Server)
		want []string // parts of the message
	}{
		"nothing": {
			func(*testing.T, *klimetest.Server) {},
			[]string{"the Server of TestWaitInVain/nothing waited 1ms for 30 events: 0 accepted, 0 rejected, 0 batches refused"},
		},
		"some events": {
			func(t *testing.T, server *klimetest.Server) {
				t.Helper()
				client := server.Client()
				if _, err := client.GroupSync(t.Context(), "org_1", nil); err != nil {
					t.Error(err)
				}
				track(t, client, slices.Repeat([]string{"Report Generated"}, 21)...)
			},
			[]string{": 22 accepted, ", "\n\taccepted: group, track \"Report Generated\", track", " and 2 more"},
		},
		"faults": {
			func(t *testing.T, server *klimetest.Server) {
				t.Helper()
				server.Fail(klimetest.Reject(0, 2), klimetest.Status(503), klimetest.RetryAfter(429, time.Second), klimetest.Cut(), klimetest.Hang())
				track(t, server.Client(), "A B", "C D", "E F")
			},
			[]string{": 0 accepted, 1 rejected, 0 batches", "\n\tfaults met: Reject(0, 2), Status(503), RetryAfter(429, 1s)\n\tfaults left: Cut(), Hang()"},
		},
		"what the client knows": {
			func(t *testing.T, server *klimetest.Server) {
				t.Helper()
				app := nethttp.Middleware(server.Client(), klime.RollUp(time.Minute))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					klime.SetUser(r.Context(), r.URL.Query().Get("user"))
					klime.Track(r.Context(), "", nil)
					w.WriteHeader(http.StatusCreated)
				}))
				for _, user := range []string{"", "?user=user_1", "?user=user_1"} {
					request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/reports"+user, http.NoBody)
					request.Pattern = "POST /reports"
					app.ServeHTTP(httptest.NewRecorder(), request)
				}
			},
			[]string{
				"\n\tcounted by its clients: 1 request of nobody, 3 invalid events, 1 roll-up, which Flush sends",
				"\n\tlogged by its clients: msg=\"klime: not recorded\" error=\"klime: missing event name\" total=1\n" +
					"\tnot sent: POST /reports: neither user nor group is known (UserID option, SetUser, Link, or the context value userId)",
			},
		},
		"what the app does not want to be sent": {
			func(t *testing.T, server *klimetest.Server) {
				t.Helper()
				config := server.Config()
				config.BeforeSend = func(*klime.Event) bool { return false }
				config.Logger = config.Logger.With("app", "a").WithGroup("b")
				client, err := klime.New(config)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = client.Shutdown(context.Background()) })
				for _, name := range []string{"Report Generated", "Report Generated", ""} {
					if err := client.Track(t.Context(), name, nil, klime.ForUser("user_1")); (err == nil) != (name != "") {
						t.Errorf("%q: %v", name, err)
					}
				}
				app := nethttp.Middleware(client, klime.SkipRoutes("/staff"), klime.IgnoreRoutes("/ignored"))(
					http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
						klime.SetUser(r.Context(), "user_1")
						switch r.URL.Path {
						case "/skipped":
							klime.Skip(r.Context())
						case "/silenced":
							klime.Silence(r.Context())
						}
					}))
				for _, path := range []string{"/skipped", "/silenced", "/staff", "/ignored"} {
					request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
					request.Pattern = path
					app.ServeHTTP(httptest.NewRecorder(), request)
				}
			},
			[]string{"0 batches refused\n" +
				"\tnot sent: track \"Report Generated\": BeforeSend dropped it\n" +
				"\tnot sent: track: missing event name\n" +
				"\tnot sent: GET /skipped: skipped (Skip)\n" +
				"\tnot sent: GET /silenced: the request is silenced (Silence, or HonorOptOut)\n" +
				"\tnot sent: GET /staff: skipped (SkipRoutes)\n" +
				"\tnot sent: requests are passed on untouched: "},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inner := &failing{TB: t}
			server := klimetest.NewServerThat(inner, 100, time.Millisecond)
			test.act(t, server)
			inner.run(func() { server.Wait(30) })
			for _, part := range test.want {
				if !strings.Contains(inner.message, part) {
					t.Errorf("message %q\nwant %q", inner.message, part)
				}
			}
			server.Heal()
			inner.end()
		})
	}
}

// Why an event was not sent is told once, whatever its name.
func TestWhyNotSentIsToldOnce(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Report Generated", `Said "Hi"`} {
		inner := &failing{TB: t}
		server := klimetest.NewServerThat(inner, 100, time.Millisecond)
		ctx := klime.NewTracker(server.Client()).Begin(t.Context())
		klime.Track(ctx, name, klime.Properties{"f": func() {}}, klime.ForUser("user_1"))
		inner.run(func() { server.Wait(1) })
		inner.end()
		if strings.Count(inner.message, "cannot be sent as JSON") != 1 {
			t.Errorf("%q: %s", name, inner.message)
		}
	}
}

// Wait works in a Cleanup, although the test's context has ended by then.
func TestWaitInCleanup(t *testing.T) {
	t.Parallel()
	ended, end := context.WithCancel(t.Context())
	end()
	inner := &failing{TB: t, ctx: ended}
	server := klimetest.NewServer(inner)
	if err := server.Client().Track(t.Context(), "Report Generated", nil, klime.ForUser("user_1")); err != nil {
		t.Fatal(err)
	}
	inner.run(func() { server.Wait(1) })
	inner.end()
	if inner.message != "" {
		t.Errorf("message %q", inner.message)
	}
}

// In a bubble a Server would hang, or end the program: it fails the test at once.
func TestServerInABubble(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(testing.TB, *klimetest.Server){
		"NewServer": func(tb testing.TB, _ *klimetest.Server) { tb.Helper(); klimetest.NewServer(tb) },
		"Client":    func(_ testing.TB, server *klimetest.Server) { server.Client() },
		"Wait":      func(_ testing.TB, server *klimetest.Server) { server.Wait(1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inner := &failing{TB: t}
			server := klimetest.NewServer(inner)
			synctest.Test(t, func(*testing.T) {
				inner.run(func() { use(inner, server) })
			})
			inner.end()
			if inner.message != "klimetest: a Server cannot be used in a synctest bubble: use NewRecorder" {
				t.Errorf("message %q", inner.message)
			}
		})
	}
}

// A test cannot wait for more events than are kept, or get them after the first were
// forgotten.
func TestWaitForTooMany(t *testing.T) {
	t.Parallel()
	inner := &failing{TB: t}
	server := klimetest.NewServer(inner)
	if inner.run(func() { server.Wait(100_001) }); inner.message != "klimetest: Wait(100001): a Server keeps 100000 events" {
		t.Errorf("message %q", inner.message)
	}
	server = klimetest.NewServerThat(inner, 3, time.Minute)
	client := server.Client()
	for range 5 {
		if _, err := client.TrackSync(t.Context(), "Report Generated", nil, klime.ForUser("user_1")); err != nil {
			t.Fatal(err)
		}
	}
	if inner.run(func() { server.Wait(3) }); inner.message != "klimetest: the first 2 events are forgotten: a Server keeps 3, and 256 MiB" {
		t.Errorf("message %q", inner.message)
	}
	inner.end()
}

// A client with undelivered events at the end fails the test, unless Heal was called.
func TestClientLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, heal := range map[string]bool{"faults left": false, "healed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inner := &failing{TB: t}
			server := klimetest.NewServer(inner)
			client := server.Client()
			server.Fail(slices.Repeat([]klimetest.Fault{klimetest.Status(http.StatusUnauthorized)}, 10)...)
			if err := client.Track(t.Context(), "Report Generated", nil, klime.ForUser("user_1")); err != nil {
				t.Fatal(err)
			}
			if heal {
				server.Heal()
			}
			inner.end()
			if failed := inner.message != ""; failed == heal {
				t.Errorf("message %q", inner.message)
			}
		})
	}
}

// failing is a test that records how it fails, and runs its cleanups on demand.
type failing struct {
	testing.TB

	ctx      context.Context //nolint:containedctx // the test's context, if not TB's
	message  string
	cleanups []func()
}

func (f *failing) Cleanup(cleanup func()) { f.cleanups = append(f.cleanups, cleanup) }

func (f *failing) end() {
	for _, cleanup := range slices.Backward(f.cleanups) {
		cleanup()
	}
}

func (f *failing) Errorf(format string, args ...any) { f.message = fmt.Sprintf(format, args...) }

func (f *failing) Context() context.Context {
	if f.ctx != nil {
		return f.ctx
	}
	return f.TB.Context()
}

// run runs a part of the test, which may call Fatalf.
func (f *failing) run(part func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		part()
	}()
	<-done
}

func (f *failing) Fatalf(format string, args ...any) {
	f.message = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

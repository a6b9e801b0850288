package klime_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/baggage"

	klime "github.com/klimeapp/klime-go/core"
)

// What is recorded of a request.
func TestObserveProperties(t *testing.T) {
	t.Parallel()
	html, sse := "text/html; charset=utf-8", "text/event-stream"
	header := func(values map[string]string) func(string) string {
		return func(name string) string { return values[name] }
	}
	tests := []struct {
		name  string
		in    klime.Exchange
		event string // "" for none
		want  klime.Properties
	}{
		{
			"an API call",
			klime.Exchange{Method: "POST", Route: "/reports", Status: 201, RequestBytes: 10, ResponseBytes: 20, ContentType: "application/json"},
			"API Called",
			klime.Properties{"method": "POST", "route": "/reports", "status": 201.0, "durationMs": 1500.0, "requestBytes": 10.0, "responseBytes": 20.0},
		},
		{
			"a page",
			klime.Exchange{Method: "GET", Route: "/reports/{id}", Status: 200, ResponseBytes: 20, ContentType: html},
			"Page Viewed",
			klime.Properties{"method": "GET", "route": "/reports/{id}", "status": 200.0, "durationMs": 1500.0, "requestBytes": 0.0, "responseBytes": 20.0},
		},
		{
			"sizes that are not known",
			klime.Exchange{Method: "POST", Route: "/reports", Status: 200, RequestBytes: -1, ResponseBytes: -1},
			"API Called",
			klime.Properties{"method": "POST", "route": "/reports", "status": 200.0, "durationMs": 1500.0},
		},
		{
			"a stream is open, it has no duration",
			klime.Exchange{Method: "GET", Route: "/events", Status: 200, ContentType: sse},
			"API Called",
			klime.Properties{
				"method": "GET", "route": "/events", "status": 200.0, "openMs": 1500.0, "protocol": "sse",
				"requestBytes": 0.0, "responseBytes": 0.0,
			},
		},
		{
			"a WebSocket",
			klime.Exchange{Method: "GET", Route: "/ws", Status: 101, RequestBytes: -1, Header: header(map[string]string{"Upgrade": "WebSocket"})},
			"API Called",
			klime.Properties{
				"method": "GET", "route": "/ws", "status": 101.0, "openMs": 1500.0, "protocol": "websocket",
			},
		},
		{
			"a WebSocket whose handler panics",
			klime.Exchange{Method: "GET", Route: "/ws", Status: 101, Panicked: true, Header: header(map[string]string{"Upgrade": "websocket"})},
			"API Called",
			klime.Properties{
				"method": "GET", "route": "/ws", "status": 500.0, "openMs": 1500.0, "protocol": "websocket",
				"requestBytes": 0.0,
			},
		},
		{
			"a WebSocket whose handler aborts",
			klime.Exchange{Method: "GET", Route: "/ws", Status: 101, Panicked: true, Aborted: true},
			"API Called",
			klime.Properties{
				"method": "GET", "route": "/ws", "aborted": true, "openMs": 1500.0, "protocol": "other",
				"requestBytes": 0.0,
			},
		},
		{
			"a panic is a 500, whatever was answered",
			klime.Exchange{Method: "GET", Route: "/reports", Status: 200, ContentType: html, Panicked: true},
			"API Called",
			klime.Properties{
				"method": "GET", "route": "/reports", "status": 500.0, "durationMs": 1500.0, "requestBytes": 0.0, "responseBytes": 0.0,
			},
		},
		{
			"an abort is no 500",
			klime.Exchange{Method: "GET", Route: "/reports", Aborted: true},
			"API Called",
			klime.Properties{
				"method": "GET", "route": "/reports", "aborted": true, "durationMs": 1500.0, "requestBytes": 0.0, "responseBytes": 0.0,
			},
		},
		{
			"whoever goes away after a 204 has had all of it",
			klime.Exchange{Method: "POST", Route: "/jobs", Status: 204, Aborted: true},
			"API Called",
			klime.Properties{
				"method": "POST", "route": "/jobs", "status": 204.0, "durationMs": 1500.0, "requestBytes": 0.0, "responseBytes": 0.0,
			},
		},
		{
			"so with a 304",
			klime.Exchange{Method: "GET", Route: "/reports", Status: 304, Aborted: true},
			"API Called",
			klime.Properties{
				"method": "GET", "route": "/reports", "status": 304.0, "durationMs": 1500.0, "requestBytes": 0.0, "responseBytes": 0.0,
			},
		},
		{
			"but not if the handler gave up",
			klime.Exchange{Method: "POST", Route: "/jobs", Status: 204, Aborted: true, Panicked: true},
			"API Called",
			klime.Properties{
				"method": "POST", "route": "/jobs", "aborted": true, "durationMs": 1500.0, "requestBytes": 0.0, "responseBytes": 0.0,
			},
		},
		{
			"a body that a framework has counted is not sent with a 204",
			klime.Exchange{Method: "POST", Route: "/jobs", Status: 204, ResponseBytes: 7},
			"API Called",
			klime.Properties{
				"method": "POST", "route": "/jobs", "status": 204.0, "durationMs": 1500.0, "requestBytes": 0.0, "responseBytes": 0.0,
			},
		},
		{
			"a route that is not known is left out",
			klime.Exchange{Method: "GET", Path: "/reports/7?token=secret", Status: 200},
			"API Called",
			klime.Properties{"method": "GET", "status": 200.0, "durationMs": 1500.0, "requestBytes": 0.0, "responseBytes": 0.0},
		},
		{"nobody's route", klime.Exchange{Method: "GET", Path: "/nowhere", Status: 404}, "", nil},
		{"an asset", klime.Exchange{Method: "GET", Route: "/static/*", Status: 200, ContentType: "text/css"}, "", nil},
		{"a health check", klime.Exchange{Method: "GET", Route: "/healthz", Path: "/healthz", Status: 200}, "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client, wire := newClient(t)
				tracker := klime.NewTracker(client, asUser("u1"))
				scope := tracker.Begin(t.Context())
				tt.in.Start, tt.in.Native = time.Now(), 1
				time.Sleep(1500 * time.Millisecond)
				tracker.Observe(scope, tt.in)
				events := wire.events(t, client)
				if tt.event == "" {
					if len(events) != 0 {
						t.Errorf("recorded: %v", events)
					}
					return
				}
				if len(events) != 1 {
					t.Fatalf("%d events, want 1", len(events))
				}
				event := events[0]
				if event["event"] != tt.event {
					t.Errorf("event %v, want %v", event["event"], tt.event)
				}
				if at := event["timestamp"]; at != tt.in.Start.UTC().Format("2006-01-02T15:04:05.000Z") {
					t.Errorf("timestamp %v, want the request's start", at)
				}
				if got := event["properties"].(map[string]any); !maps.Equal(got, tt.want) {
					t.Errorf("properties %v\nwant %v", got, tt.want)
				}
			})
		})
	}
}

// An adapter that does not say when the request began: no duration is made up.
func TestObserveWithoutStart(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	traffic{tracker: klime.NewTracker(client, asUser("u1"))}.serve(nil)
	event := wire.one(t, client)
	if got, there := event["properties"].(map[string]any)["durationMs"]; there {
		t.Errorf("durationMs is %v", got)
	}
	at, err := time.Parse(time.RFC3339, event["timestamp"].(string))
	if err != nil || time.Since(at) > time.Hour {
		t.Errorf("timestamp %v", event["timestamp"])
	}
}

// A request that nobody answered is aborted if its context has ended: whoever ended it
// may answer. Otherwise it is answered by the framework.
func TestObserveUnanswered(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		in     klime.Exchange
		late   bool // the deadline has passed
		status any
		want   any // whether it is aborted; nil for no
	}{
		{"in time", klime.Exchange{Unanswered: true}, false, 200.0, nil},
		{"in time, with a status", klime.Exchange{Unanswered: true, Status: 404}, false, 404.0, nil},
		{"too late", klime.Exchange{Unanswered: true}, true, nil, true},
		{"too late, with the framework's status", klime.Exchange{Unanswered: true, Status: 200}, true, nil, true},
		{"too late, and it panicked", klime.Exchange{Unanswered: true, Panicked: true}, true, 500.0, nil},
		{"answered too late", klime.Exchange{Status: 200}, true, 200.0, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			if tt.late {
				over, cancel := context.WithDeadline(ctx, time.Unix(0, 0))
				t.Cleanup(cancel)
				ctx = over
			}
			client, wire := newClient(t)
			tracker := klime.NewTracker(client, asUser("u1"))
			tt.in.Method, tt.in.Route, tt.in.Native = http.MethodPost, "/reports", struct{}{}
			tracker.Observe(tracker.Begin(ctx), tt.in)
			properties := wire.one(t, client)["properties"].(map[string]any)
			if properties["status"] != tt.status || properties["aborted"] != tt.want {
				t.Errorf("status %v, aborted %v", properties["status"], properties["aborted"])
			}
		})
	}
}

// What a handler writes to a connection that it has taken over is told by what the client
// has asked for. What an adapter says of the answer is ignored then.
func TestObserveHijacked(t *testing.T) {
	t.Parallel()
	const upgraded, unknown = "status 101, responseBytes <nil>", "status <nil>, responseBytes <nil>"
	tests := map[string]struct {
		upgrade string
		in      klime.Exchange
		want    string
	}{
		"for a protocol":           {"websocket", klime.Exchange{}, upgraded},
		"for itself":               {"", klime.Exchange{}, unknown},
		"nothing else is said":     {"", klime.Exchange{Status: 200, ResponseBytes: 7, ContentType: "text/event-stream"}, unknown},
		"not as if nobody answers": {"", klime.Exchange{Unanswered: true}, unknown},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, wire := newClient(t)
			tracker := klime.NewTracker(client, asUser("u1"))
			tt.in.Method, tt.in.Route, tt.in.Native, tt.in.Hijacked = http.MethodGet, "/live", struct{}{}, true
			tt.in.Header = http.Header{"Upgrade": {tt.upgrade}}.Get
			tracker.Observe(tracker.Begin(t.Context()), tt.in)
			properties := wire.one(t, client)["properties"].(map[string]any)
			if got := fmt.Sprintf("status %v, responseBytes %v", properties["status"], properties["responseBytes"]); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if properties["aborted"] != nil || (properties["protocol"] != nil) != (tt.want == upgraded) {
				t.Errorf("properties %v", properties)
			}
		})
	}
}

// A group that is claimed for a connection is not turned away by the status that the
// framework would have sent, in joined scopes either.
func TestObserveHijackedWithin(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	outer := klime.NewTracker(client)
	inner := klime.NewTracker(client, asUser("u1"), klime.ResolveGroup(func(any) any { return "acme" }))
	around := outer.Begin(t.Context())
	x := klime.Exchange{
		Method: http.MethodGet, Status: http.StatusNotFound, Native: struct{}{}, Hijacked: true, Header: http.Header{"Upgrade": {"websocket"}}.Get,
	}
	inner.Observe(inner.Begin(around), x)
	outer.Observe(around, x)
	if got := who(wire.one(t, client)); got != "u1/acme" {
		t.Errorf("event of %s", got)
	}
}

// A group that is claimed does not count if a handler has left an error for others to answer,
// unless it is known what the caller got.
func TestObserveAnsweredOutside(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tt := range map[string]struct {
		ctx  context.Context //nolint:containedctx // of the request
		in   klime.Exchange
		want string
		told bool
	}{
		"an error":              {ctx: t.Context(), want: "u1/ <nil> <nil>", told: true},
		"a caller who has left": {ctx: ended, want: "u1/ <nil> true"},
		"with a page's type":    {ctx: t.Context(), in: klime.Exchange{ContentType: "text/html"}, want: "u1/ <nil> <nil>", told: true},
		"with a stream's type, of a caller who has left": {ctx: ended, in: klime.Exchange{ContentType: "text/event-stream"}, want: "u1/ <nil> true"},
		"after an upgrade": {
			ctx: t.Context(), in: klime.Exchange{Hijacked: true, Header: http.Header{"Upgrade": {"websocket"}}.Get}, want: "u1/acme 101 <nil>",
		},
		"after a panic": {ctx: t.Context(), in: klime.Exchange{Panicked: true}, want: "u1/acme 500 <nil>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log *syncBuffer
			client, wire := newClient(t, func(cfg *klime.Config) { log = logTo(cfg) })
			tracker := klime.NewTracker(client, asUser("u1"), klime.ResolveGroup(answerWith("acme")))
			x := tt.in
			x.Status, x.Unanswered, x.AnsweredOutside = http.StatusOK, true, true
			traffic{tracker: tracker, ctx: tt.ctx, exchange: x}.serve(nil)
			event := wire.one(t, client)
			properties := event["properties"].(map[string]any)
			if got := fmt.Sprint(who(event), " ", properties["status"], " ", properties["aborted"]); got != tt.want {
				t.Errorf("event of %s, want %s", got, tt.want)
			}
			if failed := !x.Hijacked && !x.Panicked; failed && (event["event"] != "API Called" || properties["responseBytes"] != nil) {
				t.Errorf("event %v", event)
			}
			if told := strings.Contains(log.String(), "a handler has left an error"); told != tt.told {
				t.Errorf("log %s", log)
			}
		})
	}
}

// A proxy's panic says nothing of a stream that its client has left. Any other is a failure.
func TestObserveGivenUp(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	late, stop := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer stop()
	const sse = "text/event-stream; charset=utf-8"
	for name, tt := range map[string]struct {
		ctx         context.Context //nolint:containedctx // of the request
		contentType string
		panicked    any
		want        string
	}{
		"the client has left":             {ended, sse, http.ErrAbortHandler, "200 <nil>"},
		"the client is there":             {t.Context(), sse, http.ErrAbortHandler, "<nil> true"},
		"a deadline has passed":           {late, sse, http.ErrAbortHandler, "<nil> true"},
		"a report that a client leaves":   {ended, "application/json", http.ErrAbortHandler, "<nil> true"},
		"a stream whose handler is wrong": {ended, sse, "a mistake", "500 <nil>"},
	} {
		client, wire := newClient(t)
		outer, inner := klime.NewTracker(client, asUser("u1")), klime.NewTracker(client)
		root := outer.Begin(tt.ctx)
		scope := inner.Begin(root)
		x := klime.Exchange{Method: http.MethodGet, Route: "/x", Status: http.StatusOK, ContentType: tt.contentType, Native: "r"}
		x.Recovered(tt.panicked)
		inner.Observe(scope, x)
		outer.Observe(root, x)
		properties := wire.one(t, client)["properties"].(map[string]any)
		if got := fmt.Sprint(properties["status"], " ", properties["aborted"]); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// givenAway are the values of a framework that has given its request to another one.
type givenAway struct{}

func (givenAway) Value(any) any { return nil }
func (givenAway) Current() bool { return false }

// A handler that outlives its request is left out, as what there is to see of it is
// another's.
func TestObserveOutlived(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	tracker := klime.NewTracker(client, asUser("u1"))
	scope := tracker.Begin(t.Context())
	scope.Bind(struct{}{}, givenAway{})
	klime.SetUser(scope, "u1")
	tracker.Observe(scope, klime.Exchange{Method: http.MethodPost, Route: "/reports", Status: 200})
	if events := wire.events(t, client); len(events) != 0 {
		t.Errorf("%v", events)
	}
}

// An adapter need not call Bind, give a context, or have a Scope at all.
func TestObserveOfSparseAdapters(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	tracker := klime.NewTracker(client, klime.ResolveUser(func(native any) any { return native }))
	scope := tracker.Begin(nil) //nolint:staticcheck // what an adapter may do
	tracker.Observe(scope, klime.Exchange{Method: "POST", Route: "/reports", Status: 200, Native: "u1"})
	if got := who(wire.one(t, client)); got != "u1/" {
		t.Errorf("event of %s", got)
	}
	tracker.Observe(nil, klime.Exchange{Method: "POST", Route: "/reports", Status: 200, Native: "u1"})
	wire.one(t, client)
}

// In user mode no group is sent, and a group alone is nobody.
func TestObserveInUserMode(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t, userMode)
	tracker := klime.NewTracker(client)
	traffic{tracker: tracker}.serve(func(ctx context.Context) {
		klime.SetUser(ctx, "u1")
		klime.SetGroup(ctx, "g1")
	})
	if got := who(wire.one(t, client)); got != "u1/" {
		t.Errorf("event of %s, want u1/", got)
	}
	traffic{tracker: tracker}.serve(func(ctx context.Context) { klime.SetGroup(ctx, "g1") })
	wire.one(t, client)
	if got := client.Stats().Anonymous; got != 1 {
		t.Errorf("%d anonymous requests counted, want 1", got)
	}
	asked := klime.ResolveGroup(func(any) any { t.Error("a group was asked for"); return nil })
	anyone := klime.ResolveUser(func(any) any { t.Error("a user was asked for"); return nil })
	traffic{tracker: klime.NewTracker(client, asked, anyone)}.serve(func(ctx context.Context) {
		klime.SetUser(ctx, "u1")
		klime.Track(ctx, "Done", nil)
	})
	traffic{tracker: klime.NewTracker(client, asked, asUser("u1"))}.serve(nil)
	for _, e := range wire.events(t, client) {
		if got := who(e); got != "u1/" {
			t.Errorf("event of %s, want u1/", got)
		}
	}
}

// A middleware that is met again joins the scope that is there: one event, and
// the innermost answer of each resolver.
func TestJoinedTrackers(t *testing.T) {
	t.Parallel()
	resolvers := func(user, group any) []klime.Option {
		return []klime.Option{klime.ResolveUser(answerWith(user)), klime.ResolveGroup(answerWith(group))}
	}
	tests := []struct {
		name         string
		outer, inner []klime.Option
		ctx          context.Context //nolint:containedctx // a column of the table
		handle       func(ctx context.Context)
		want         string
	}{
		{"the innermost resolver", resolvers("u2", "g2"), resolvers("u1", "g1"), nil, nil, "u1/g1"},
		{"what the inner does not know", resolvers("u2", "g2"), nil, nil, nil, "u2/g2"},
		{"each by itself", resolvers("u2", "g2"), resolvers("u1", nil), nil, nil, "u1/g2"},
		{"only the inner knows", nil, resolvers("u1", "g1"), nil, nil, "u1/g1"},
		{"resolvers of both before values", resolvers("u2", nil), nil, values("u3", "g3"), nil, "u2/g3"},
		{
			"the app's word", resolvers("u2", "g2"), resolvers("u3", "g3"), nil,
			func(ctx context.Context) { klime.SetUser(ctx, "u1"); klime.SetGroup(ctx, "g1") }, "u1/g1",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, wire := newClient(t)
			outer := traffic{tracker: klime.NewTracker(client, tt.outer...), ctx: tt.ctx, native: "outer"}
			outer.serve(func(ctx context.Context) {
				inner := traffic{tracker: klime.NewTracker(client, tt.inner...), ctx: ctx, native: "inner"}
				inner.serve(func(ctx context.Context) {
					if tt.handle != nil {
						tt.handle(ctx)
					}
					scope := klime.ScopeFrom(ctx)
					if got := scope.UserID() + "/" + scope.GroupID(); got != tt.want {
						t.Errorf("within: %s, want %s", got, tt.want)
					}
				})
				if got := klime.ScopeFrom(ctx).UserID(); !strings.HasPrefix(tt.want, got+"/") {
					t.Errorf("after the inner middleware: %s, want %s", got, tt.want)
				}
			})
			if got := who(wire.one(t, client)); got != tt.want {
				t.Errorf("event of %s, want %s", got, tt.want)
			}
		})
	}
}

// Plain values that lie outside of the inner middleware only are found as in the handler,
// and before those outside of both.
func TestJoinedTrackersValues(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	tracker := klime.NewTracker(client)
	traffic{tracker: tracker, ctx: values("u2", "g2")}.serve(func(ctx context.Context) {
		//nolint:revive,staticcheck // the plain key is the point
		traffic{tracker: tracker, ctx: context.WithValue(ctx, "userId", "u1")}.serve(func(ctx context.Context) {
			klime.Track(ctx, "Done", nil)
		})
		klime.Track(ctx, "Done", nil)
	})
	var got []string
	for _, e := range wire.events(t, client) {
		got = append(got, fmt.Sprint(e["event"], " ", who(e)))
	}
	if want := []string{"Done u1/g2", "Done u2/g2", "API Called u1/g2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// So does one whose request has the context of a framework that holds only string
// keys, such as a handler of net/http that is given a *gin.Context.
func TestJoinedUnderStringKey(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	tracker := klime.NewTracker(client, asUser("u1"))
	traffic{tracker: tracker}.serve(func(ctx context.Context) {
		ginLike := stringKeys{context.Background(), map[string]any{klime.ScopeKey: klime.ScopeFrom(ctx)}}
		traffic{tracker: tracker, ctx: ginLike}.serve(nil)
	})
	wire.one(t, client)
}

// Each middleware's resolvers are asked with the request that it was given.
func TestJoinedTrackersHaveTheirOwnRequests(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	var mine, theirs []any
	outer := klime.NewTracker(client, klime.ResolveUser(func(native any) any { mine = append(mine, native); return nil }))
	inner := klime.NewTracker(client, klime.ResolveUser(func(native any) any { theirs = append(theirs, native); return nil }))
	traffic{tracker: outer, native: "outer"}.serve(func(ctx context.Context) {
		traffic{tracker: inner, ctx: ctx, native: "inner"}.serve(func(ctx context.Context) {
			klime.ScopeFrom(ctx).UserID()
		})
	})
	for _, native := range mine {
		if native != "outer" {
			t.Errorf("the outer resolver got %v", native)
		}
	}
	for _, native := range theirs {
		if native != "inner" {
			t.Errorf("the inner resolver got %v", native)
		}
	}
	if len(mine) == 0 || len(theirs) == 0 {
		t.Errorf("asked %d and %d times", len(mine), len(theirs))
	}
	if got := wire.events(t, client); len(got) != 0 {
		t.Errorf("events of nobody: %v", got)
	}
}

// The route is the one nearest to the handler, or the one that is known.
func TestJoinedTrackersRoute(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ outer, inner, want string }{
		{"/api/", "GET /api/reports/{id}", "/api/reports/{id}"},
		{"/api/reports/:id", "-", "/api/reports/{id}"},
	} {
		client, wire := newClient(t)
		tracker := klime.NewTracker(client, asUser("u1"))
		traffic{tracker: tracker, exchange: klime.Exchange{Route: tt.outer}}.serve(func(ctx context.Context) {
			traffic{tracker: tracker, ctx: ctx, exchange: klime.Exchange{Route: tt.inner}}.serve(nil)
		})
		if got := wire.one(t, client)["properties"].(map[string]any)["route"]; got != tt.want {
			t.Errorf("outer %q, inner %q: route %v, want %v", tt.outer, tt.inner, got, tt.want)
		}
	}
}

// A route that is known further in is the request's only if it is one of the whole
// path. Behind a prefix that was stripped it is not, and the rules go by the path.
func TestJoinedTrackersBehindAPrefix(t *testing.T) {
	t.Parallel()
	type seen struct{ route, path string }
	nameAndSkip := []klime.Option{
		asUser("u1"), klime.SkipRoutes("/api/internal/*"), klime.NameRoutes(map[string]string{"/api/r/{id}": "Named", "/r/{id}": "Wrong"}),
	}
	for name, tt := range map[string]struct {
		scopes []seen // from the outermost to the innermost
		status int
		want   string
	}{
		"named":                       {[]seen{{"/api/*", "/api/r/1"}, {"/r/{id}", "/r/1"}}, 200, "Named /api/*"},
		"skipped":                     {[]seen{{"/api/*", "/api/internal/jobs"}, {"/internal/jobs", "/internal/jobs"}}, 200, ""},
		"no health check":             {[]seen{{"/api/*", "/api/health"}, {"/health", "/health"}}, 200, "API Called /api/*"},
		"the same path":               {[]seen{{"/api/*", "/api/r/1"}, {"/api/r/:id", "/api/r/1"}}, 200, "Named /api/r/{id}"},
		"no route outside":            {[]seen{{"-", "/api/r/2"}, {"/r/{id}", "/r/2"}}, 200, "Named <nil>"},
		"no route inside":             {[]seen{{"/api/*", "/api/r/1"}, {"-", "/api/r/1"}}, 200, "Named /api/*"},
		"twice within the prefix":     {[]seen{{"/api/*", "/api/r/1"}, {"/*", "/r/1"}, {"/r/{id}", "/r/1"}}, 200, "Named /api/*"},
		"twice outside of it":         {[]seen{{"/*", "/api/r/1"}, {"/api/*", "/api/r/1"}, {"/r/{id}", "/r/1"}}, 200, "Named /api/*"},
		"the handler's 404":           {[]seen{{"/api/*", "/api/x/1"}, {"/x/{id}", "/x/1"}}, 404, "API Called /api/*"},
		"the handler's 404, no route": {[]seen{{"-", "/api/x/1"}, {"/x/{id}", "/x/1"}}, 404, "API Called <nil>"},
		"a router's 404":              {[]seen{{"/api/*", "/api/x/1"}, {"-", "/x/1"}}, 404, ""},
		"perhaps a router's 404":      {[]seen{{"/api/*", "/api/x/1"}, {"/x/*", "/x/1"}}, 404, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, wire := newClient(t)
			outer, inner := klime.NewTracker(client, nameAndSkip...), klime.NewTracker(client)
			var serve func(ctx context.Context, depth int)
			serve = func(ctx context.Context, depth int) {
				if depth == len(tt.scopes) {
					return
				}
				tracker := inner
				if depth == 0 {
					tracker = outer
				}
				at := tt.scopes[depth]
				x := klime.Exchange{Method: http.MethodGet, Status: tt.status, Route: at.route, Path: at.path}
				traffic{tracker: tracker, ctx: ctx, exchange: x}.serve(func(ctx context.Context) { serve(ctx, depth+1) })
			}
			serve(context.Background(), 0)
			var got []string
			for _, e := range wire.events(t, client) {
				got = append(got, fmt.Sprint(e["event"], " ", e["properties"].(map[string]any)["route"]))
			}
			if got := strings.Join(got, ", "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// What has been found further in is known further out, and not by what comes after:
// requests within a request, where nothing tells them apart, are asked before each other.
func TestJoinedTrackersOneAfterTheOther(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	outer := klime.NewTracker(client, asUser("u1"))
	inner := klime.NewTracker(client, klime.ResolveGroup(func(native any) any { return native }))
	track := func(ctx context.Context) { klime.Track(ctx, "Done", nil) }
	traffic{tracker: outer}.serve(func(ctx context.Context) {
		for _, org := range []string{"a", "b"} {
			traffic{tracker: inner, ctx: ctx, native: ""}.serve(func(ctx context.Context) {
				traffic{tracker: inner, ctx: ctx, native: org}.serve(nil)
				track(ctx)
			})
		}
		track(ctx)
	})
	var got []string
	for _, e := range wire.events(t, client) {
		got = append(got, fmt.Sprint(e["event"], " ", who(e)))
	}
	if want := []string{"Done u1/a", "Done u1/b", "Done u1/a", "API Called u1/a"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A context that is kept past a middleware further in belongs to whom that one has found,
// and not to whom another one has before it.
func TestJoinedTrackersKeptContexts(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	inner := klime.NewTracker(client, klime.ResolveGroup(func(native any) any { return native }))
	traffic{tracker: klime.NewTracker(client, asUser("u1"))}.serve(func(ctx context.Context) {
		var kept []context.Context
		for _, org := range []string{"a", "b"} {
			traffic{tracker: inner, ctx: ctx, native: org}.serve(func(ctx context.Context) { kept = append(kept, ctx) })
		}
		for _, ctx := range kept {
			klime.Track(ctx, "Done", nil)
		}
	})
	var got []string
	for _, e := range wire.events(t, client) {
		got = append(got, fmt.Sprint(e["event"], " ", who(e)))
	}
	if want := []string{"Done u1/a", "Done u1/b", "API Called u1/a"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// So it is with those that go on at the same time.
func TestJoinedTrackersSideBySide(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	outer := klime.NewTracker(client, asUser("u1"))
	inner := klime.NewTracker(client, klime.ResolveGroup(func(native any) any { return native }))
	track := func(ctx context.Context) { klime.Track(ctx, "Done", nil) }
	traffic{tracker: outer}.serve(func(ctx context.Context) {
		var first context.Context
		begun, tracked, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			traffic{tracker: inner, ctx: ctx, native: "a"}.serve(func(ctx context.Context) {
				first = ctx //nolint:fatcontext // for the other one
				close(begun)
				<-tracked
			})
		}()
		<-begun
		traffic{tracker: inner, ctx: ctx, native: "b"}.serve(func(second context.Context) {
			track(first)
			track(second)
			track(ctx) // of both: the last one that was begun
		})
		track(first)
		close(tracked)
		<-done
	})
	var got []string
	for _, e := range wire.events(t, client) {
		got = append(got, fmt.Sprint(e["event"], " ", who(e)))
	}
	if want := []string{"Done u1/a", "Done u1/b", "Done u1/b", "Done u1/a", "API Called u1/b"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What an inner middleware has found counts as its own answer says, also where
// something in between answers otherwise.
func TestJoinedTrackersRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		inner klime.Exchange
		ctx   context.Context //nolint:containedctx // a column of the table
		want  string
	}{
		"answered":                    {klime.Exchange{Route: "/orgs/{org}", Status: 200}, nil, "Org Viewed u1/g1"},
		"refused":                     {klime.Exchange{Route: "/orgs/{org}", Status: 403}, nil, "API Called u1/"},
		"refused, with a plain value": {klime.Exchange{Route: "/orgs/{org}", Status: 401}, values(nil, "g1"), "API Called u1/"},
		"not found":                   {klime.Exchange{Route: "/orgs/{org}", Status: 404}, nil, "API Called u1/"},
		"wrong":                       {klime.Exchange{Route: "/orgs/{org}", Status: 400}, nil, "API Called u1/g1"},
		"broken":                      {klime.Exchange{Route: "/orgs/{org}", Status: 200, Panicked: true}, nil, "API Called u1/g1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, wire := newClient(t)
			inner := klime.NewTracker(client, klime.NameRoutes(map[string]string{"/orgs/{org}": "Org Viewed"}), klime.ResolveGroup(func(any) any {
				if tt.ctx != nil {
					return nil
				}
				return "g1"
			}))
			if tt.ctx != nil {
				tt.inner.Values = tt.ctx
			}
			traffic{tracker: klime.NewTracker(client, asUser("u1"))}.serve(func(ctx context.Context) {
				traffic{tracker: inner, ctx: ctx, exchange: tt.inner}.serve(nil)
			})
			event := wire.one(t, client)
			if got := fmt.Sprint(event["event"], " ", who(event)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	// A name is a route, for what is not found.
	client, wire := newClient(t)
	inner := klime.NewTracker(client, klime.NameRoutes(map[string]string{"/files/*": "File Opened"}))
	missing := klime.Exchange{Route: "/files/*", Path: "/files/a", Status: 404}
	traffic{tracker: klime.NewTracker(client, asUser("u1")), exchange: missing}.serve(func(ctx context.Context) {
		traffic{tracker: inner, ctx: ctx, exchange: missing}.serve(nil)
	})
	if got := wire.one(t, client)["event"]; got != "API Called" {
		t.Errorf("event %v", got)
	}
}

// An inner middleware may be the one that knows that there is no route.
func TestJoinedTrackersWithoutRoute(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		outer, inner klime.Exchange
		want         int // events
	}{
		{"nothing found", klime.Exchange{Route: "-", Status: 400}, klime.Exchange{Route: "-", Status: 400, Unmatched: true}, 0},
		{"a route inside", klime.Exchange{Route: "-", Status: 400}, klime.Exchange{Route: "/reports", Status: 400, Unmatched: true}, 1},
		{"a route outside", klime.Exchange{Route: "/reports", Status: 400}, klime.Exchange{Route: "-", Status: 400, Unmatched: true}, 1},
		{"answered in its place", klime.Exchange{Route: "-", Status: 200}, klime.Exchange{Route: "-", Status: 404, Unmatched: true}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, wire := newClient(t)
			tracker := klime.NewTracker(client, asUser("u1"))
			traffic{tracker: tracker, exchange: tt.outer}.serve(func(ctx context.Context) {
				traffic{tracker: tracker, ctx: ctx, exchange: tt.inner}.serve(nil)
			})
			if got := len(wire.events(t, client)); got != tt.want {
				t.Errorf("%d events, want %d", got, tt.want)
			}
		})
	}
}

// A scope that is begun with the context of a request that is over is a
// request of its own.
func TestBeginAfterTheRequest(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	tracker := klime.NewTracker(client, asUser("u1"))
	var kept context.Context
	traffic{tracker: tracker}.serve(func(ctx context.Context) {
		kept = ctx //nolint:fatcontext // kept past the request on purpose
	})
	traffic{tracker: tracker, ctx: kept}.serve(func(ctx context.Context) { klime.SetUser(ctx, "u2") })
	events := wire.events(t, client)
	if len(events) != 2 || who(events[0]) != "u1/" || who(events[1]) != "u2/" {
		t.Errorf("events %v, want one of u1 and one of u2", events)
	}
}

// An inner middleware may end after the outer one (http.TimeoutHandler answers
// while the handler still runs). The request stays over.
func TestInnerEndsAfterOuter(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	outer := klime.NewTracker(client, asUser("u1"))
	inner := klime.NewTracker(client, klime.ResolveUser(answerWith("late")))
	request := outer.Begin(t.Context())
	within := inner.Begin(request)
	within.Bind("inner", nil)
	outer.Observe(request, klime.Exchange{Method: "POST", Route: "/reports", Status: 503, Native: 1})
	inner.Observe(within, klime.Exchange{Method: "POST", Route: "/reports", Status: 200})
	if got := who(wire.one(t, client)); got != "late/" {
		t.Errorf("event of %s, want that of the innermost answer", got)
	}
	traffic{tracker: outer, ctx: request}.serve(nil)
	if got := len(wire.events(t, client)); got != 2 {
		t.Errorf("%d events, want the second request's too", got)
	}
}

// What the innermost scope finds out is not lost if the one that it has joined has ended before
// it, and others come and go.
func TestInnerEndsAfterMiddle(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	plain, late := klime.NewTracker(client), klime.NewTracker(client, klime.ResolveUser(answerWith("late")))
	answer := klime.Exchange{Method: "POST", Route: "/reports", Status: 200, Native: 1}
	request := plain.Begin(t.Context())
	another := func() { plain.Observe(plain.Begin(request), answer) }
	another()
	middle := plain.Begin(request)
	within := late.Begin(middle)
	plain.Observe(middle, answer)
	late.Observe(within, answer)
	another()
	plain.Observe(request, answer)
	if got := who(wire.one(t, client)); got != "late/" {
		t.Errorf("event of %s", got)
	}
}

// A middleware that has ended is asked no more: the framework may have given its request to
// another one, even if a middleware further out goes on.
func TestEndedInnerIsNotAsked(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	asked := 0
	inner := klime.NewTracker(client, klime.ResolveGroup(func(any) any { asked++; return "g1" }))
	traffic{tracker: klime.NewTracker(client, asUser("u1"))}.serve(func(ctx context.Context) {
		var kept context.Context
		traffic{tracker: inner, ctx: ctx}.serve(func(ctx context.Context) { kept = ctx }) //nolint:fatcontext // kept on purpose
		before := asked
		klime.Track(kept, "Done", nil)
		if asked != before {
			t.Error("it is asked")
		}
	})
	if got := who(wire.events(t, client)[0]); got != "u1/g1" {
		t.Errorf("event of %s", got)
	}
}

// Middlewares of different clients have scopes of their own; handlers speak
// to the inner one. One without a client is not there at all.
func TestNestedTrackersOfDifferentClients(t *testing.T) {
	t.Parallel()
	ours, wire := newClient(t)
	others, otherWire := newClient(t)
	traffic{tracker: klime.NewTracker(ours, asUser("u1"))}.serve(func(ctx context.Context) {
		traffic{tracker: klime.NewTracker(others), ctx: ctx}.serve(func(ctx context.Context) {
			klime.SetUser(ctx, "u2")
			klime.Track(ctx, "Done", nil)
		})
	})
	if got := who(wire.one(t, ours)); got != "u1/" {
		t.Errorf("our event is of %s", got)
	}
	events := otherWire.events(t, others)
	if len(events) != 2 || who(events[0]) != "u2/" || who(events[1]) != "u2/" {
		t.Errorf("the others' events: %v", events)
	}

	traffic{tracker: klime.NewTracker(ours)}.serve(func(ctx context.Context) {
		traffic{tracker: klime.NewTracker(nil), ctx: ctx}.serve(func(ctx context.Context) {
			klime.SetUser(ctx, "u3")
			klime.Track(ctx, "Done", nil)
		})
	})
	if got := len(wire.events(t, ours)); got != 3 {
		t.Errorf("%d events, want those behind a middleware without a client too", got)
	}
}

// A client's own methods speak to the scope of that client, wherever it is: what is
// known to another's, its user IDs above all, is of another account.
func TestEachClientHasItsOwnScope(t *testing.T) {
	t.Parallel()
	outer, outerWire := newClient(t)
	inner, innerWire := newClient(t)
	third, thirdWire := newClient(t)
	tiers, err := baggage.Parse("outer.tier=1,inner.tier=2")
	if err != nil {
		t.Fatal(err)
	}
	before := baggage.ContextWithBaggage(t.Context(), tiers)
	serve := func(handle func(ctx context.Context)) {
		traffic{tracker: klime.NewTracker(outer, asUser("outer"), klime.Baggage("outer.tier")), ctx: before}.serve(func(ctx context.Context) {
			traffic{tracker: klime.NewTracker(inner, asUser("inner"), klime.Baggage("inner.tier")), ctx: ctx}.serve(handle)
		})
	}
	clients := []*klime.Client{outer, inner, third}
	serve(func(ctx context.Context) {
		for i, c := range clients {
			want := []error{nil, nil, klime.ErrMissingIdentity}[i]
			if err := c.Track(ctx, "Tracked", nil); !errors.Is(err, want) {
				t.Errorf("client %d: %v, want %v", i, err, want)
			}
		}
		if err := third.Track(ctx, "Tracked", nil, klime.ForUser("third")); err != nil {
			t.Error(err)
		}
		klime.Skip(ctx)
	})
	serve(func(ctx context.Context) {
		for i, c := range clients {
			if err := c.Link(ctx, klime.User{ID: fmt.Sprint("linked", i)}, klime.Group{ID: fmt.Sprint("group", i)}); err != nil {
				t.Error(err)
			}
		}
	})
	for i, want := range [][]string{
		{
			"Tracked outer/ map[outer.tier:1]", "API Called outer/ map[outer.tier:1]",
			"<nil> linked0/group0 map[outer.tier:1]", "API Called linked0/group0 map[outer.tier:1]",
		},
		{
			"Tracked inner/ map[inner.tier:2]",
			"<nil> linked1/group1 map[inner.tier:2]", "API Called linked1/group1 map[inner.tier:2]",
		},
		{"Tracked third/ <nil>", "<nil> linked2/group2 <nil>"},
	} {
		var got []string
		for _, e := range []*wire{outerWire, innerWire, thirdWire}[i].events(t, clients[i]) {
			got = append(got, fmt.Sprint(e["event"], " ", who(e), " ", e["context"].(map[string]any)["baggage"]))
		}
		if !slices.Equal(got, want) {
			t.Errorf("client %d\n got %q\nwant %q", i, got, want)
		}
	}
}

// A scope without a client is of no account: what is known to it any client may use.
func TestScopeWithoutAClient(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	traffic{tracker: klime.NewTracker(nil)}.serve(func(ctx context.Context) {
		klime.SetUser(ctx, "u1")
		if err := client.Track(ctx, "Done", nil); err != nil {
			t.Error(err)
		}
	})
	if got := who(wire.one(t, client)); got != "u1/" {
		t.Errorf("event of %s", got)
	}
}

// It is passed over, and ignores requests, like others.
func TestIgnoresWithoutAClient(t *testing.T) {
	t.Parallel()
	if !klime.NewTracker(nil, klime.IgnoreRoutes("/ignored")).Ignores(http.MethodGet, "/ignored", http.Header{}.Get) {
		t.Error("not ignored")
	}
}

// A middleware joins that of its client also past another client's, by turns.
func TestJoinedPastAnotherClient(t *testing.T) {
	t.Parallel()
	ours, wire := newClient(t)
	others, otherWire := newClient(t)
	traffic{tracker: klime.NewTracker(ours, asUser("u0"))}.serve(func(ctx context.Context) {
		traffic{tracker: klime.NewTracker(others, asUser("u0")), ctx: ctx}.serve(func(ctx context.Context) {
			traffic{tracker: klime.NewTracker(ours, asUser("u1")), ctx: ctx}.serve(func(ctx context.Context) {
				traffic{tracker: klime.NewTracker(others, asUser("u2")), ctx: ctx}.serve(nil)
			})
		})
	})
	if got, theirs := who(wire.one(t, ours)), who(otherWire.one(t, others)); got != "u1/" || theirs != "u2/" {
		t.Errorf("events of %s and %s", got, theirs)
	}
}

// Where a framework has one context for all, what stands outside of a middleware finds
// the scope around it again, with all else that has come into the context.
func TestOutside(t *testing.T) {
	t.Parallel()
	ours, wire := newClient(t)
	others, otherWire := newClient(t)
	type key struct{}
	var shared context.Context
	serve := func(c *klime.Client, between func()) {
		tracker := klime.NewTracker(c, asUser("u1"))
		scope := tracker.Begin(shared)
		scope.Bind(1, nil)
		shared = context.WithValue(scope, key{}, "kept") //nolint:fatcontext // as the handlers of a framework do
		between()
		tracker.Observe(scope, klime.Exchange{Method: "POST", Route: "/reports", Status: 200})
		if outside := scope.Outside(shared); outside != nil {
			shared = outside
		}
		if got := shared.Value(key{}); got != "kept" {
			t.Errorf("value %v", got)
		}
	}
	track := func(name string) { klime.Track(shared, name, nil) }
	serve(ours, func() {
		serve(others, func() {
			serve(ours, func() {
				serve(ours, func() {})
				track("Ours")
			})
			track("Others")
		})
		track("Ours Again")
	})
	if got := klime.ScopeFrom(shared).Outside(shared); got != nil {
		t.Errorf("around the outermost: %v", got)
	}
	if (*klime.Scope)(nil).Outside(shared) != nil {
		t.Error("outside of none")
	}
	var got []string
	for _, e := range append(wire.events(t, ours), otherWire.events(t, others)...) {
		got = append(got, e["event"].(string))
	}
	if want := []string{"Ours", "Ours Again", "API Called", "Others", "API Called"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRouteFrom(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		adapter string
		resolve func(native any) string
		want    any
	}{
		{"asked where the adapter does not know", "", func(any) string { return "GET /reports/{id}" }, "/reports/{id}"},
		{"before what the adapter knows", "/other", func(any) string { return "/reports/:id" }, "/reports/{id}"},
		{"no better answer", "/reports/:id", func(any) string { return "" }, "/reports/{id}"},
		{"panics", "", func(any) string { panic("no route") }, nil},
		{"no answer", "", func(any) string { return "" }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, wire := newClient(t)
			tracker := klime.NewTracker(client, asUser("u1"), klime.RouteFrom(tt.resolve))
			scope := tracker.Begin(t.Context())
			tracker.Observe(scope, klime.Exchange{Method: "GET", Route: tt.adapter, Status: 200, Native: 1})
			if got := wire.one(t, client)["properties"].(map[string]any)["route"]; got != tt.want {
				t.Errorf("route %v, want %v", got, tt.want)
			}
		})
	}
}

// However many goroutines of a request wait for a slow resolver, each has its answer.
func TestSlowResolver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, wire := newClient(t)
		answers := make(chan struct{})
		tracker := klime.NewTracker(client, klime.ResolveUser(func(any) any { <-answers; return "u1" }))
		const many = 3000
		traffic{tracker: tracker}.serve(func(ctx context.Context) {
			var all sync.WaitGroup
			for range many {
				all.Go(func() { klime.Track(ctx, "Item Imported", nil) })
			}
			synctest.Wait()
			close(answers)
			all.Wait()
		})
		if got := len(wire.events(t, client)); got != many+1 {
			t.Errorf("%d events, want %d: %+v", got, many+1, client.Stats())
		}
	})
}

// The home page's route is only told by a route for everything: of others that are not known,
// the path says nothing.
func TestRouteOfTheHomePage(t *testing.T) {
	t.Parallel()
	for route, want := range map[string]any{"/": "/", "/*": "/", "/{$}": "/", "/{tenant}": "/{tenant}", "no slash": nil} {
		client, wire := newClient(t)
		traffic{tracker: klime.NewTracker(client, asUser("u1")), exchange: klime.Exchange{Path: "/", Route: route}}.serve(nil)
		if got := wire.one(t, client)["properties"].(map[string]any)["route"]; got != want {
			t.Errorf("%s: route %v, want %v", route, got, want)
		}
	}
}

// What ClassifyWith finds in a request without a route is somebody's.
func TestClassifyWithoutRoute(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	tracker := klime.NewTracker(client, asUser("u1"), klime.ClassifyWith(func(klime.Exchange, klime.Kind) klime.Kind { return klime.KindAPI }))
	traffic{tracker: tracker, exchange: klime.Exchange{Unmatched: true, Status: http.StatusNotFound}}.serve(nil)
	if got := who(wire.one(t, client)); got != "u1/" {
		t.Errorf("event of %s, want u1/", got)
	}
}

// How long a resolver takes is not how long the request took.
func TestDurationWithoutResolvers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, wire := newClient(t)
		slow := func(any) any { time.Sleep(time.Minute); return "u1" }
		tracker := klime.NewTracker(client, klime.ResolveUser(slow), klime.ResolveGroup(slow))
		scope, start := tracker.Begin(t.Context()), time.Now()
		time.Sleep(time.Second)
		tracker.Observe(scope, klime.Exchange{Method: "GET", Route: "/reports", Status: 200, Start: start, Native: 1})
		properties, _ := wire.one(t, client)["properties"].(map[string]any)
		if got := properties["durationMs"]; got != 1000.0 {
			t.Errorf("durationMs is %v, want 1000", got)
		}
	})
}

// A resolver that asks whose request it is would ask itself for ever: it gets
// no answer, and the app lives.
func TestCircularResolver(t *testing.T) {
	t.Parallel()
	var log *syncBuffer
	client, wire := newClient(t, func(cfg *klime.Config) { log = logTo(cfg) })
	var asked atomic.Int64
	circular := func(id string) func(any) any {
		return func(native any) any {
			asked.Add(1)
			scope := klime.ScopeFrom(native.(context.Context))
			return id + scope.UserID()[:0] + scope.GroupID()[:0]
		}
	}
	tracker := klime.NewTracker(client, klime.ResolveUser(circular("u1")), klime.ResolveGroup(circular("g1")))
	for range 2 {
		scope := tracker.Begin(t.Context())
		scope.Bind(scope, nil)
		tracker.Observe(scope, klime.Exchange{Method: "POST", Route: "/reports", Status: 200})
	}
	for _, event := range wire.events(t, client) {
		if got := who(event); got != "u1/g1" {
			t.Errorf("event of %s", got)
		}
	}
	if got := strings.Count(log.String(), "level=WARN"); got != 1 {
		t.Errorf("%d log lines, want 1: %s", got, log)
	}
	if got := asked.Load(); got > 2*500 {
		t.Errorf("asked %d times in two requests", got)
	}
}

// alien is the request of a framework that is not the adapter's.
type alien struct{}

// The log tells once what is most likely a mistake, and never who it is about.
func TestSetupHints(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		opts []klime.Option
		n    int
		in   klime.Exchange
		want string // "" for no log line
	}{
		{"always nobody", nil, 200, klime.Exchange{}, "almost no request so far has had a user"},
		{"a few times nobody", nil, 49, klime.Exchange{}, ""},
		{"somebody", []klime.Option{asUser("u1")}, 90, klime.Exchange{}, ""},
		{"no route", []klime.Option{asUser("u1")}, 3, klime.Exchange{Route: "no slash"}, "route is not known"},
		{"no route, and refused before the router", []klime.Option{asUser("u1")}, 3, klime.Exchange{Route: "no slash", Status: 401}, ""},
		{"no route, and nobody", nil, 3, klime.Exchange{Route: "no slash"}, ""},
		{
			"a route option of another framework",
			[]klime.Option{asUser("u1"), klime.RouteFrom(func(alien) string { return "/" })}, 3,
			klime.Exchange{Route: "/", Native: 1}, "UserID, GroupID or Route option is of another",
		},
		{
			"no Link, which RequireMembership needs", []klime.Option{asUser("u1"), klime.ResolveGroup(answerWith("g1")), klime.RequireMembership()}, 3,
			klime.Exchange{}, "it needs a Link in front of every request",
		},
		{"no route, and refused as it was", []klime.Option{asUser("u1")}, 3, klime.Exchange{Route: "no slash", Status: 400}, ""},
		{
			"a resolver panics",
			[]klime.Option{asUser("u1"), klime.ResolveGroup(func(any) any { panic("secret") })}, 3,
			klime.Exchange{}, "panicked",
		},
		{
			"a group of a type that is no ID",
			[]klime.Option{asUser("u1"), klime.ResolveGroup(func(any) any { return 1.5 })}, 3,
			klime.Exchange{}, "encoding.TextMarshaler\" function=GroupID type=float64",
		},
		{
			"a user who is no text", []klime.Option{klime.ResolveUser(func(any) any { return "secret\xff" })}, 3,
			klime.Exchange{}, "such as the String of a UUID\" function=UserID",
		},
		{
			"a nil pointer, which is nobody", []klime.Option{asUser("u1"), klime.ResolveGroup(func(any) any { return (*int)(nil) })}, 3,
			klime.Exchange{}, "",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log *syncBuffer
			client, _ := newClient(t, func(cfg *klime.Config) { log = logTo(cfg) })
			tracker := klime.NewTracker(client, tt.opts...)
			for range tt.n {
				traffic{tracker: tracker, exchange: tt.in}.serve(nil)
			}
			lines := slices.DeleteFunc(strings.Split(log.String(), "\n"), func(line string) bool { return line == "" })
			switch {
			case tt.want == "" && len(lines) > 0:
				t.Errorf("log %q", lines)
			case tt.want != "" && (len(lines) != 1 || !strings.Contains(lines[0], tt.want)):
				t.Errorf("log %q, want one line with %q", lines, tt.want)
			}
			if strings.Contains(log.String(), "u1") || strings.Contains(log.String(), "secret") {
				t.Errorf("log tells too much: %s", log)
			}
		})
	}
}

// A flood of requests takes its share of the queue, and no event that the app
// has tracked itself.
func TestRequestsGiveWayToTheAppsEvents(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t, func(cfg *klime.Config) {
		cfg.QueueSize, cfg.RetryDelay = 10, time.Millisecond
	})
	wire.answers(always(http.StatusServiceUnavailable, "")) // nothing gets out
	if err := client.Track(t.Context(), "Report Generated", nil, klime.ForUser("u1")); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		traffic{tracker: klime.NewTracker(client, asUser("u1"))}.serve(nil)
	}
	if got := client.Stats(); got.Dropped[klime.DropQueueFull] != 1001-9 || got.Invalid != 0 {
		t.Errorf("%+v", got)
	}
	wire.answers(nil)
	events := wire.events(t, client)
	survived := slices.ContainsFunc(events, func(event map[string]any) bool { return event["event"] == "Report Generated" })
	if len(events) != 9 || !survived {
		t.Errorf("%d events, the app's own among them: %v", len(events), survived)
	}
}

// Header and strings of the exchange are used before Observe returns.
func TestObserveKeepsNothing(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	over := false
	traffic{tracker: klime.NewTracker(client, asUser("u1")), exchange: klime.Exchange{Header: func(string) string {
		if over {
			t.Error("the header was read later")
		}
		return ""
	}}}.serve(nil)
	over = true
	wire.one(t, client)
}

// Any status that a handler may send is recorded or left, never a failure.
func TestObserveAnyStatus(t *testing.T) {
	t.Parallel()
	client, _ := newClient(t)
	tracker := klime.NewTracker(client, asUser("u1"))
	for status := -1; status < 1000; status++ {
		for _, method := range []string{"", http.MethodGet, http.MethodPost, "BREW"} {
			scope := tracker.Begin(t.Context())
			tracker.Observe(scope, klime.Exchange{Method: method, Route: "/", Status: status, Native: 1})
		}
	}
	if got := client.Stats().Invalid; got != 0 {
		t.Errorf("%d invalid events", got)
	}
}

package klime_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	klime "github.com/klimeapp/klime-go/core"
)

// remind is a function of an app that handlers and jobs share.
func remind(ctx context.Context) { klime.Track(ctx, "Reminder Sent", nil) }

// summaryOf lists events as "user/group event".
func summaryOf(events []map[string]any) string {
	lines := make([]string, len(events))
	for i, e := range events {
		lines[i] = fmt.Sprint(who(e), " ", e["event"])
	}
	return strings.Join(lines, ", ")
}

func TestNewContext(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		act  func(ctx context.Context, c *klime.Client)
		want string
	}{
		{"of both", func(ctx context.Context, c *klime.Client) { remind(c.NewContext(ctx, "u1", "g1")) }, "u1/g1 Reminder Sent"},
		{"of a user", func(ctx context.Context, c *klime.Client) { remind(c.NewContext(ctx, "u1", "")) }, "u1/ Reminder Sent"},
		{"of a group", func(ctx context.Context, c *klime.Client) { remind(c.NewContext(ctx, "", "g1")) }, "/g1 Reminder Sent"},
		{"of nobody", func(ctx context.Context, c *klime.Client) { remind(c.NewContext(ctx, "", " ")) }, ""},
		{"no IDs", func(ctx context.Context, c *klime.Client) { remind(c.NewContext(ctx, "u\xff", "g1")) }, "/g1 Reminder Sent"},
		{"by the client", func(ctx context.Context, c *klime.Client) {
			if err := c.Track(c.NewContext(ctx, "u1", "g1"), "Job Done", nil, klime.InGroup("g2")); err != nil {
				t.Error(err)
			}
		}, "u1/g2 Job Done"},
		{"of another one later", func(ctx context.Context, c *klime.Client) {
			ctx = c.NewContext(ctx, "u1", "g1")
			klime.SetUser(ctx, "u2")
			klime.SetGroup(ctx, "g2")
			remind(ctx)
		}, "u2/g2 Reminder Sent"},
		{"of whom it links", func(ctx context.Context, c *klime.Client) {
			ctx = c.NewContext(ctx, "u1", "")
			klime.Link(ctx, klime.User{ID: "u1"}, klime.Group{ID: "g1"})
			remind(ctx)
		}, "u1/g1 <nil>, u1/g1 Reminder Sent"},
		{"of an empty context", func(_ context.Context, c *klime.Client) {
			remind(c.NewContext(nil, "u1", "")) //nolint:staticcheck // apps do this
		}, "u1/ Reminder Sent"},
		{"one within the other", func(ctx context.Context, c *klime.Client) {
			outer := c.NewContext(ctx, "u1", "g1")
			inner := c.NewContext(outer, "u2", "")
			klime.SetGroup(inner, "g2")
			remind(inner)
			klime.Silence(inner)
			remind(inner)
			remind(outer)
		}, "u2/g2 Reminder Sent, u1/g1 Reminder Sent"},
		{"with plain values around", func(_ context.Context, c *klime.Client) { remind(c.NewContext(values("u1", "g1"), "u2", "")) },
			"u2/ Reminder Sent"},
		{"of a request", func(ctx context.Context, c *klime.Client) {
			traffic{tracker: klime.NewTracker(c, asUser("u1")), ctx: ctx}.serve(func(ctx context.Context) {
				work := c.NewContext(ctx, "u2", "g2")
				remind(work)
				klime.SetUser(work, "u3")
				klime.Skip(work)
				klime.SetEvent(work, "Worked")
				klime.SetProperty(work, "n", 1)
				remind(ctx)
			})
		}, "u2/g2 Reminder Sent, u1/ Reminder Sent, u1/ API Called"},
		{"of a request that is silenced", func(ctx context.Context, c *klime.Client) {
			traffic{tracker: klime.NewTracker(c, asUser("u1")), ctx: ctx}.serve(func(ctx context.Context) {
				work := c.NewContext(ctx, "u2", "g2")
				klime.Silence(ctx)
				remind(work)
			})
		}, ""},
		{"around a request of another", func(ctx context.Context, c *klime.Client) {
			work := c.NewContext(ctx, "u1", "g1")
			traffic{tracker: klime.NewTracker(c, asUser("u2")), ctx: work}.serve(remind)
		}, "u2/ Reminder Sent, u2/ API Called"},
		{"around a request", func(ctx context.Context, c *klime.Client) {
			work := c.NewContext(ctx, "u1", "g1")
			traffic{tracker: klime.NewTracker(c), ctx: work}.serve(remind)
			traffic{tracker: klime.NewTracker(c), ctx: work}.serve(klime.Silence) // not the work
			remind(work)
		}, "u1/g1 Reminder Sent, u1/g1 API Called, u1/g1 Reminder Sent"},
		{"between two requests", func(ctx context.Context, c *klime.Client) {
			tracker := klime.NewTracker(c)
			outer := traffic{tracker: klime.NewTracker(c, asUser("u1"), klime.ResolveGroup(answerWith("g1"))), ctx: ctx, target: "/outer"}
			outer.serve(func(ctx context.Context) {
				traffic{tracker: tracker, ctx: c.NewContext(ctx, "u2", ""), target: "/inner"}.serve(remind)
			})
		}, "u2/ Reminder Sent, u2/ API Called, u1/g1 API Called"},
		{"of a request that is passed on with it", func(ctx context.Context, c *klime.Client) {
			traffic{tracker: klime.NewTracker(c, asUser("u1")), ctx: ctx, target: "/"}.serve(func(ctx context.Context) {
				traffic{tracker: klime.NewTracker(c), ctx: c.NewContext(ctx, "u2", ""), target: "/"}.serve(func(ctx context.Context) {
					if !klime.ScopeFrom(ctx).Joined() {
						t.Error("not joined")
					}
				})
			})
		}, "u1/ API Called"},
		{"of a request whose context is used again", func(ctx context.Context, c *klime.Client) {
			tracker := klime.NewTracker(c)
			reused := &pooled{Context: ctx, scope: tracker.Begin(ctx)}
			work := c.NewContext(reused, "u1", "")
			klime.Silence(reused)
			reused.scope = tracker.Begin(ctx)
			remind(work)
		}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client, wire := newClient(t)
			test.act(t.Context(), client)
			if got := summaryOf(wire.events(t, client)); got != test.want {
				t.Errorf("events:\n%s, want\n%s", got, test.want)
			}
		})
	}
}

// pooled is a context that its framework uses again, such as a *gin.Context.
type pooled struct {
	context.Context //nolint:containedctx // as frameworks do

	scope *klime.Scope
}

func (p *pooled) Value(key any) any {
	if key == klime.ScopeKey {
		return p.scope
	}
	return p.Context.Value(key)
}

// Who does not want to be tracked is not, by any client, nor in work that the request starts.
func TestNewContextHonorsOptOut(t *testing.T) {
	t.Parallel()
	web, webWire := newClient(t)
	job, jobWire := newClient(t)
	tracker := klime.NewTracker(web, klime.HonorOptOut())
	scope := tracker.Begin(t.Context())
	scope.ReadHeader(func(name string) string { return map[string]string{"Dnt": "1"}[name] })
	for _, c := range []*klime.Client{web, job} {
		if work := c.NewContext(scope, "u1", ""); !klime.ScopeFrom(work).Silenced() {
			t.Error("not silenced")
		}
		remind(c.NewContext(scope, "u1", ""))
		if err := c.Track(c.NewContext(scope, "u1", ""), "Job Done", nil); err != nil {
			t.Error(err)
		}
	}
	tracker.Observe(scope, klime.Exchange{})
	if got := summaryOf(webWire.events(t, web)) + summaryOf(jobWire.events(t, job)); got != "" {
		t.Errorf("events: %s", got)
	}
}

// What one client knows of a request that is over says nothing of a request in another's work.
func TestNewContextOfARequestThatIsOver(t *testing.T) {
	t.Parallel()
	one, wire := newClient(t)
	two, _ := newClient(t)
	tracker := klime.NewTracker(one)
	kept := tracker.Begin(t.Context())
	klime.SetUser(kept, "u1")
	tracker.Observe(kept, klime.Exchange{Method: http.MethodPost, Route: "/", Status: http.StatusOK})
	traffic{tracker: klime.NewTracker(one), ctx: two.NewContext(kept, "u2", "")}.serve(nil)
	if got := summaryOf(wire.events(t, one)); got != "u1/ API Called" {
		t.Errorf("events: %s", got)
	}
}

// Work that a request starts has its trace. The spans of other work that has the same context
// stay apart.
func TestTraceOfANewContext(t *testing.T) {
	t.Parallel()
	const header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	client, wire := newClient(t)
	tracker := klime.NewTracker(client, asUser("u1"))
	scope := tracker.Begin(t.Context())
	scope.ReadHeader(func(name string) string { return map[string]string{"Traceparent": header}[name] })
	remind(client.NewContext(scope, "u1", ""))
	klime.Skip(scope)
	tracker.Observe(scope, klime.Exchange{Route: "/"})
	worker := client.NewContext(t.Context(), "u1", "")
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	remind(trace.ContextWithSpanContext(worker, span))
	remind(worker)
	var got []any
	for _, e := range wire.events(t, client) {
		of, _ := e["context"].(map[string]any)["trace"].(map[string]any)
		got = append(got, of["traceId"])
	}
	if want := []any{"0af7651916cd43dd8448eb211c80319c", "01000000000000000000000000000000", nil}; !slices.Equal(got, want) {
		t.Errorf("traces %v, want %v", got, want)
	}
}

// A worker may keep one context: what is of requests alone leaves nothing in it, and a panic in
// LinkFunc is counted.
func TestNewContextOfAWorker(t *testing.T) {
	t.Parallel()
	client, _ := newClient(t)
	ctx := client.NewContext(t.Context(), "u1", "")
	for i := range 200 {
		klime.SetProperty(ctx, fmt.Sprint(i), func() {})
	}
	klime.LinkFunc(ctx, func() (klime.User, []klime.Group) { panic("no session") })
	if s := client.Stats(); s.Invalid != 0 || s.Panics != 1 {
		t.Errorf("%d invalid, %d panics", s.Invalid, s.Panics)
	}
}

// A nil client's work is not another client's, whose account it is not meant for.
func TestNewContextOfANilClient(t *testing.T) {
	t.Parallel()
	var off *klime.Client
	if got := off.NewContext(t.Context(), "u1", "g1"); got != t.Context() {
		t.Errorf("another context: %v", got)
	}
	other, wire := newClient(t)
	around := other.NewContext(t.Context(), "u2", "g2")
	work := off.NewContext(around, "u1", "g1")
	remind(work)
	klime.Link(work, klime.User{ID: "u1"}, klime.Group{ID: "g1"})
	klime.SetUser(work, "u1")
	klime.Silence(work)
	if err := other.Track(work, "Job Done", nil); !errors.Is(err, klime.ErrMissingIdentity) {
		t.Errorf("error %v, want ErrMissingIdentity", err)
	}
	remind(around)
	klime.Silence(around)
	if err := other.Track(work, "Job Done", nil, klime.ForUser("u1")); err != nil { // nothing is sent
		t.Error(err)
	}
	if got, want := summaryOf(wire.events(t, other)), "u2/g2 Reminder Sent"; got != want {
		t.Errorf("events:\n%s, want\n%s", got, want)
	}
}

// What is ignored within a request stays apart from it, for every client.
func TestNewContextOfAnIgnoredRequest(t *testing.T) {
	t.Parallel()
	one, _ := newClient(t)
	two, _ := newClient(t)
	tracker := klime.NewTracker(two, asUser("u2"))
	traffic{tracker: tracker, target: "/batch"}.serve(func(ctx context.Context) {
		ignored := tracker.WithoutEnclosing(ctx, &http.Request{RequestURI: "/health"})
		if err := two.Track(one.NewContext(ignored, "u1", ""), "Checked", nil); !errors.Is(err, klime.ErrMissingIdentity) {
			t.Errorf("error %v, want ErrMissingIdentity", err)
		}
	})
}

func TestNewContextInUserMode(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t, func(cfg *klime.Config) { cfg.Mode = klime.UserMode })
	remind(client.NewContext(t.Context(), "u1", "g1"))
	if got := summaryOf(wire.events(t, client)); got != "u1/ Reminder Sent" {
		t.Errorf("events: %s", got)
	}
}

// Contexts of two clients know each their own.
func TestNewContextOfTwoClients(t *testing.T) {
	t.Parallel()
	one, oneWire := newClient(t)
	two, twoWire := newClient(t)
	ctx := two.NewContext(one.NewContext(t.Context(), "u1", "g1"), "u2", "g2")
	for _, c := range []*klime.Client{one, two} {
		if err := c.Track(ctx, "Job Done", nil); err != nil {
			t.Error(err)
		}
	}
	got := []string{summaryOf(oneWire.events(t, one)), summaryOf(twoWire.events(t, two))}
	if want := []string{"u1/g1 Job Done", "u2/g2 Job Done"}; !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
}

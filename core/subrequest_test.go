package klime_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
)

// serveBatch serves a request whose handler makes others, as an endpoint for batches
// does, and returns the events as "name user/group route", in their order.
func serveBatch(t *testing.T, opts []klime.Option, handle func(serve subrequests)) []string {
	t.Helper()
	client, wire := newClient(t)
	tracker := klime.NewTracker(client, append(opts, klime.ResolveGroup(func(native any) any { return native }))...)
	batch := traffic{tracker: tracker, native: "", target: "/batch", exchange: klime.Exchange{Path: "/batch", Route: "/batch"}}
	batch.serve(func(ctx context.Context) {
		handle(func(org string, status int, handle func(ctx context.Context)) {
			traffic{tracker: tracker, ctx: ctx, native: org, target: "/orgs/" + org, exchange: klime.Exchange{
				Path: "/orgs/" + org, Route: "/orgs/{org}", Status: status,
			}}.serve(handle)
		})
	})
	var got []string
	for _, e := range wire.events(t, client) {
		properties, _ := e["properties"].(map[string]any)
		got = append(got, fmt.Sprint(e["event"], " ", who(e), " ", properties["route"]))
	}
	return got
}

// subrequests serves one, which claims to be org's, with the context of the batch.
type subrequests func(org string, status int, handle func(ctx context.Context))

// A request that the app makes itself with the context of another is one of its own:
// neither says anything of the other, but for who has made both.
func TestSubrequests(t *testing.T) {
	t.Parallel()
	track := func(ctx context.Context) { klime.Track(ctx, "Done", nil) }
	tests := []struct {
		name   string
		opts   []klime.Option
		handle func(serve subrequests)
		want   []string
	}{
		{
			"each of its own group", []klime.Option{asUser("u1")},
			func(serve subrequests) { serve("a", 200, track); serve("b", 200, track) },
			[]string{"Done u1/a <nil>", "API Called u1/a /orgs/{org}", "Done u1/b <nil>", "API Called u1/b /orgs/{org}", "API Called u1/ /batch"},
		},
		{
			"refused", []klime.Option{asUser("u1")},
			func(serve subrequests) { serve("victim", 403, nil); serve("a", 200, track) },
			[]string{"API Called u1/ /orgs/{org}", "Done u1/a <nil>", "API Called u1/a /orgs/{org}", "API Called u1/ /batch"},
		},
		{
			"named, and skipped", []klime.Option{
				asUser("u1"), klime.NameRoutes(map[string]string{"/orgs/{org}": "Org Viewed"}),
			},
			func(serve subrequests) { serve("a", 200, nil); serve("b", 200, klime.Skip) },
			[]string{"Org Viewed u1/a /orgs/{org}", "API Called u1/ /batch"},
		},
		{
			"a skipped route", []klime.Option{asUser("u1"), klime.SkipRoutes("/orgs/{org}")},
			func(serve subrequests) { serve("a", 200, nil) },
			[]string{"API Called u1/ /batch"},
		},
		{
			"what the app says of one", []klime.Option{asUser("u1")},
			func(serve subrequests) {
				serve("a", 200, func(ctx context.Context) {
					klime.SetUser(ctx, "u2")
					klime.SetGroup(ctx, "g2")
					klime.SetEvent(ctx, "Report Generated")
					track(ctx)
				})
				serve("", 200, track)
			},
			[]string{"Done u2/g2 <nil>", "Report Generated u2/g2 /orgs/{org}", "Done u1/ <nil>", "API Called u1/ /orgs/{org}", "API Called u1/ /batch"},
		},
		{
			"a silenced one", []klime.Option{asUser("u1")},
			func(serve subrequests) { serve("a", 200, klime.Silence); serve("b", 200, track) },
			[]string{"Done u1/b <nil>", "API Called u1/b /orgs/{org}", "API Called u1/ /batch"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := serveBatch(t, tt.opts, tt.handle); !slices.Equal(got, tt.want) {
				t.Errorf("\n got %q\nwant %q", got, tt.want)
			}
		})
	}
}

// What is said of the outer request holds within, where that knows nothing better: the
// user, the groups that the user was linked to, silence.
func TestSubrequestsInherit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		opts []klime.Option
		said func(ctx context.Context)
		want []string // of a sub-request of a, and of b
	}{
		{
			"SetUser and SetGroup", nil,
			func(ctx context.Context) { klime.SetUser(ctx, "u1"); klime.SetGroup(ctx, "g1") },
			[]string{"Done u1/a", "API Called u1/a", "Done u1/g1", "API Called u1/g1", "API Called u1/g1"},
		},
		{
			"Link", []klime.Option{klime.RequireMembership()},
			func(ctx context.Context) {
				klime.Link(ctx, klime.User{ID: "u1"}, klime.Group{ID: "a"})
			},
			[]string{"<nil> u1/a", "Done u1/a", "API Called u1/a", "Done u1/a", "API Called u1/a", "API Called u1/a"},
		},
		{
			"Link of another group", []klime.Option{klime.RequireMembership()},
			func(ctx context.Context) {
				klime.Link(ctx, klime.User{ID: "u1"}, klime.Group{ID: "g1"})
			},
			[]string{"<nil> u1/g1", "Done u1/", "API Called u1/", "Done u1/g1", "API Called u1/g1", "API Called u1/g1"},
		},
		{"Silence", []klime.Option{asUser("u1")}, klime.Silence, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, wire := newClient(t)
			tracker := klime.NewTracker(client, append(tt.opts, klime.ResolveGroup(func(native any) any { return native }))...)
			traffic{tracker: tracker, native: "", target: "/batch"}.serve(func(ctx context.Context) {
				tt.said(ctx)
				for _, org := range []string{"a", ""} {
					traffic{tracker: tracker, ctx: ctx, native: org, target: "/orgs"}.serve(func(ctx context.Context) {
						klime.Track(ctx, "Done", nil)
					})
				}
			})
			var got []string
			for _, e := range wire.events(t, client) {
				got = append(got, fmt.Sprint(e["event"], " ", who(e)))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("\n got %q\nwant %q", got, tt.want)
			}
		})
	}
}

// The group of a user is not that of another one, whom a sub-request has by itself.
func TestSubrequestsOfAnotherUser(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		outer, said func(ctx context.Context)
		user        any // by the sub-request's resolver
		want        string
	}{
		{"said", func(ctx context.Context) { klime.SetUser(ctx, "u1"); klime.SetGroup(ctx, "g1") }, func(ctx context.Context) { klime.SetUser(ctx, "u2") }, "", "u2/"},
		{"resolved", func(ctx context.Context) { klime.Link(ctx, klime.User{ID: "u1"}, klime.Group{ID: "g1"}) }, nil, "u2", "u2/"},
		{"said over what is resolved", func(ctx context.Context) { klime.SetUser(ctx, "u1"); klime.SetGroup(ctx, "g1") }, func(ctx context.Context) { klime.SetUser(ctx, "u2") }, "u1", "u2/"},
		{"the same", func(ctx context.Context) { klime.Link(ctx, klime.User{ID: "u1"}, klime.Group{ID: "g1"}) }, nil, "u1", "u1/g1"},
		{"of a company without a user", func(ctx context.Context) { klime.SetGroup(ctx, "g1") }, nil, "u2", "u2/g1"},
		{"nobody", func(ctx context.Context) { klime.SetUser(ctx, "u1"); klime.SetGroup(ctx, "g1") }, func(ctx context.Context) { klime.SetUser(ctx, "") }, "", ""},
		{"nobody over what is resolved, in a company", func(ctx context.Context) { klime.SetGroup(ctx, "g1") }, func(ctx context.Context) { klime.SetUser(ctx, "") }, "u2", "/g1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, wire := newClient(t)
			tracker := klime.NewTracker(client, klime.ResolveUser(func(native any) any { return native }))
			traffic{tracker: tracker, native: "", target: "/batch"}.serve(func(ctx context.Context) {
				tt.outer(ctx)
				klime.Skip(ctx)
				traffic{tracker: tracker, ctx: ctx, native: tt.user, target: "/orgs"}.serve(tt.said)
			})
			got := ""
			for _, e := range wire.events(t, client) {
				if e["type"] == "track" {
					got = who(e)
				}
			}
			if got != tt.want {
				t.Errorf("event of %q, want %q", got, tt.want)
			}
		})
	}
}

// Sub-requests may be served at the same time.
func TestConcurrentSubrequests(t *testing.T) {
	t.Parallel()
	got := serveBatch(t, []klime.Option{asUser("u1")}, func(serve subrequests) {
		begun, tracked, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			serve("a", 200, func(ctx context.Context) {
				close(begun)
				<-tracked
				klime.Track(ctx, "Done", nil)
			})
		}()
		<-begun
		serve("b", 200, func(ctx context.Context) {
			klime.Track(ctx, "Done", nil)
			close(tracked)
			<-done
		})
	})
	want := []string{"Done u1/b <nil>", "Done u1/a <nil>", "API Called u1/a /orgs/{org}", "API Called u1/b /orgs/{org}", "API Called u1/ /batch"}
	if !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

// Each of two clients has its own scope of a sub-request, and only the sub-request's is
// spoken to.
func TestSubrequestsOfTwoClients(t *testing.T) {
	t.Parallel()
	ours, ourWire := newClient(t)
	others, otherWire := newClient(t)
	serve := func(ctx context.Context, target string, handle func(ctx context.Context)) {
		x := klime.Exchange{Route: target}
		traffic{tracker: klime.NewTracker(ours, asUser("u1")), ctx: ctx, target: target, exchange: x}.serve(func(ctx context.Context) {
			traffic{tracker: klime.NewTracker(others, asUser("u2")), ctx: ctx, target: target, exchange: x}.serve(func(ctx context.Context) {
				traffic{tracker: klime.NewTracker(ours), ctx: ctx, target: target, exchange: x}.serve(handle)
			})
		})
	}
	serve(context.Background(), "/batch", func(ctx context.Context) {
		serve(ctx, "/silenced", klime.Silence)
		serve(ctx, "/orgs", func(ctx context.Context) { klime.SetGroup(ctx, "g1") })
	})
	for i, want := range [][]string{{"u1/g1 /orgs", "u1/ /batch"}, {"u2/ /orgs", "u2/ /batch"}} {
		var got []string
		for _, e := range []*wire{ourWire, otherWire}[i].events(t, []*klime.Client{ours, others}[i]) {
			got = append(got, fmt.Sprint(who(e), " ", e["properties"].(map[string]any)["route"]))
		}
		if !slices.Equal(got, want) {
			t.Errorf("client %d\n got %q\nwant %q", i, got, want)
		}
	}
}

// What is said in an ignored request says nothing of the one within which the app makes
// it. But what that one has silenced remains silent, and requests made further in know
// whose they are.
func TestIgnoredSubrequests(t *testing.T) {
	t.Parallel()
	ours, ourWire := newClient(t)
	others, otherWire := newClient(t)
	tracker, other := klime.NewTracker(ours, asUser("u1")), klime.NewTracker(others, asUser("u1"))
	ignored := func(ctx context.Context, handle func(ctx context.Context)) {
		ctx = tracker.WithoutEnclosing(ctx, &http.Request{RequestURI: "/ignored"})
		if ctx == nil || klime.ScopeFrom(ctx) != nil {
			t.Fatal("the enclosing request is not hidden")
		}
		if again := tracker.WithoutEnclosing(ctx, &http.Request{RequestURI: "/ignored"}); again != nil {
			t.Error("the enclosing request is hidden twice")
		}
		handle(ctx)
	}
	serve := func(tracker *klime.Tracker, ctx context.Context, target string, handle func(ctx context.Context)) {
		traffic{tracker: tracker, ctx: ctx, target: target, exchange: klime.Exchange{Route: target}}.serve(handle)
	}
	batch := func(handle func(ctx context.Context)) {
		serve(other, context.Background(), "/batch", func(ctx context.Context) {
			serve(tracker, ctx, "/batch", func(ctx context.Context) { ignored(ctx, handle) })
		})
	}
	batch(func(ctx context.Context) {
		klime.SetUser(ctx, "robot")
		klime.SetEvent(ctx, "Other")
		klime.SetProperty(ctx, "k", "v")
		klime.Skip(ctx)
		klime.Silence(ctx)
		klime.Track(ctx, "Done", nil)
		klime.Link(ctx, klime.User{ID: "robot"}, klime.Group{ID: "robots"})
		if err := others.Track(ctx, "Done", nil); !errors.Is(err, klime.ErrMissingIdentity) {
			t.Errorf("Track of a client: %v", err)
		}
		if err := ours.Link(ctx, klime.User{ID: "linked"}, klime.Group{ID: "g1"}); err != nil {
			t.Error(err)
		}
		serve(klime.NewTracker(others), ctx, "/orgs", nil)
	})
	serve(tracker, context.Background(), "/staff", func(ctx context.Context) {
		klime.Silence(ctx)
		ignored(ctx, func(ctx context.Context) {
			if err := ours.Track(ctx, "Done", nil, klime.ForUser("u1")); err != nil {
				t.Error(err)
			}
			serve(tracker, ctx, "/orgs", nil)
		})
	})
	for i, want := range [][]string{{"<nil> linked/g1 <nil>", "API Called u1/ /batch"}, {"API Called u1/ /orgs", "API Called u1/ /batch"}} {
		var got []string
		for _, e := range []*wire{ourWire, otherWire}[i].events(t, []*klime.Client{ours, others}[i]) {
			properties, _ := e["properties"].(map[string]any)
			got = append(got, fmt.Sprint(e["event"], " ", who(e), " ", properties["route"]))
		}
		if !slices.Equal(got, want) {
			t.Errorf("client %d\n got %q\nwant %q", i, got, want)
		}
	}
}

// What a silenced request has started may make requests after its end: they are silent
// too, and so are those within them.
func TestSubrequestsAfterSilence(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	tracker := klime.NewTracker(client, asUser("customer"))
	serve := func(ctx context.Context, target string, handle func(ctx context.Context)) {
		traffic{tracker: tracker, ctx: ctx, target: target, exchange: klime.Exchange{Route: target}}.serve(handle)
	}
	var kept []context.Context
	serve(context.Background(), "/import", func(ctx context.Context) {
		klime.Silence(ctx)
		kept = append(kept, ctx)
	})
	kept = append(kept, tracker.WithoutEnclosing(kept[0], &http.Request{RequestURI: "/ignored"}))
	for _, ctx := range kept {
		serve(ctx, "/rows", func(ctx context.Context) {
			klime.Track(ctx, "Row Imported", nil)
			serve(ctx, "/cells", nil)
		})
	}
	serve(context.Background(), "/rows", nil)
	if events := wire.events(t, client); len(events) != 1 {
		t.Errorf("got %v, want the last request alone", events)
	}
}

// A Silence after the end of a request reaches what it has started and is still running.
func TestSilenceAfterTheEnd(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	tracker := klime.NewTracker(client, asUser("customer"))
	scope := tracker.BeginIn(context.Background(), new(klime.Scope), &http.Request{RequestURI: "/import"})
	klime.Skip(scope)
	tracker.Observe(scope, klime.Exchange{Method: "POST", Route: "/import", Status: 200})
	traffic{tracker: tracker, ctx: scope, target: "/rows", exchange: klime.Exchange{Route: "/rows"}}.serve(func(ctx context.Context) {
		klime.Silence(scope)
		klime.Track(ctx, "Row Imported", nil)
	})
	if events := wire.events(t, client); len(events) != 0 {
		t.Errorf("got %v", events)
	}
}

// Silence holds for every client, also for one whose middleware stands around the
// enclosing request only.
func TestSilenceInAnotherClientsSubrequest(t *testing.T) {
	t.Parallel()
	ours, wire := newClient(t)
	others, _ := newClient(t)
	tracker, other := klime.NewTracker(ours, asUser("u1")), klime.NewTracker(others, asUser("u1"))
	traffic{tracker: tracker, target: "/batch", exchange: klime.Exchange{Route: "/batch"}}.serve(func(ctx context.Context) {
		traffic{tracker: other, ctx: ctx, target: "/staff", exchange: klime.Exchange{Route: "/staff"}}.serve(func(ctx context.Context) {
			klime.Silence(ctx)
			if err := ours.Track(ctx, "Row Imported", nil); err != nil {
				t.Error(err)
			}
			if err := ours.Link(ctx, klime.User{ID: "customer"}, klime.Group{ID: "g1"}); err != nil {
				t.Error(err)
			}
		})
	})
	if events := wire.events(t, ours); len(events) != 1 {
		t.Errorf("got %v, want the enclosing request alone", events)
	}
}

// What a caller who has opted out has started is silent too, also within another client's
// middleware. That other client goes by its own options.
func TestSubrequestsAfterAnOptOut(t *testing.T) {
	t.Parallel()
	ours, ourWire := newClient(t)
	others, otherWire := newClient(t)
	tracker, other := klime.NewTracker(ours, asUser("u1"), klime.HonorOptOut()), klime.NewTracker(others, asUser("u1"))
	scope := tracker.BeginIn(context.Background(), new(klime.Scope), &http.Request{RequestURI: "/batch"})
	scope.ReadHeader(http.Header{"Dnt": {"1"}}.Get)
	rows := klime.Exchange{Route: "/rows"}
	serve := func() {
		traffic{tracker: tracker, ctx: scope, target: "/rows", exchange: rows}.serve(nil)
		traffic{tracker: other, ctx: scope, target: "/rows", exchange: rows}.serve(func(within context.Context) {
			traffic{tracker: tracker, ctx: within, target: "/rows", exchange: rows}.serve(nil)
			ignored := other.WithoutEnclosing(within, &http.Request{RequestURI: "/ignored"})
			if err := others.Track(ignored, "Row Imported", nil, klime.ForUser("u1")); err != nil {
				t.Error(err)
			}
		})
	}
	serve()
	tracker.Observe(scope, klime.Exchange{Method: "POST", Route: "/batch", Status: 200})
	serve()
	if events := ourWire.events(t, ours); len(events) != 0 {
		t.Errorf("got %v", events)
	}
	if events := otherWire.events(t, others); len(events) != 4 {
		t.Errorf("got %v, want two requests and two rows", events)
	}
}

// An ignored request within no other, or that has passed another middleware further out,
// is passed on untouched.
func TestWithoutEnclosing(t *testing.T) {
	t.Parallel()
	client, _ := newClient(t)
	tracker := klime.NewTracker(client)
	incoming := &http.Request{RequestURI: "/orgs"}
	scope := tracker.BeginIn(context.Background(), new(klime.Scope), incoming)
	for name, ctx := range map[string]context.Context{"alone": context.Background(), "passed on": scope} {
		if got := tracker.WithoutEnclosing(ctx, incoming); got != nil {
			t.Errorf("%s: %v", name, got)
		}
	}
	tracker.Observe(scope, klime.Exchange{})
	if ctx := tracker.WithoutEnclosing(scope, &http.Request{RequestURI: "/ignored"}); ctx == nil || klime.ScopeFrom(ctx) != nil {
		t.Error("a request made after the end of the enclosing one is taken for a part of it")
	}
}

// RequireMembership holds within, wherever it was asked for.
func TestSubrequestsInheritRequireMembership(t *testing.T) {
	t.Parallel()
	claims := []klime.Option{asUser("u1"), klime.ResolveGroup(func(native any) any { return native })}
	strict := append(slices.Clone(claims), klime.RequireMembership())
	for name, opts := range map[string][2][]klime.Option{
		"around": {strict, claims}, "within": {claims, strict}, "both": {strict, strict},
	} {
		client, wire := newClient(t)
		outer, inner := klime.NewTracker(client, opts[0]...), klime.NewTracker(client, opts[1]...)
		traffic{tracker: outer, native: "", target: "/batch"}.serve(func(ctx context.Context) {
			klime.Skip(ctx)
			traffic{tracker: inner, ctx: ctx, native: "g1", target: "/orgs"}.serve(nil)
		})
		if got := who(wire.one(t, client)); got != "u1/" {
			t.Errorf("%s: event of %s, want u1/", name, got)
		}
	}
}

// A request that is made with the context of one that is over has nothing of that.
func TestRequestWithinOneThatIsOver(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	var kept context.Context
	traffic{tracker: klime.NewTracker(client, asUser("u1")), target: "/batch"}.serve(func(ctx context.Context) {
		klime.SetGroup(ctx, "g1")
		klime.Skip(ctx)
		kept = ctx //nolint:fatcontext // kept past the request on purpose
	})
	traffic{tracker: klime.NewTracker(client), ctx: kept, target: "/orgs"}.serve(nil)
	traffic{tracker: klime.NewTracker(client, asUser("u2")), ctx: kept, target: "/orgs"}.serve(nil)
	if got := who(wire.one(t, client)); got != "u2/" {
		t.Errorf("event of %s, want u2/", got)
	}
}

// Of some requests an adapter does not tell how they came in: such a request is the same as
// the one around it, and known from the first middleware that does tell.
func TestSubrequestsOfSparseAdapters(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	tracker := klime.NewTracker(client, asUser("u1"))
	for _, targets := range [][2]string{{"", "/batch"}, {"/batch", ""}, {"", ""}} {
		traffic{tracker: tracker, target: targets[0]}.serve(func(ctx context.Context) {
			traffic{tracker: tracker, ctx: ctx, target: targets[1]}.serve(func(ctx context.Context) {
				traffic{tracker: tracker, ctx: ctx, target: "/orgs"}.serve(nil)
			})
		})
	}
	if n := len(wire.events(t, client)); n != 5 { // of the last three, nothing tells that the innermost is another request
		t.Errorf("%d events, want 5", n)
	}
}

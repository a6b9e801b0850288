package klime_test

import (
	"context"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// values is a request's context that has the plain values userId and groupId.
func values(user, group any) context.Context {
	ctx := context.WithValue(context.Background(), "userId", user) //nolint:revive,staticcheck // the plain key is the point
	return context.WithValue(ctx, "groupId", group)                //nolint:revive,staticcheck // likewise
}

// Whose request it is: what the app says, then the resolvers, then the plain
// context values; of a group that is a mere claim, not without a user and not
// where the app turned the request away.
func TestWhoseRequest(t *testing.T) {
	t.Parallel()
	resolvers := func(user, group any) []klime.Option {
		return []klime.Option{klime.ResolveUser(answerWith(user)), klime.ResolveGroup(answerWith(group))}
	}
	tests := []struct {
		name   string
		opts   []klime.Option
		ctx    context.Context //nolint:containedctx // a column of the table
		status int
		handle func(ctx context.Context)
		want   string // user/group, "" for no event
	}{
		{name: "nobody", want: ""},
		{name: "context values", ctx: values("u1", "g1"), want: "u1/g1"},
		{name: "context values, integers", ctx: values(1, int64(2)), want: "1/2"},
		{name: "resolvers", opts: resolvers("u1", "g1"), want: "u1/g1"},
		{name: "resolvers before context values", opts: resolvers("u1", "g1"), ctx: values("u2", "g2"), want: "u1/g1"},
		{name: "each by itself", opts: resolvers("u1", nil), ctx: values("u2", "g2"), want: "u1/g2"},
		{name: "a resolver's zero answer is none", opts: resolvers(0, ""), ctx: values("u2", "g2"), want: "u2/g2"},
		{
			name: "the app before resolvers and values", opts: resolvers("u2", "g2"), ctx: values("u3", "g3"),
			handle: func(ctx context.Context) { klime.SetUser(ctx, "u1"); klime.SetGroup(ctx, "g1") }, want: "u1/g1",
		},
		{
			name: "the app's user, the resolver's group", opts: resolvers("u2", "g2"),
			handle: func(ctx context.Context) { klime.SetUser(ctx, "u1") }, want: "u1/g2",
		},
		{
			name: "the app's group, the resolver's user", opts: resolvers("u2", "g2"),
			handle: func(ctx context.Context) { klime.SetGroup(ctx, "g1") }, want: "u2/g1",
		},
		{
			name: "the app's last word", handle: func(ctx context.Context) {
				klime.SetUser(ctx, "u1")
				klime.SetGroup(ctx, "g1")
				klime.SetUser(ctx, "u2")
				klime.SetGroup(ctx, "g2")
			}, want: "u2/g2",
		},
		{
			name: "another user: not in the group of the one before", handle: func(ctx context.Context) {
				klime.SetUser(ctx, "u1")
				klime.SetGroup(ctx, "g1")
				klime.SetUser(ctx, "u2")
			}, want: "u2/",
		},
		{
			name: "another user: the group that a resolver finds", opts: resolvers("u2", "g2"), handle: func(ctx context.Context) {
				klime.SetUser(ctx, "u1")
				klime.SetGroup(ctx, "g1")
				klime.SetUser(ctx, "u2")
			}, want: "u2/g2",
		},
		{
			name: "another user is linked: in the group of that Link", handle: func(ctx context.Context) {
				klime.SetUser(ctx, "u1")
				klime.SetGroup(ctx, "g1")
				klime.Link(ctx, klime.User{ID: "u2"}, klime.Group{ID: "g2"})
			}, want: "u2/g2",
		},
		{
			name: "another user is linked to several: in none of them", handle: func(ctx context.Context) {
				klime.SetUser(ctx, "u1")
				klime.SetGroup(ctx, "g1")
				klime.Link(ctx, klime.User{ID: "u2"}, klime.Group{ID: "g2"}, klime.Group{ID: "g3"})
			}, want: "u2/",
		},
		{
			name: "the same user again keeps the group", handle: func(ctx context.Context) {
				klime.SetUser(ctx, "u1")
				klime.SetGroup(ctx, "g1")
				klime.Link(ctx, klime.User{ID: "u1"}, klime.Group{ID: "g2"}, klime.Group{ID: "g3"})
			}, want: "u1/g1",
		},
		{
			name: "the user signs out: still the group's", handle: func(ctx context.Context) {
				klime.SetUser(ctx, "u1")
				klime.SetGroup(ctx, "g1")
				klime.SetUser(ctx, "")
			}, want: "/g1",
		},
		{
			name: "another user after a sign-out: not in the group of the one before", handle: func(ctx context.Context) {
				klime.SetUser(ctx, "u1")
				klime.SetGroup(ctx, "g1")
				klime.SetUser(ctx, "")
				klime.Link(ctx, klime.User{ID: "u2"}, klime.Group{ID: "g2"})
			}, want: "u2/g2",
		},
		{
			name: "a group that is named after a sign-out, then another user", handle: func(ctx context.Context) {
				klime.SetUser(ctx, "u1")
				klime.SetUser(ctx, "")
				klime.SetGroup(ctx, "g1")
				klime.SetUser(ctx, "u2")
			}, want: "u2/g1",
		},
		{
			name: "another user is linked to several, of which the active one was named before", handle: func(ctx context.Context) {
				klime.SetUser(ctx, "u1")
				klime.SetGroup(ctx, "g3")
				klime.Link(ctx, klime.User{ID: "u2"}, klime.Group{ID: "g2"}, klime.Group{ID: "g3"})
			}, want: "u2/g3",
		},
		{
			name: "another user, but no group by the app's word", opts: resolvers("u3", "g3"), handle: func(ctx context.Context) {
				klime.SetUser(ctx, "u1")
				klime.SetGroup(ctx, "")
				klime.SetUser(ctx, "u2")
			}, want: "u2/",
		},
		{
			name: "bytes that are not UTF-8 name nobody", opts: resolvers("\xffu1", "g1"), ctx: values("u2", "g2\xff"),
			handle: func(ctx context.Context) { klime.SetGroup(ctx, "g3\xfe") }, want: "u2/",
		},
		{
			name: "blanks name nobody", opts: resolvers("u1", "g1"), ctx: values("u2", "g2"),
			handle: func(ctx context.Context) { klime.SetUser(ctx, " \t"); klime.SetGroup(ctx, " ") }, want: "",
		},
		{
			name: "SetUser of nobody: nobody's", opts: resolvers("u2", "g2"), ctx: values("u3", "g3"),
			handle: func(ctx context.Context) { klime.SetUser(ctx, "") }, want: "",
		},
		{
			name: "SetGroup of none: in none", opts: resolvers("u2", "g2"), ctx: values("u3", "g3"),
			handle: func(ctx context.Context) { klime.SetGroup(ctx, "") }, want: "u2/",
		},
		{
			name: "an organisation without a user", opts: resolvers(nil, nil),
			handle: func(ctx context.Context) { klime.SetGroup(ctx, "g1") }, want: "/g1",
		},
		{
			name: "nobody in the app's group", opts: resolvers("u2", "g2"),
			handle: func(ctx context.Context) { klime.SetUser(ctx, ""); klime.SetGroup(ctx, "g1") }, want: "/g1",
		},
		{
			name: "Link speaks for the app", opts: resolvers("u2", "g2"),
			handle: func(ctx context.Context) {
				klime.Link(ctx, klime.User{ID: "u1"}, klime.Group{ID: "g1"})
			}, want: "u1/g1",
		},
		{
			name: "Link without a group leaves the resolver's", opts: resolvers("u2", "g2"),
			handle: func(ctx context.Context) { klime.Link(ctx, klime.User{ID: "u1"}) }, want: "u1/g2",
		},
		{
			name: "Link of several groups names none",
			handle: func(ctx context.Context) {
				klime.Link(ctx, klime.User{ID: "u1"}, klime.Group{ID: "g1"}, klime.Group{ID: "g2"})
			}, want: "u1/",
		},
		{
			name: "Link of one group, named twice",
			handle: func(ctx context.Context) {
				klime.Link(ctx, klime.User{ID: "u1"}, klime.Group{ID: "g1"}, klime.Group{ID: "g1"})
			}, want: "u1/g1",
		},
		{
			name: "Link of one group, named twice, of several before",
			handle: func(ctx context.Context) {
				klime.Link(ctx, klime.User{ID: "u1"}, klime.Group{ID: "g1"}, klime.Group{ID: "g2"})
				klime.Link(ctx, klime.User{ID: "u1"}, klime.Group{ID: "g1"}, klime.Group{ID: "g1"})
			}, want: "u1/g1",
		},
		{
			name: "Link of several groups, a resolver says which", opts: resolvers("u2", "g2"),
			handle: func(ctx context.Context) {
				klime.Link(ctx, klime.User{ID: "u1"}, klime.Group{ID: "g1"}, klime.Group{ID: "g2"})
			}, want: "u1/g2",
		},
		{
			name: "Link of several groups after SetGroup",
			handle: func(ctx context.Context) {
				klime.SetGroup(ctx, "g1")
				klime.Link(ctx, klime.User{ID: "u1"}, klime.Group{ID: "g1"}, klime.Group{ID: "g2"})
			}, want: "u1/g1",
		},

		{name: "claim without a user", opts: resolvers(nil, "g1"), want: ""},
		{name: "claim of context values without a user", ctx: values(nil, "g1"), want: ""},
		{name: "claim at 401", opts: resolvers("u1", "g1"), status: 401, want: "u1/"},
		{name: "claim at 403", opts: resolvers("u1", "g1"), status: 403, want: "u1/"},
		{name: "claim at 404", opts: resolvers("u1", "g1"), status: 404, want: "u1/"},
		{name: "claim of context values at 403", ctx: values("u1", "g1"), status: 403, want: "u1/"},
		{name: "claim at 400", opts: resolvers("u1", "g1"), status: 400, want: "u1/g1"},
		{name: "claim at 500", opts: resolvers("u1", "g1"), status: 500, want: "u1/g1"},
		{
			name: "the app's word at 403", status: 403,
			handle: func(ctx context.Context) { klime.SetUser(ctx, "u1"); klime.SetGroup(ctx, "g1") }, want: "u1/g1",
		},
		{
			name: "a link at 403", status: 403,
			handle: func(ctx context.Context) { klime.Link(ctx, klime.User{ID: "u1"}, klime.Group{ID: "g1"}) }, want: "u1/g1",
		},
		{
			name: "a claim with the app's user", opts: resolvers(nil, "g1"),
			handle: func(ctx context.Context) { klime.SetUser(ctx, "u1") }, want: "u1/g1",
		},

		{
			name: "a resolver that panics has no answer",
			opts: []klime.Option{klime.ResolveUser(func(any) any { panic("no session") }), klime.ResolveGroup(answerWith("g1"))},
			ctx:  values("u3", nil), want: "u3/g1",
		},
		{
			name: "an answer that panics is none", opts: resolvers(shows(func() string { panic("no session") }), "g1"),
			ctx: values("u3", nil), want: "u3/g1",
		},
		{name: "a context value that panics is none", ctx: values(shows(func() string { panic("no session") }), "g1"), want: ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, wire := newClient(t)
			request := traffic{
				tracker: klime.NewTracker(client, tt.opts...), ctx: tt.ctx, exchange: klime.Exchange{Status: tt.status},
			}
			request.serve(tt.handle)
			got := ""
			for _, event := range wire.events(t, client) {
				if event["type"] == "track" {
					got = who(event)
				}
			}
			if got != tt.want {
				t.Errorf("event of %q, want %q", got, tt.want)
			}
			if anonymous := client.Stats().Anonymous; (anonymous == 1) != (tt.want == "") {
				t.Errorf("Stats().Anonymous is %d", anonymous)
			}
		})
	}
}

// shows is an ID that is made on demand.
type shows func() string

func (f shows) String() string { return f() }

// The identity in the middle of a request: the same rules, before the answer
// is known.
func TestScopeIdentityDuringRequest(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	user := "u1"
	tracker := klime.NewTracker(client,
		klime.ResolveUser(func(any) any { return user }), klime.ResolveGroup(answerWith("g1")))
	traffic{tracker: tracker}.serve(func(ctx context.Context) {
		scope := klime.ScopeFrom(ctx)
		if scope.UserID() != "u1" || scope.GroupID() != "g1" {
			t.Errorf("scope of %s/%s", scope.UserID(), scope.GroupID())
		}
		user = "" // signed out
		if scope.UserID() != "" || scope.GroupID() != "" {
			t.Errorf("signed out: scope of %s/%s", scope.UserID(), scope.GroupID())
		}
		klime.Track(ctx, "Done", nil)
		user = "u2"
		klime.Track(ctx, "Done", nil)
	})
	events := wire.events(t, client)
	if len(events) != 2 || who(events[0]) != "u2/g1" || who(events[1]) != "u2/g1" {
		t.Errorf("events %v, want those of u2 alone", events)
	}
	if got := client.Stats().Invalid; got != 1 {
		t.Errorf("%d invalid events counted, want the one of nobody", got)
	}
}

// What a goroutine that the handler has left behind declares while the resolvers are asked
// counts, and is not mixed with what they find for another user.
func TestDeclaredWhileResolversAreAsked(t *testing.T) {
	t.Parallel()
	several := []klime.Group{{ID: "g1"}, {ID: "g2"}}
	tests := []struct {
		name     string
		resolved string // the user that a resolver finds
		before   func(ctx context.Context)
		declare  func(ctx context.Context)
		want     string
	}{
		{"Link", "u2", nil, func(ctx context.Context) { klime.Link(ctx, klime.User{ID: "u1"}, several[0]) }, "u1/g1"},
		{"Link of nobody's request", "", nil, func(ctx context.Context) { klime.Link(ctx, klime.User{ID: "u1"}, several[0]) }, "u1/g1"},
		{"Link to several groups", "u2", nil, func(ctx context.Context) { klime.Link(ctx, klime.User{ID: "u1"}, several...) }, "u1/"},
		{"SetUser", "u2", nil, func(ctx context.Context) { klime.SetUser(ctx, "u1") }, "u1/"},
		{"SetUser of the same", "u2", nil, func(ctx context.Context) { klime.SetUser(ctx, "u2") }, "u2/g9"},
		{"SetUser where nobody was known", "", nil, func(ctx context.Context) { klime.SetUser(ctx, "u1") }, "u1/g9"},
		{
			"SetUser of another one", "u3", func(ctx context.Context) { klime.SetUser(ctx, "u2") },
			func(ctx context.Context) { klime.SetUser(ctx, "u1") }, "u1/",
		},
		{"SetGroup", "u2", nil, func(ctx context.Context) { klime.SetGroup(ctx, "g1") }, "u2/g1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, wire := newClient(t)
			var scope *klime.Scope
			tracker := klime.NewTracker(client, asUser(tt.resolved), klime.ResolveGroup(func(any) any {
				var leftBehind sync.WaitGroup
				leftBehind.Go(func() { tt.declare(scope) })
				leftBehind.Wait()
				return "g9"
			}))
			traffic{tracker: tracker}.serve(func(ctx context.Context) {
				scope = klime.ScopeFrom(ctx)
				if tt.before != nil {
					tt.before(ctx)
				}
			})
			events := wire.events(t, client)
			if last := events[len(events)-1]; last["event"] != "API Called" || who(last) != tt.want {
				t.Errorf("%v of %s, want %s", last["event"], who(last), tt.want)
			}
		})
	}
}

// A value set further in is seen by events tracked there.
func TestTrackTakesValuesOfItsOwnContext(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	traffic{tracker: klime.NewTracker(client)}.serve(func(ctx context.Context) {
		klime.Skip(ctx)
		inner := context.WithValue(ctx, "userId", "u1") //nolint:revive,staticcheck // the plain key is the point
		klime.Track(inner, "Done", nil)
	})
	if got := who(wire.one(t, client)); got != "u1/" {
		t.Errorf("event of %s", got)
	}
}

// A request's context may be kept past the request: what is tracked with it is
// still the request's user's, and asks no resolver any more.
func TestKeptContext(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	over := false
	tracker := klime.NewTracker(client, klime.ResolveUser(func(any) any {
		if over {
			t.Error("asked after the request")
			return "somebody else"
		}
		return "u1"
	}), klime.ResolveGroup(answerWith("g1")))
	var kept context.Context
	traffic{tracker: tracker}.serve(func(ctx context.Context) {
		klime.Skip(ctx)
		var cancel context.CancelFunc
		kept, cancel = context.WithCancel(context.WithoutCancel(ctx)) //nolint:fatcontext // kept past the request on purpose
		cancel()
	})
	over = true
	if err := client.Track(kept, "Report Generated", nil); err != nil {
		t.Fatal(err)
	}
	if got := who(wire.one(t, client)); got != "u1/g1" {
		t.Errorf("event of %s, want u1/g1", got)
	}
	klime.SetUser(kept, "u2")
	klime.SetProperty(kept, "late", true)
	if got := klime.ScopeFrom(kept).UserID(); got != "u2" {
		t.Errorf("SetUser after the request: %q", got)
	}
}

// So is what a request has started that is itself no event. Nobody is asked of what
// is silenced, or has no route.
func TestKeptContextOfWhatIsNoEvent(t *testing.T) {
	t.Parallel()
	header := func(name, value string) func(string) string { return http.Header{name: {value}}.Get }
	get := klime.Exchange{Method: "GET", Route: "/charts/{id}"}
	with := func(change func(*klime.Exchange)) klime.Exchange {
		x := get
		change(&x)
		return x
	}
	tests := []struct {
		name    string
		in      klime.Exchange
		opts    []klime.Option
		handler func(context.Context)
		want    string // whose the later event is, "" for nobody's
	}{
		{name: "an image", in: with(func(x *klime.Exchange) { x.ContentType = "image/png" }), want: "u1/g1"},
		{name: "an image whose route is not known", in: with(func(x *klime.Exchange) { x.Route, x.ContentType = "", "image/png" }), want: "u1/g1"},
		{name: "HEAD", in: with(func(x *klime.Exchange) { x.Method = "HEAD" }), want: "u1/g1"},
		{name: "a prefetch", in: with(func(x *klime.Exchange) { x.Header = header("Sec-Purpose", "prefetch") }), want: "u1/g1"},
		{name: "a health check", in: with(func(x *klime.Exchange) { x.Route = "/ping" }), want: "u1/g1"},
		{name: "a redirect", in: with(func(x *klime.Exchange) { x.Status = 302 }), want: "u1/g1"},
		{name: "a probe", in: with(func(x *klime.Exchange) { x.Header = header("User-Agent", "kube-probe/1.31") }), want: "u1/g1"},
		{name: "a file that is not there", in: with(func(x *klime.Exchange) { x.Route, x.Status = "/files/*", 404 }), want: "u1/"},
		{name: "skipped", in: get, handler: klime.Skip, want: "u1/g1"},
		{name: "a skipped route", in: get, opts: []klime.Option{klime.SkipRoutes("/charts/{id}")}, want: "u1/g1"},
		{
			name: "noise by ClassifyWith", in: get, want: "u1/g1",
			opts: []klime.Option{klime.ClassifyWith(func(klime.Exchange, klime.Kind) klime.Kind { return klime.KindNoise })},
		},
		{name: "silenced", in: get, handler: klime.Silence},
		{name: "no route", in: klime.Exchange{Method: "GET", Status: 404}},
		{name: "no route, and answered otherwise", in: klime.Exchange{Method: "GET", Status: 400, Unmatched: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, wire := newClient(t)
			asked := 0
			tracker := klime.NewTracker(client, append(tt.opts,
				klime.ResolveUser(func(any) any { asked++; return "u1" }), klime.ResolveGroup(answerWith("g1")))...)
			tt.in.Native = 1
			if tt.in.Status == 0 {
				tt.in.Status = http.StatusOK
			}
			scope := tracker.Begin(t.Context())
			if tt.handler != nil {
				tt.handler(scope)
			}
			tracker.Observe(scope, tt.in)
			_ = client.Track(scope, "Chart Exported", nil)
			if tt.want == "" {
				if n := len(wire.events(t, client)); n != 0 || asked != 0 {
					t.Errorf("%d events, asked %d times", n, asked)
				}
				return
			}
			if got := who(wire.one(t, client)); got != tt.want || asked != 1 {
				t.Errorf("event of %s, want %s; asked %d times", got, tt.want, asked)
			}
		})
	}
}

// The claim of a request that was turned away counts in no later event either.
func TestKeptContextOfRefusedRequest(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	tracker := klime.NewTracker(client, klime.ResolveUser(answerWith("u1")), klime.ResolveGroup(answerWith("g1")))
	var kept context.Context
	traffic{tracker: tracker, exchange: klime.Exchange{Status: 403}}.serve(func(ctx context.Context) {
		klime.Skip(ctx)
		kept = ctx //nolint:fatcontext // kept past the request on purpose
	})
	if err := client.Track(kept, "Done", nil); err != nil {
		t.Fatal(err)
	}
	if got := who(wire.one(t, client)); got != "u1/" {
		t.Errorf("event of %s, want u1/", got)
	}
}

// Once the request is over, plain values that are kept beside it say nothing.
func TestKeptContextReadsNoValues(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	var kept context.Context
	traffic{tracker: klime.NewTracker(client, asUser("u1"))}.serve(func(ctx context.Context) {
		klime.Skip(ctx)
		kept = context.WithValue(ctx, "groupId", "g1") //nolint:fatcontext,revive,staticcheck // as apps keep it
	})
	if err := client.Track(kept, "Done", nil); err != nil {
		t.Fatal(err)
	}
	if got := who(wire.one(t, client)); got != "u1/" {
		t.Errorf("event of %s, want u1/", got)
	}
}

// What the app says after the request counts as it would have before: a user who signs
// in over a WebSocket, by the first message, is no member of another one's company.
func TestKeptContextSpeaksLater(t *testing.T) {
	t.Parallel()
	then := func(calls ...func(context.Context)) func(context.Context) {
		return func(ctx context.Context) {
			for _, call := range calls {
				call(ctx)
			}
		}
	}
	claims := []klime.Option{asUser("u1"), klime.ResolveGroup(answerWith("g1"))}
	strict := slices.Concat(claims, []klime.Option{klime.RequireMembership()})
	tests := []struct {
		name        string
		opts        []klime.Option
		early, late func(context.Context)
		want        string // "/" for nobody
	}{
		{"nothing", claims, then(), then(), "u1/g1"},
		{"nothing, of a user without a group", claims[:1], then(), then(), "u1/"},
		{"a user, after a link", nil, link("u1", "g1"), setUser("u2"), "u2/"},
		{"a user, and back", nil, link("u1", "g1"), then(setUser("u2"), setUser("u1")), "u1/g1"},
		{"the same user", claims, then(), setUser("u1"), "u1/g1"},
		{"a user, where there was none", nil, then(), setUser("u2"), "u2/"},
		{"a user, in the app's group", nil, setGroup("g1"), setUser("u2"), "u2/g1"},
		{"nobody, after a claim", claims, then(), setUser(""), "/"},
		{"nobody, after a link", nil, link("u1", "g1"), setUser(""), "/"},
		{"a group", claims, then(), setGroup("g2"), "u1/g2"},
		{"no group", claims, then(), setGroup(""), "u1/"},
		{"a link, where there was nobody", nil, then(), link("u1", "g1"), "u1/g1"},
		{"a link of another user", nil, link("u1", "g1"), link("u2", "g2"), "u2/g2"},
		{"a link of another user without a group", nil, link("u1", "g1"), link("u2"), "u2/"},
		{"a link of another group", nil, link("u1", "g1"), link("u1", "g2"), "u1/g2"},
		{"a link over a claim", claims, then(), link("u1", "g2"), "u1/g2"},
		{"a link of several groups", nil, link("u1", "g1"), link("u1", "g2", "g3"), "u1/"},
		{"a link of several groups, and a claim", claims, then(), link("u1", "g2", "g3"), "u1/g1"},
		{"a claim that is not linked", strict, then(), then(), "u1/"},
		{"a claim that is linked", strict, then(), link("u1", "g1", "g2"), "u1/g1"},
		{"a claim that is linked, then another user", strict, link("u1", "g1"), setUser("u2"), "u2/"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, _ := newClient(t)
			tracker := klime.NewTracker(client, tt.opts...)
			check := func(when string, ctx context.Context) {
				t.Helper()
				if s := klime.ScopeFrom(ctx); s.UserID()+"/"+s.GroupID() != tt.want {
					t.Errorf("%s the request: %s/%s, want %s", when, s.UserID(), s.GroupID(), tt.want)
				}
			}
			traffic{tracker: tracker}.serve(func(ctx context.Context) {
				tt.early(ctx)
				tt.late(ctx)
				check("in", ctx)
			})
			var kept context.Context
			traffic{tracker: tracker}.serve(func(ctx context.Context) {
				tt.early(ctx)
				kept = ctx //nolint:fatcontext // kept past the request on purpose
			})
			tt.late(kept)
			check("after", kept)
		})
	}
}

// A claim of the request's user is not one of a user who is named after the request.
func TestKeptContextOfAnotherUser(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	tracker := klime.NewTracker(client, asUser("u1"), klime.ResolveGroup(answerWith("g1")))
	var kept context.Context
	traffic{tracker: tracker}.serve(func(ctx context.Context) {
		klime.Skip(ctx)
		kept = ctx //nolint:fatcontext // kept past the request on purpose
	})
	klime.SetUser(kept, "u2")
	klime.Track(kept, "Done", nil)
	if got := who(wire.one(t, client)); got != "u2/" {
		t.Errorf("event of %s, want u2/", got)
	}
}

// Once Observe has returned, the framework may reuse its request: no resolver
// still has it in hand, not even one that another goroutine has asked.
func TestResolversEndBeforeObserve(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	type pooled struct{ user string }
	native := &pooled{"u1"}
	begun, proceed := make(chan struct{}), make(chan struct{})
	var calls atomic.Int32
	tracker := klime.NewTracker(client, klime.ResolveUser(func(native any) any {
		switch calls.Add(1) {
		case 1: // by Track
			close(begun)
			<-proceed
		case 2: // by Observe
			close(proceed)
		}
		return native.(*pooled).user
	}))
	var background sync.WaitGroup
	traffic{tracker: tracker, native: native}.serve(func(ctx context.Context) {
		klime.Skip(ctx)
		background.Go(func() { klime.Track(ctx, "Report Generated", nil) })
		<-begun
	})
	native.user = "somebody else" // a race, were it still read
	background.Wait()
	if got := who(wire.one(t, client)); got != "u1/" {
		t.Errorf("event of %s, want u1/", got)
	}
}

func TestSetEventAndProperties(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int
		want   string
	}{
		{200, "Report Generated"}, {302, "Report Generated"}, {399, "Report Generated"}, {400, "API Called"}, {500, "API Called"},
	} {
		client, wire := newClient(t)
		request := traffic{tracker: klime.NewTracker(client), exchange: klime.Exchange{Status: tt.status}}
		request.serve(func(ctx context.Context) {
			klime.SetUser(ctx, "u1")
			klime.SetEvent(ctx, "Other")
			klime.SetEvent(ctx, "Report Generated")
		})
		if got := wire.one(t, client)["event"]; got != tt.want {
			t.Errorf("at %d: %v, want %v", tt.status, got, tt.want)
		}
	}
}

// SetProperty takes the value as it is now, wins over what is recorded by
// itself, and the last one holds.
func TestSetProperty(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	request := traffic{tracker: klime.NewTracker(client), exchange: klime.Exchange{Route: "/reports/{id}", RequestBytes: -1}}
	request.serve(func(ctx context.Context) {
		klime.SetUser(ctx, "u1")
		list := []any{"a"}
		klime.SetProperty(ctx, "list", list)
		list[0] = "changed"
		klime.SetProperty(ctx, "route", "/mine")
		klime.SetProperty(ctx, "plan", "free")
		klime.SetProperty(ctx, "plan", "pro")
		klime.SetProperty(ctx, "nothing", nil)
		klime.SetProperty(ctx, "", "no name")
	})
	got := wire.one(t, client)["properties"].(map[string]any)
	if got["list"].([]any)[0] != "a" {
		t.Errorf("list is %v, changed after the call", got["list"])
	}
	if got["route"] != "/mine" || got["plan"] != "pro" || got["method"] != "POST" || got["status"] != 200.0 {
		t.Errorf("properties %v", got)
	}
	if value, present := got["nothing"]; !present || value != nil {
		t.Errorf("nothing is %v, present %v", value, present)
	}
	if _, present := got["requestBytes"]; present {
		t.Error("requestBytes is there, and was not known")
	}
}

// It replaces each of them: a JSON object that has a name twice may be read as either.
func TestSetPropertyReplacesOurs(t *testing.T) {
	t.Parallel()
	header := http.Header{"Referer": {"https://acme.com/"}}
	call := klime.Exchange{Start: time.Now(), Path: "/reports", Status: 200, Aborted: true, Header: header.Get}
	stream := call
	stream.ContentType = "text/event-stream"
	for name, x := range map[string]klime.Exchange{
		"method": call, "route": call, "status": call, "aborted": call, "durationMs": call, "responseBytes": call, "requestBytes": call,
		"path": call, "referrer": call, "sampleRate": call, "protocol": stream, "openMs": stream,
	} {
		b := &broker{}
		client, err := klime.New(klime.Config{Transport: b})
		if err != nil {
			t.Fatal(err)
		}
		almostAll := math.Nextafter(1, 0)
		tracker := klime.NewTracker(client, asUser("u1"), klime.Capture(klime.Path, klime.Referrer), klime.Sample(almostAll))
		for _, set := range []bool{false, true} {
			traffic{tracker: tracker, exchange: x}.serve(func(ctx context.Context) {
				if set {
					klime.SetProperty(ctx, name, "the app's")
				}
			})
		}
		shutDown(t, client)
		if body := strings.Join(b.bodies, ""); strings.Count(body, `"`+name+`":`) != 2 || strings.Count(body, `"`+name+`":"the app's"`) != 1 {
			t.Errorf("%s: %s", name, body)
		}
	}
}

// A property that cannot be sent is left out and logged, without what it
// holds; the event goes.
func TestSetPropertyRefused(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]any{
		"NaN":         math.NaN(),
		"channel":     make(chan int),
		"panics":      panicsWith{"jane@acme.com"},
		"too large":   strings.Repeat("x", 201*1024),
		"exactly max": strings.Repeat("x", 200*1024),
		"list":        []string{strings.Repeat("x", 150*1024), strings.Repeat("x", 150*1024)},
		"map":         map[string]any{"k": strings.Repeat("x", 201*1024)},
	} {
		var log *syncBuffer
		client, wire := newClient(t, func(cfg *klime.Config) { log = logTo(cfg) })
		traffic{tracker: klime.NewTracker(client)}.serve(func(ctx context.Context) {
			klime.SetUser(ctx, "u1")
			klime.SetProperty(ctx, "bad", value)
			klime.SetProperty(ctx, "good", 1)
		})
		events := wire.events(t, client)
		if len(events) != 1 {
			t.Errorf("%s: %d events, want 1\n%s", name, len(events), log)
			continue
		}
		properties := events[0]["properties"].(map[string]any)
		if _, there := properties["bad"]; there || properties["good"] != 1.0 {
			t.Errorf("%s: properties %.300v", name, properties)
		}
		if got := client.Stats().Invalid; got != 1 {
			t.Errorf("%s: %d invalid, want 1", name, got)
		}
		text := log.String()
		if strings.Count(text, "level=WARN") != 1 || strings.Contains(text, "jane@acme.com") {
			t.Errorf("%s: log %s", name, text)
		}
		_, isText := value.(string)
		if large := isText || name == "list" || name == "map"; large == strings.Contains(text, "cannot be sent as JSON") {
			t.Errorf("%s: log %s", name, text)
		}
	}
}

// A key that alone is too long costs nothing more: its value is not even encoded.
func TestSetPropertyWithAnEndlessKey(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	traffic{tracker: klime.NewTracker(client)}.serve(func(ctx context.Context) {
		klime.SetUser(ctx, "u1")
		klime.SetProperty(ctx, strings.Repeat("k", 200*1024), marshalsNever{t})
	})
	wire.one(t, client)
	if got := client.Stats().Invalid; got != 1 {
		t.Errorf("%d invalid, want 1", got)
	}
}

type marshalsNever struct{ t *testing.T }

func (m marshalsNever) MarshalJSON() ([]byte, error) {
	m.t.Error("encoded")
	return []byte("{}"), nil
}

type panicsWith struct{ text string }

func (p panicsWith) MarshalJSON() ([]byte, error) { panic(p.text) }

// However many properties a handler sets, the event goes.
func TestSetPropertyTooMany(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	traffic{tracker: klime.NewTracker(client)}.serve(func(ctx context.Context) {
		klime.SetUser(ctx, "u1")
		for i := range 10 {
			klime.SetProperty(ctx, strings.Repeat("k", i+1), strings.Repeat("x", 50*1024))
		}
		klime.SetProperty(ctx, "k", strings.Repeat("y", 50*1024)) // in place of another
	})
	properties := wire.one(t, client)["properties"].(map[string]any)
	if _, there := properties["kkkk"]; there || !strings.HasPrefix(properties["k"].(string), "y") || properties["kkk"] == nil {
		t.Errorf("properties %.300v", properties)
	}
	if got := client.Stats().Invalid; got != 7 {
		t.Errorf("%d invalid, want the 7 that did not fit", got)
	}
}

// Invalid events are counted each, and logged at most every ten seconds.
func TestInvalidIsLoggedNowAndThen(t *testing.T) {
	t.Parallel()
	var log *syncBuffer
	client, _ := newClient(t, func(cfg *klime.Config) { log = logTo(cfg) })
	traffic{tracker: klime.NewTracker(client)}.serve(func(ctx context.Context) {
		for range 100 {
			klime.Track(ctx, "", nil)
		}
	})
	if got := client.Stats().Invalid; got != 100 {
		t.Errorf("%d invalid, want 100", got)
	}
	if got := strings.Count(log.String(), "level=WARN"); got != 1 {
		t.Errorf("%d log lines, want 1", got)
	}
}

// On a page that needs no sign-in, an event of nobody is no mistake: the log says it once an hour.
func TestNobodysEventsAreLoggedSeldom(t *testing.T) {
	t.Parallel()
	var log *syncBuffer
	bubble(t, func(cfg *klime.Config) { log = logTo(cfg) }, func(t *testing.T, _ *klimetest.Recorder, c *klime.Client) {
		tracker := klime.NewTracker(c)
		for range 2 * 60 * 60 {
			traffic{tracker: tracker}.serve(func(ctx context.Context) { klime.Track(ctx, "Pricing Viewed", nil) })
			time.Sleep(time.Second)
		}
		if got := c.Stats().Invalid; got != 2*60*60 {
			t.Errorf("%d invalid", got)
		}
		if got := strings.Count(log.String(), "not recorded"); got != 2 {
			t.Errorf("%d log lines in two hours, want 2", got)
		}
	})
}

func TestSkip(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	traffic{tracker: klime.NewTracker(client)}.serve(func(ctx context.Context) {
		klime.SetUser(ctx, "u1")
		klime.Skip(ctx)
		klime.Track(ctx, "Report Generated", nil)
	})
	if got := wire.one(t, client)["event"]; got != "Report Generated" {
		t.Errorf("event %v, want only what the app has tracked", got)
	}
}

// From Silence on nothing is sent of the request, by whatever call.
func TestSilence(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	traffic{tracker: klime.NewTracker(client)}.serve(func(ctx context.Context) {
		klime.SetUser(ctx, "u1")
		klime.Track(ctx, "Before", nil)
		klime.Silence(ctx)
		klime.Track(ctx, "After", nil)
		klime.Link(ctx, klime.User{ID: "u1", Traits: klime.Traits{"name": "Jane"}}, klime.Group{ID: "g1"})
		for _, err := range []error{
			client.Track(ctx, "After", nil),
			client.Identify(ctx, "u1", klime.Traits{"name": "Jane"}),
			client.Group(ctx, "g1", nil),
			client.Link(ctx, klime.User{ID: "u1"}, klime.Group{ID: "g1"}),
		} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	if got := wire.one(t, client)["event"]; got != "Before" {
		t.Errorf("event %v, want only the one before", got)
	}
	if stats := client.Stats(); stats.Anonymous != 0 || stats.Invalid != 0 {
		t.Errorf("%+v", stats)
	}
	// The silenced link is not known as sent.
	if err := client.Link(t.Context(), klime.User{ID: "u1"}, klime.Group{ID: "g1"}); err != nil {
		t.Fatal(err)
	}
	if got := len(wire.events(t, client)); got != 2 {
		t.Errorf("%d events, want the link too", got)
	}
}

// Silence is of the whole request: of the middlewares of all clients around the call,
// of those inside of them, and of a client that has none.
func TestSilenceOfAllClients(t *testing.T) {
	t.Parallel()
	for name, silenceWithin := range map[string]bool{"in the innermost": true, "between": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outer, outerWire := newClient(t)
			inner, innerWire := newClient(t)
			third, thirdWire := newClient(t)
			traffic{tracker: klime.NewTracker(outer, asUser("u1"))}.serve(func(ctx context.Context) {
				if !silenceWithin {
					klime.Silence(ctx)
				}
				traffic{tracker: klime.NewTracker(inner, asUser("u2")), ctx: ctx}.serve(func(ctx context.Context) {
					if silenceWithin {
						klime.Silence(ctx)
					}
					for _, c := range []*klime.Client{outer, inner, third} {
						for _, err := range []error{
							c.Track(ctx, "Done", nil, klime.ForUser("u3")),
							c.Identify(ctx, "u3", klime.Traits{"name": "Jane"}),
							c.Group(ctx, "g3", nil, klime.ForUser("u3")),
							c.Link(ctx, klime.User{ID: "u3"}, klime.Group{ID: "g3"}),
						} {
							if err != nil {
								t.Error(err)
							}
						}
					}
				})
			})
			got := len(outerWire.events(t, outer)) + len(innerWire.events(t, inner)) + len(thirdWire.events(t, third))
			if got != 0 {
				t.Errorf("%d events of a silenced request", got)
			}
		})
	}
}

// HonorOptOut is an option of one client's middleware: others go by their own. A client
// that has none goes by all around the request.
func TestOptOutOfOneClient(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		outer, inner klime.Option
		want         [3]int // events of the outer client, the inner one and one without a middleware
	}{
		"the inner":     {klime.Option{}, klime.HonorOptOut(), [3]int{2, 0, 0}},
		"the outer":     {klime.HonorOptOut(), klime.Option{}, [3]int{0, 2, 0}},
		"both":          {klime.HonorOptOut(), klime.HonorOptOut(), [3]int{0, 0, 0}},
		"none of these": {klime.Option{}, klime.Option{}, [3]int{2, 2, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outer, outerWire := newClient(t)
			inner, innerWire := newClient(t)
			third, thirdWire := newClient(t)
			header := http.Header{"Sec-Gpc": {"1"}}.Get
			traffic{tracker: klime.NewTracker(outer, asUser("u1"), tt.outer)}.serve(func(ctx context.Context) {
				klime.ScopeFrom(ctx).ReadHeader(header)
				traffic{tracker: klime.NewTracker(inner, asUser("u2"), tt.inner), ctx: ctx}.serve(func(ctx context.Context) {
					klime.ScopeFrom(ctx).ReadHeader(header)
					for _, c := range []*klime.Client{outer, inner, third} {
						if err := c.Track(ctx, "Done", nil, klime.ForUser("u3")); err != nil {
							t.Error(err)
						}
					}
				})
			})
			got := [3]int{len(outerWire.events(t, outer)), len(innerWire.events(t, inner)), len(thirdWire.events(t, third))}
			if got != tt.want {
				t.Errorf("%d events, want %d", got, tt.want)
			}
		})
	}
}

// Without a middleware the functions of handlers do nothing, whatever context they get.
func TestHandlersWithoutScope(t *testing.T) {
	t.Parallel()
	for name, ctx := range map[string]context.Context{"nil": nil, "plain": context.Background(), "values": values("u1", "g1")} {
		klime.SetUser(ctx, "u1")
		klime.SetGroup(ctx, "g1")
		klime.SetEvent(ctx, "Done")
		klime.SetProperty(ctx, "a", make(chan int))
		klime.Skip(ctx)
		klime.Silence(ctx)
		klime.Track(ctx, "Done", nil)
		klime.Link(ctx, klime.User{ID: "u1"})
		klime.LinkFunc(ctx, func() (klime.User, []klime.Group) {
			t.Errorf("%s: asked", name)
			return klime.User{}, nil
		})
		if klime.ScopeFrom(ctx) != nil {
			t.Errorf("%s: there is a scope", name)
		}
	}
	var none *klime.Scope
	if none.UserID() != "" || none.GroupID() != "" || none.Silenced() || none.Err() != nil || none.Done() != nil || none.Value("userId") != nil {
		t.Error("a nil Scope says something")
	}
	if _, has := none.Deadline(); has {
		t.Error("a nil Scope has a deadline")
	}
	none.Bind(1, nil)
	klime.SetUser(none, "u1")
	klime.Track(none, "Done", nil)
}

// A nil client does nothing, everywhere, and the handler notices nothing.
func TestNilClientInRequests(t *testing.T) {
	t.Parallel()
	tracker := klime.NewTracker(nil, klime.ResolveUser(answerWith("u1")), klime.RollUp(time.Minute), klime.RouteFrom(func(any) string { return "/" }))
	handled := false
	traffic{tracker: tracker}.serve(func(ctx context.Context) {
		klime.SetUser(ctx, "u1")
		klime.SetProperty(ctx, "bad", math.NaN())
		klime.Track(ctx, "Done", nil)
		klime.Link(ctx, klime.User{ID: "u1"}, klime.Group{ID: "g1"})
		handled = true
	})
	for range 100 {
		traffic{tracker: klime.NewTracker(nil)}.serve(nil)
	}
	if !handled {
		t.Error("not handled")
	}
}

// The Scope is the request's context: deadline, end and values are its
// parent's.
func TestScopeIsAContext(t *testing.T) {
	t.Parallel()
	type key struct{}
	parent, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "value"), time.Hour)
	client, _ := newClient(t)
	scope := klime.NewTracker(client).Begin(parent)
	want, _ := parent.Deadline()
	if got, has := scope.Deadline(); !has || !got.Equal(want) {
		t.Errorf("deadline %v, want %v", got, want)
	}
	if scope.Value(key{}) != "value" {
		t.Errorf("value %v", scope.Value(key{}))
	}
	derived, stop := context.WithCancel(scope)
	defer stop()
	if klime.ScopeFrom(derived) != scope {
		t.Error("not found in a context made from it")
	}
	cancel()
	<-derived.Done()
	if scope.Err() == nil {
		t.Error("not ended with its parent")
	}
}

// Frameworks whose context holds only string keys keep the Scope under
// ScopeKey.
func TestScopeUnderStringKey(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	traffic{tracker: klime.NewTracker(client)}.serve(func(ctx context.Context) {
		klime.Skip(ctx)
		ginLike := stringKeys{context.Background(), map[string]any{klime.ScopeKey: klime.ScopeFrom(ctx), "groupId": "g1"}}
		klime.SetUser(ginLike, "u1")
		klime.Track(ginLike, "Done", nil)
	})
	if got := who(wire.one(t, client)); got != "u1/g1" {
		t.Errorf("event of %s", got)
	}
	odd := stringKeys{context.Background(), map[string]any{klime.ScopeKey: "not a scope"}}
	if klime.ScopeFrom(odd) != nil {
		t.Error("found a scope that is none")
	}
}

// stringKeys is a context like a *gin.Context: it finds values of string keys
// alone.
type stringKeys struct {
	context.Context //nolint:containedctx // what is tested is a context

	values map[string]any
}

func (c stringKeys) Value(key any) any {
	name, _ := key.(string)
	return c.values[name]
}

// LinkFunc is for middlewares in front of every request, signed in or not.
func TestLinkFunc(t *testing.T) {
	t.Parallel()
	jane := klime.User{ID: "u1", Traits: klime.Traits{"name": "Jane"}}
	tests := []struct {
		name    string
		find    func() (klime.User, []klime.Group)
		events  int
		invalid uint64
	}{
		{"nobody", func() (klime.User, []klime.Group) { return klime.User{}, nil }, 0, 0},
		{"nobody of no group", func() (klime.User, []klime.Group) { return klime.User{}, []klime.Group{{}, {}} }, 0, 0},
		{"traits of no group", func() (klime.User, []klime.Group) {
			return klime.User{}, []klime.Group{{Traits: jane.Traits}}
		}, 0, 1},
		{"somebody", func() (klime.User, []klime.Group) { return jane, []klime.Group{{ID: "g1"}} }, 2, 0},
		{"groups of nobody", func() (klime.User, []klime.Group) { return klime.User{}, []klime.Group{{ID: "g1"}} }, 0, 1},
		{"traits of nobody", func() (klime.User, []klime.Group) { return klime.User{Traits: jane.Traits}, nil }, 0, 1},
		{"panics", func() (klime.User, []klime.Group) { panic("no session") }, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, wire := newClient(t)
			traffic{tracker: klime.NewTracker(client)}.serve(func(ctx context.Context) {
				klime.Skip(ctx)
				klime.LinkFunc(ctx, tt.find)
			})
			if got := len(wire.events(t, client)); got != tt.events {
				t.Errorf("%d events, want %d", got, tt.events)
			}
			if got := client.Stats().Invalid; got != tt.invalid {
				t.Errorf("%d invalid, want %d", got, tt.invalid)
			}
		})
	}
}

// Everything at once from many goroutines, while the request ends.
func TestScopeIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	tracker := klime.NewTracker(client, klime.ResolveUser(answerWith("u0")), klime.ResolveGroup(answerWith("g0")))
	inner := klime.NewTracker(client, klime.ResolveUser(answerWith("u0")))
	var background sync.WaitGroup
	for range 50 {
		traffic{tracker: tracker}.serve(func(ctx context.Context) {
			start := make(chan struct{})
			for _, act := range []func(){
				func() { klime.SetUser(ctx, "u1") },
				func() { klime.SetGroup(ctx, "g1") },
				func() { klime.SetEvent(ctx, "Done") },
				func() { klime.SetProperty(ctx, "a", 1) },
				func() { klime.SetProperty(ctx, "a", 2) },
				func() { klime.Track(ctx, "Done", klime.Properties{"a": 1}) },
				func() {
					klime.Link(ctx, klime.User{ID: "u1", Traits: klime.Traits{"a": 1}}, klime.Group{ID: "g1"})
				},
				func() { _, _ = klime.ScopeFrom(ctx).UserID(), klime.ScopeFrom(ctx).GroupID() },
				func() {
					traffic{tracker: inner, ctx: ctx}.serve(func(ctx context.Context) { klime.SetUser(ctx, "u1") })
				},
				func() { klime.ScopeFrom(ctx).Bind(1, ctx) },
			} {
				background.Go(func() { <-start; act() })
			}
			close(start)
		})
	}
	background.Wait()
	if got := client.Stats(); got.Invalid != 0 || got.Anonymous != 0 {
		t.Errorf("%d invalid, %d anonymous: an event lost its user", got.Invalid, got.Anonymous)
	}
	for _, event := range wire.events(t, client) {
		if user := event["userId"]; user != "u0" && user != "u1" {
			t.Fatalf("event of %v", event)
		}
	}
}

var _ http.RoundTripper = (*wire)(nil)

// An adapter that gives a Scope out twice mixes up nobody.
func TestScopeUsedTwice(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	tracker := klime.NewTracker(client)
	used := new(klime.Scope)
	first := tracker.BeginIn(t.Context(), used, nil)
	klime.SetUser(first, "u1")
	second := tracker.BeginIn(t.Context(), used, nil)
	klime.SetUser(second, "u2")
	for _, s := range []*klime.Scope{first, second} {
		tracker.Observe(s, klime.Exchange{Method: http.MethodPost, Path: "/", Route: "/", Status: http.StatusOK})
	}
	events := wire.events(t, client)
	if len(events) != 2 || events[0]["userId"] != "u1" || events[1]["userId"] != "u2" {
		t.Errorf("events: %v", events)
	}
}

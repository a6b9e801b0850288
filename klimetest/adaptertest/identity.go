package adaptertest

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// identityCases: whose request it is.
func identityCases() []testCase {
	jsonOK := reply(http.StatusOK, appJSON, `{}`)
	said := Route{Path: "/", Handler: func(r Request) {
		klime.SetUser(r.Context(), "mary")
		klime.SetGroup(r.Context(), "acme")
		jsonOK(r)
	}}
	keep := func(pairs ...any) Middleware {
		return func(r Request, next func(Request)) {
			for i := 0; i < len(pairs); i += 2 {
				key, _ := pairs[i].(string)
				r = r.Keep(key, pairs[i+1])
			}
			next(r)
		}
	}
	replaceBy := func(key, value any) Middleware {
		return func(r Request, next func(Request)) { next(r.Replace(key, value)) }
	}
	replace := replaceBy(replaced{}, "x")
	timeout := func(r Request, next func(Request)) {
		inner, cancel := r.WithCancel()
		defer cancel()
		next(inner)
	}
	const maryAtAcme = "API Called by mary at acme: GET / 200, 0 in, 2 out"
	return []testCase{
		{
			name: "nobody",
			app:  App{Routes: []Route{{Path: "/", Handler: jsonOK}}}, requests: []call{get("/")},
		},
		{
			name: "set in the handler",
			app:  App{Routes: []Route{said}}, requests: []call{get("/")}, want: []string{maryAtAcme},
		},
		{
			name: "set behind a middleware that replaced the request",
			app:  App{Inside: []Middleware{replace, replace}, Routes: []Route{said}}, requests: []call{get("/")},
			want: []string{maryAtAcme},
		},
		{
			name: "set in a goroutine that ends before the handler",
			app: App{Routes: []Route{{Path: "/", Handler: func(r Request) {
				ctx, done := r.Context(), make(chan struct{})
				go func() {
					defer close(done)
					klime.SetUser(ctx, "mary")
					klime.SetGroup(ctx, "acme")
				}()
				<-done
				jsonOK(r)
			}}}},
			requests: []call{get("/")}, want: []string{maryAtAcme},
		},
		{
			name: "signs in over the session of somebody else, who is not of that company",
			app: App{
				Inside: []Middleware{func(r Request, next func(Request)) {
					klime.SetUser(r.Context(), "mary")
					klime.SetGroup(r.Context(), "acme")
					next(r)
				}},
				Routes: []Route{{Path: "/", Handler: func(r Request) {
					klime.Link(r.Context(), klime.User{ID: "jane"}, klime.Group{ID: "globex"})
					jsonOK(r)
				}}},
			},
			requests: []call{get("/")},
			want: []string{
				"group by jane at globex",
				strings.NewReplacer("mary", "jane", "acme", "globex").Replace(maryAtAcme),
			},
		},
		{
			name: "found by our middleware once more, behind the auth middleware",
			app: App{
				UserID:       func(r Request) any { return r.Value("account") },
				GroupID:      func(Request) any { return "acme" },
				Inside:       []Middleware{keep("account", "mary")},
				UserIDInside: func(r Request) any { return r.Value("account") },
				Routes:       []Route{{Path: "/", Handler: jsonOK}},
			},
			requests: []call{get("/")}, want: []string{maryAtAcme},
		},
		{
			name: "set behind a middleware that ends its own context",
			app:  App{Inside: []Middleware{timeout}, Routes: []Route{said}}, requests: []call{get("/")},
			want: []string{maryAtAcme},
		},
		{
			name: "kept by an auth middleware inside",
			app: App{
				UserID:  func(r Request) any { return r.Value("account") },
				GroupID: func(r Request) any { return r.Value("tenant") },
				Inside:  []Middleware{keep("account", "mary", "tenant", "acme")},
				Routes:  []Route{{Path: "/", Handler: jsonOK}},
			},
			requests: []call{get("/")}, want: []string{maryAtAcme}, needs: keepsInPlace,
		},
		{
			name: "two middlewares, the inner one knows better",
			app: App{
				UserID:       jane,
				UserIDInside: func(Request) any { return "mary" },
				GroupID:      func(Request) any { return "acme" },
				Routes:       []Route{{Path: "/", Handler: jsonOK}},
			},
			requests: []call{get("/")}, want: []string{maryAtAcme},
		},
		{
			name: "plain values kept by an auth middleware inside",
			app: App{
				Inside: []Middleware{keep("userId", "mary", "groupId", "acme")},
				Routes: []Route{{Path: "/", Handler: jsonOK}},
			},
			requests: []call{get("/")}, want: []string{maryAtAcme}, needs: keepsInPlace,
		},
		{
			name: "plain values in the context of a request that replaced ours",
			app: App{
				Inside: []Middleware{replaceBy("userId", "mary"), replaceBy("groupId", "acme")},
				Routes: []Route{{Path: "/", Handler: jsonOK}},
			},
			requests: []call{get("/")}, want: []string{maryAtAcme}, needs: replacesInPlace,
		},
		{
			name: "plain values in an inner request, which only the handler sees",
			app: App{
				Inside: []Middleware{keep("userId", "mary", "groupId", "acme")},
				Routes: []Route{{Path: "/", Handler: func(r Request) { klime.Track(r.Context(), "Done", nil) }}},
			},
			requests: []call{get("/")},
			want:     []string{"Done by mary at acme"},
			needs:    passesOn,
		},
		{
			name: "plain values kept between two middlewares",
			app: App{
				Inside:       []Middleware{keep("userId", "mary", "groupId", "acme")},
				UserIDInside: func(Request) any { return nil },
				Routes:       []Route{{Path: "/", Handler: jsonOK}},
			},
			requests: []call{get("/")}, want: []string{maryAtAcme},
		},
		{
			name: "set over what the resolvers say",
			app:  App{UserID: jane, GroupID: jane, Routes: []Route{said}}, requests: []call{get("/")},
			want: []string{maryAtAcme},
		},
		{
			name: "kept by an auth middleware outside",
			app: App{
				Outside: []Middleware{keep("userId", "mary", "groupId", "acme")},
				Routes:  []Route{{Path: "/", Handler: jsonOK}},
			},
			requests: []call{get("/")}, want: []string{maryAtAcme},
		},
		{
			name: "plain values in the context of the request, put there outside",
			app: App{
				Outside: []Middleware{replaceBy("userId", "mary"), replaceBy("groupId", "acme")},
				Routes: []Route{{Path: "/", Handler: func(r Request) {
					klime.Track(r.Context(), "Done", nil)
					jsonOK(r)
				}}},
			},
			requests: []call{get("/")}, want: []string{"Done by mary at acme", maryAtAcme},
		},
		{
			name: "found by resolvers in what an auth middleware kept",
			app: App{
				UserID:  func(r Request) any { return r.Value("account") },
				GroupID: func(r Request) any { return r.Value("tenant") },
				Outside: []Middleware{keep("account", int64(7), "tenant", time.Month(3))}, // an integer, a Stringer
				Routes:  []Route{{Path: "/", Handler: jsonOK}},
			},
			requests: []call{get("/")},
			want:     []string{"API Called by 7 at March: GET / 200, 0 in, 2 out"},
		},
		{
			name: "a resolver's group is only a claim",
			app: App{
				UserID:  func(r Request) any { return r.Header("X-User") },
				GroupID: func(r Request) any { return r.Header("X-Group") },
				Routes: []Route{
					{Path: "/ok", Handler: jsonOK},
					{Path: "/forbidden", Handler: reply(http.StatusForbidden, appJSON, `{}`)},
				},
			},
			requests: []call{
				{path: "/ok", header: http.Header{"X-Group": {"acme"}}},
				{path: "/forbidden", header: http.Header{"X-Group": {"acme"}, "X-User": {"eve"}}, status: http.StatusForbidden},
				{path: "/ok", header: http.Header{"X-Group": {"acme"}, "X-User": {"mary"}}},
			},
			want: []string{
				"API Called by eve: GET /forbidden 403, 0 in, 2 out",
				"API Called by mary at acme: GET /ok 200, 0 in, 2 out",
			},
		},
		{
			name: "gRPC refuses behind a status 200",
			app: App{
				UserID:  func(Request) any { return "eve" },
				GroupID: func(Request) any { return "acme" },
				Routes: []Route{
					{Path: "/forbidden", Event: "Report Read", Handler: replyGRPC("Grpc-Status", "7")},
					{Path: "/unauthenticated", Event: "Report Read", Handler: replyGRPC("Grpc-Status", "16")},
					{Path: "/ok", Event: "Report Read", Handler: replyGRPC("Grpc-Status", "0")},
				},
			},
			requests: []call{get("/forbidden"), get("/unauthenticated"), get("/ok")},
			want: []string{
				"API Called by eve: GET /forbidden 200, 0 in, 0 out, grpcStatus=7",
				"API Called by eve: GET /unauthenticated 200, 0 in, 0 out, grpcStatus=16",
				"Report Read by eve at acme: GET /ok 200, 0 in, 0 out, grpcStatus=0",
			},
		},
		{
			name: "gRPC refuses in a trailer", needs: netHTTP,
			app: App{
				UserID:  func(Request) any { return "eve" },
				GroupID: func(Request) any { return "acme" },
				Routes: []Route{
					{Path: "/trailer", Event: "Report Read", Handler: replyGRPC(http.TrailerPrefix+"Grpc-Status", "16")},
				},
			},
			requests: []call{get("/trailer")},
			want: []string{
				"API Called by eve: GET /trailer 200, 0 in, 0 out, grpcStatus=16",
			},
		},
		{
			name:     "a resolver that panics knows nobody",
			app:      App{UserID: func(Request) any { panic("no session") }, Routes: []Route{{Path: "/", Handler: jsonOK}}},
			requests: []call{get("/")},
		},
		{
			name: "tracked in the handler",
			app: App{
				UserID: jane,
				Routes: []Route{{Path: "/", Handler: func(r Request) {
					klime.Track(r.Context(), "Report Generated", klime.Properties{"pages": 3})
					klime.SetGroup(r.Context(), "acme")
					klime.Track(r.Context(), "Report Sent", nil, klime.ForUser("john"))
					klime.Track(r.Context(), "Quota Reached", nil, klime.ForGroup("globex"))
					jsonOK(r)
				}}},
			},
			requests: []call{get("/")},
			want: []string{
				"Report Generated by jane, pages=3",
				"Report Sent by john",
				"Quota Reached at globex",
				"API Called by jane at acme: GET / 200, 0 in, 2 out",
			},
		},
		{
			name: "linked on every request, sent once",
			app: App{
				Link: func(r Request) (klime.User, []klime.Group) {
					if r.Header("X-User") == "" {
						return klime.User{}, nil
					}
					return klime.User{ID: "mary", Traits: klime.Traits{"email": "mary@acme.test"}},
						[]klime.Group{{ID: "acme", Traits: klime.Traits{"plan": "pro"}}}
				},
				Routes: []Route{{Path: "/", Handler: jsonOK}},
			},
			requests: []call{
				get("/"),
				{path: "/", header: http.Header{"X-User": {"mary"}}},
				{path: "/", header: http.Header{"X-User": {"mary"}}},
			},
			want: []string{
				`identify by mary, traits={"email":"mary@acme.test"}`,
				`group by mary at acme, traits={"plan":"pro"}`,
				maryAtAcme, maryAtAcme,
			},
		},
		{
			name: "linked from a session that may be empty: its zero user and groups are nobody, and no mistake",
			app: App{
				Link: func(r Request) (klime.User, []klime.Group) {
					return klime.User{ID: r.Header("X-User")}, []klime.Group{{ID: r.Header("X-Org")}}
				},
				Routes: []Route{{Path: "/", Handler: jsonOK}},
			},
			requests: []call{get("/"), {path: "/", header: http.Header{"X-User": {"mary"}, "X-Org": {"acme"}}}, get("/")},
			want:     []string{"group by mary at acme", maryAtAcme},
		},
	}
}

// replaced is a context key of an app.
type replaced struct{}

// testTwoClients: the middlewares of two clients know nothing of each other, and each
// records the request once. Functions such as klime.Track reach the inner one from
// handlers, and the outer one from a middleware between the two, also after the inner
// one is done. A client's own methods reach the middleware of that client.
func testTwoClients(t *testing.T, a Adapter) {
	outer, inner := klimetest.NewServer(t), klimetest.NewServer(t)
	outerClient := outer.Client()
	app := App{
		Client: outerClient,
		UserID: jane,
		Inside: []Middleware{func(r Request, next func(Request)) {
			next(r)
			klime.SetGroup(r.Context(), "globex")
			klime.Track(r.Context(), "Answered", nil)
			klime.SetProperty(r.Detached(), "between", true)
		}},
		ClientInside: inner.Client(),
		UserIDInside: func(Request) any { return "mary" },
		Routes: []Route{{Path: "/orgs/{org}", Handler: func(r Request) {
			klime.SetGroup(r.Context(), "acme")
			klime.Track(r.Context(), "Done", nil)
			if err := outerClient.Track(r.Context(), "Counted", nil); err != nil {
				t.Error(err)
			}
			r.Reply(http.StatusOK, appJSON, `{}`)
		}}},
	}
	url, stop := a.start(t, app)
	do(t, url, get("/orgs/1"))
	stop()
	compare(t, outer, app.Client, []string{
		"Counted by jane",
		"Answered by jane at globex",
		"API Called by jane at globex: GET /orgs/{org} 200, 0 in, 2 out, between=true",
	})
	compare(t, inner, app.ClientInside, []string{
		"Done by mary at acme",
		"API Called by mary at acme: GET /orgs/{org} 200, 0 in, 2 out",
	})
}

// testSubrequests: a request that the app makes to itself, with the context of an outer
// request, is a request of its own. The outer one takes nothing from it: neither a group
// that it may not enter, nor its name or skip.
func testSubrequests(t *testing.T, a Adapter) {
	routes := []Route{
		{Method: http.MethodPost, Path: "/batch", Handler: func(r Request) {
			_, req := r.HTTP()
			whole, _ := req.Context().Value(http.ServerContextKey).(*http.Server)
			for _, path := range []string{"/orgs/victim", "/orgs/acme", "/poll", "/internal/avatar"} {
				sub, err := http.NewRequestWithContext(req.Context(), http.MethodGet, path, http.NoBody)
				if err != nil {
					t.Error(err)
					return
				}
				sub.Header.Set("X-Org", strings.TrimPrefix(path, "/orgs/"))
				whole.Handler.ServeHTTP(httptest.NewRecorder(), sub)
			}
			r.Reply(http.StatusOK, appJSON, `{}`)
		}},
		{Path: "/orgs/{org}", Event: "Company Viewed", Handler: func(r Request) {
			if r.Header("X-Org") != "acme" {
				r.Reply(http.StatusForbidden, appJSON, `{}`)
				return
			}
			klime.Track(r.Context(), "Done", nil)
			r.Reply(http.StatusOK, appJSON, `{}`)
		}},
		{Path: "/poll", Skip: true, Handler: reply(http.StatusOK, appJSON, `{}`)},
		{Path: "/internal/avatar", Handler: func(r Request) {
			_, req := r.HTTP()
			for _, ctx := range []context.Context{r.Context(), req.Context()} {
				klime.Link(ctx, klime.User{ID: "robot"}, klime.Group{ID: "robots"})
				klime.Track(ctx, "Avatar Shown", nil)
			}
			r.Reply(http.StatusOK, appJSON, `{}`)
		}},
	}
	app := a.record(t, App{
		UserID:  func(r Request) any { return r.Header("X-User") },
		GroupID: func(r Request) any { return r.Header("X-Org") },
		Options: []klime.Option{klime.IgnoreRoutes("/internal/*")},
		Twice:   true,
		Routes:  routes,
	})
	do(t, app.url, call{method: http.MethodPost, path: "/batch", header: http.Header{"X-User": {"jane"}}})
	app.expect(
		"API Called by jane: GET /orgs/{org} 403, 0 in, 2 out",
		"Done by jane at acme",
		"Company Viewed by jane at acme: GET /orgs/{org} 200, 0 in, 2 out",
		"API Called by jane: POST /batch 200, 0 in, 2 out",
	)
}

// account is a context value that only the app's own middleware knows.
type account struct{}

// testNobodyHint: if the user is known only from an inner request that our middleware
// does not get, the log says once what to do.
func testNobodyHint(t *testing.T, a Adapter) {
	server := klimetest.NewServer(t)
	client, log := logged(t, server)
	url, stop := a.start(t, App{
		Client: client,
		UserID: func(r Request) any { return r.Header("X-Account") }, // the wrong place: no request has this header
		Inside: []Middleware{func(r Request, next func(Request)) { next(r.Replace(account{}, "mary")) }},
		Routes: []Route{
			{Path: "/", Handler: func(Request) {}},
			{Path: "/login", Handler: func(r Request) { klime.SetUser(r.Context(), "mary") }},
		},
	})
	do(t, url, get("/login")) // a single request with a user does not hide the mistake
	for range 120 {
		do(t, url, get("/"))
	}
	stop()
	if err := client.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if n := len(server.Events()); n != 1 {
		t.Errorf("%d events, want that of the login", n)
	}
	if n := strings.Count(log.String(), "put Middleware once more behind that"); n != 1 || client.Stats().Anonymous != 120 {
		t.Errorf("%d hints of %d: %s", n, client.Stats().Anonymous, log)
	}
}

// logged is a client of server, and its log, which may be read once the client
// is shut down.
func logged(tb testing.TB, server *klimetest.Server) (*klime.Client, *bytes.Buffer) {
	tb.Helper()
	var log bytes.Buffer
	config := server.Config()
	config.Logger = slog.New(slog.NewTextHandler(&log, nil))
	client, err := klime.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	return client, &log
}

package chiklime_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/klimeapp/klime-go/chiklime"
	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
	"github.com/klimeapp/klime-go/klimetest/adaptertest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	adaptertest.Run(t, adaptertest.Adapter{Name: "chi", Start: start})
}

func start(tb testing.TB, app adaptertest.App) (url string, stop func()) {
	tb.Helper()
	router := chi.NewRouter()
	for _, m := range app.Outside {
		router.Use(wrap(m))
	}
	if !app.Bare {
		ours := chiklime.Middleware(app.Client, options(app)...)
		router.Use(ours)
		if app.Twice {
			router.Use(ours)
		}
	}
	for _, m := range app.Inside {
		router.Use(wrap(m))
	}
	if app.UserIDInside != nil {
		router.Use(chiklime.Middleware(app.ClientInside, chiklime.UserID(func(r *http.Request) any { return app.UserIDInside(request(nil, r)) })))
	}
	mounted, groups := map[string]chi.Router{}, map[string]chi.Router{"": router}
	for _, route := range app.Routes {
		prefix := strings.Join(route.Groups, "")
		switch {
		case !route.Mounted:
			add(nest(groups, route.Groups), app, route)
		case mounted[prefix] == nil:
			mounted[prefix] = chi.NewRouter()
			router.Mount(prefix, mounted[prefix])
			fallthrough
		default:
			add(mounted[prefix], app, route)
		}
	}
	return adaptertest.Serve(tb, app, afresh(router))
}

// afresh takes chi's routing context out of requests that the app makes to itself:
// otherwise chi would continue the routing of the outer request.
func afresh(router http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Value(chi.RouteCtxKey) != nil {
			r = r.WithContext(context.WithValue(r.Context(), chi.RouteCtxKey, nil))
		}
		router.ServeHTTP(w, r)
	})
}

// nest returns the router of nested groups, and makes those that do not exist yet.
func nest(known map[string]chi.Router, groups []string) chi.Router {
	path := strings.Join(groups, "")
	if known[path] == nil {
		last := len(groups) - 1
		known[path] = nest(known, groups[:last]).Route(groups[last], func(chi.Router) {})
	}
	return known[path]
}

func add(r chi.Router, app adaptertest.App, route adaptertest.Route) {
	if app.Link != nil {
		r = r.With(chiklime.Link(func(r *http.Request) (klime.User, []klime.Group) { return app.Link(request(nil, r)) }))
	}
	if route.Event != "" {
		r = r.With(chiklime.Event(route.Event))
	}
	if route.Skip {
		r = r.With(chiklime.Skip())
	}
	method := route.Method
	if method == "" {
		method = http.MethodGet
	}
	r.MethodFunc(method, dialect(route.Path), func(w http.ResponseWriter, r *http.Request) {
		route.Handler(request(w, r))
	})
}

// dialect turns {rest...} into *.
func dialect(path string) string {
	if head, _, ok := strings.Cut(path, "{rest...}"); ok {
		return head + "*"
	}
	return path
}

func options(app adaptertest.App) []klime.Option {
	opts := app.Options
	if app.UserID != nil {
		opts = append(opts, chiklime.UserID(func(r *http.Request) any { return app.UserID(request(nil, r)) }))
	}
	if app.GroupID != nil {
		opts = append(opts, chiklime.GroupID(func(r *http.Request) any { return app.GroupID(request(nil, r)) }))
	}
	return opts
}

func wrap(m adaptertest.Middleware) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			m(request(w, r), func(inner adaptertest.Request) { next.ServeHTTP(inner.HTTP()) })
		})
	}
}

// routesOf makes requests such as "GET /things" and returns the routes and
// statuses of their events, "-" for no route.
func routesOf(t *testing.T, build func(record func(http.Handler) http.Handler) http.Handler, requests ...string) string {
	t.Helper()
	server := klimetest.NewServer(t)
	client := server.Client()
	router := build(chiklime.Middleware(client, chiklime.UserID(func(*http.Request) string { return "jane" })))
	for _, request := range requests {
		method, path, _ := strings.Cut(request, " ")
		router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody))
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range server.Events() {
		route, known := e.Properties["route"].(string)
		if !known {
			route = "-"
		}
		got = append(got, fmt.Sprint(route, " ", e.Properties["status"]))
	}
	return strings.Join(got, ", ")
}

// answer is a handler that answers with this status.
func answer(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// refuse is a middleware that answers in place of the handler.
func refuse(status int) func(http.Handler) http.Handler {
	return func(http.Handler) http.Handler { return answer(status) }
}

// If nothing matches in a sub-router, the pattern of its mount is not taken for a route.
func TestSubRouters(t *testing.T) {
	t.Parallel()
	got := routesOf(t, func(record func(http.Handler) http.Handler) http.Handler {
		inner := chi.NewRouter()
		inner.Get("/reports/{id:[0-9]+}", answer(200))
		inner.Get("/files/*", answer(200))
		inner.Get("/gone", answer(404)) // its own 404
		inner.Route("/deep", func(r chi.Router) { r.Get("/{name}", answer(200)) })
		inner.Route("/home", func(r chi.Router) { r.Get("/", answer(404)) })
		router := chi.NewRouter()
		router.Use(record)
		router.Mount("/orgs/{org}", inner)
		router.Mount("/plain", answer(200))
		router.Route("/all", func(r chi.Router) { r.Get("/*", answer(200)) })
		return router
	},
		"GET /orgs/a/reports/1", "GET /orgs/a/files/x/y", "GET /orgs/a/gone", "GET /orgs/a/deep/z", "GET /orgs/a/home", "GET /orgs/a/home/", "GET /plain/x",
		"GET /orgs/a/nowhere", "GET /orgs/a/deep/no/where", "GET /orgs/a", "GET /orgs/a/", "GET /no", "GET /orgs/a/deep", "GET /orgs/a/reports/x",
		"POST /orgs/a/reports/1", "POST /orgs/a/files/x", "POST /orgs/a/home", "POST /orgs/a/gone", "POST /all/x", "BREW /orgs/a/gone")
	const want = "/orgs/{org}/reports/{id} 200, /orgs/{org}/files/* 200, /orgs/{org}/gone 404, /orgs/{org}/deep/{name} 200, " +
		"/orgs/{org}/home 404, /orgs/{org}/home 404, /plain/* 200"
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// A router that was built anew for a change of the routes, and dropped, is not kept.
func TestRoutersBuiltAnew(t *testing.T) {
	t.Parallel()
	const built, most = 1000, 300
	var dropped atomic.Int64
	var middleware func(http.Handler) http.Handler
	defer func() { runtime.KeepAlive(middleware) }()
	got := routesOf(t, func(record func(http.Handler) http.Handler) http.Handler {
		middleware = record
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			router := chi.NewRouter()
			runtime.AddCleanup(router, func(int) { dropped.Add(1) }, 0)
			router.Use(record, refuse(403))
			router.Route("/orgs", func(r chi.Router) { r.Get("/{org}", answer(200)) })
			router.ServeHTTP(w, r)
		})
	}, slices.Repeat([]string{"GET /orgs/a"}, built)...)
	if want := strings.TrimSuffix(strings.Repeat("/orgs/{org} 403, ", built), ", "); got != want {
		t.Errorf("events: %s", got)
	}
	for range 200 {
		runtime.GC()
		if dropped.Load() >= built-most {
			return
		}
		runtime.Gosched() // cleanups run in a goroutine of their own
	}
	t.Errorf("%d of %d routers were dropped", dropped.Load(), built)
}

// A route for the rest of a path may stand beside a sub-router of the same prefix.
func TestBesideMount(t *testing.T) {
	t.Parallel()
	build := func(middlewares ...func(http.Handler) http.Handler) func(record func(http.Handler) http.Handler) http.Handler {
		return func(record func(http.Handler) http.Handler) http.Handler {
			router := chi.NewRouter()
			router.Use(record)
			router.Use(middlewares...)
			router.Route("/files", func(r chi.Router) { r.Post("/upload", answer(201)) })
			router.Get("/files/*", answer(500))
			router.Route("/hidden", func(r chi.Router) { r.Get("/{id}", answer(201)); r.Post("/{id}", answer(201)) })
			router.Get("/hidden/*", answer(500))
			router.Route("/covered", func(r chi.Router) { r.Get("/{id}", answer(201)) })
			router.Handle("/covered/*", answer(500))
			router.Route("/v1", func(r chi.Router) {
				r.Route("/", func(r chi.Router) { r.Post("/upload", answer(201)) })
				r.Get("/*", answer(200))
			})
			return router
		}
	}
	for _, test := range []struct {
		build func(func(http.Handler) http.Handler) http.Handler
		want  string
	}{
		{build(), "/files/upload 201, /files/* 500, /files/* 500, /v1/upload 201, /v1/* 200, /v1/* 200, /hidden/* 500, /hidden/{id} 201, /covered/* 500, /covered/* 500"},
		{build(refuse(403)), "/files/upload 403, /files/* 403, /files/* 403, /v1/upload 403, /v1/* 403, /v1/* 403, /hidden/* 403, /hidden/{id} 403, /covered/* 403, /covered/* 403"},
	} {
		got := routesOf(t, test.build, "POST /files/upload", "GET /files/a.pdf", "GET /files/upload", "POST /v1/upload", "GET /v1/a/b", "GET /v1/",
			"GET /hidden/a", "POST /hidden/a", "GET /covered/a", "POST /covered/a/b",
			"POST /files/a.pdf", "DELETE /files/a.pdf", "GET /files", "GET /files/", "POST /v1/a")
		if got != test.want {
			t.Errorf("\n got %s\nwant %s", got, test.want)
		}
	}
}

// Versions of chi from 5.3.2 on show a route at the path of a mount.
func TestRefusedBesideMount(t *testing.T) {
	t.Parallel()
	shown := false
	got := routesOf(t, func(record func(http.Handler) http.Handler) http.Handler {
		router := chi.NewRouter()
		router.Use(record, refuse(403))
		router.Route("/reports", func(r chi.Router) { r.Get("/{id}", answer(200)) })
		router.Get("/reports", answer(200))
		shown = slices.ContainsFunc(router.Routes(), func(r chi.Route) bool { return r.Pattern == "/reports" })
		return router
	}, "GET /reports", "POST /reports", "GET /reports/", "GET /reports/1")
	want := "/reports/{id} 403"
	if shown {
		want = "/reports 403, " + want
	}
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The routes are those that chi finds, whatever the routers are, also where a middleware
// refuses the request.
func TestRandomRouters(t *testing.T) {
	t.Parallel()
	const routers = 200
	build := func(outside, inside []func(http.Handler) http.Handler) http.Handler {
		random := rand.New(rand.NewPCG(1, 2)) // the same each time
		router := chi.NewRouter()
		router.Use(outside...)
		for i := range routers {
			at := "/" + strconv.Itoa(i)
			router.Route(at, func(r chi.Router) { r.Use(inside...); addAtRandom(r, random, at) })
		}
		return router
	}
	chis := build(nil, nil)
	var requests, want []string
	for i := range routers {
		for _, path := range []string{"", "/", "/a", "/a/", "/a/b", "/a/a", "/a/a/b", "/z", "/z/c", "/z/m", "/z/m/a", "/a/z/m/c"} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				path := "/" + strconv.Itoa(i) + path
				answered := httptest.NewRecorder()
				chis.ServeHTTP(answered, httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody))
				requests = append(requests, method+" "+path)
				if route := answered.Header().Get("Route"); route != "" {
					want = append(want, route)
				}
			}
		}
	}
	type middlewares = []func(http.Handler) http.Handler
	for name, test := range map[string]struct {
		outside, inside middlewares
		status          string
	}{
		"answered":          {nil, nil, " 200"},
		"refused":           {middlewares{refuse(403)}, nil, " 403"},
		"refused by mounts": {nil, middlewares{refuse(403)}, " 403"},
	} {
		got := strings.Split(routesOf(t, func(record func(http.Handler) http.Handler) http.Handler {
			return build(append(middlewares{record}, test.outside...), test.inside)
		}, requests...), ", ")
		same := 0
		for same < min(len(got), len(want)) && got[same] == want[same]+test.status {
			same++
		}
		if same < max(len(got), len(want)) {
			t.Errorf("%s: the events differ from the one with index %d on: got %q, want %q", name, same,
				got[same:min(same+3, len(got))], want[same:min(same+3, len(want))])
		}
	}
}

// addAtRandom adds routes whose handlers answer with their pattern, and sub-routers.
func addAtRandom(r chi.Router, random *rand.Rand, prefix string) {
	for _, at := range []string{"/", "/a", "/{id}/m"} {
		if random.IntN(4) == 0 {
			r.Route(at, func(r chi.Router) { addAtRandom(r, random, path.Join(prefix, at)) })
		}
	}
	patterns := []string{"/", "/b", "/{id}", "/*", "/a/*", "/a/b", "/{id}/*", "/{id}/c", "/{id}/m/*"}
	for range 1 + random.IntN(3) {
		pattern := patterns[random.IntN(len(patterns))]
		handler := func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Route", path.Join(prefix, pattern)) }
		switch random.IntN(3) {
		case 0:
			r.Get(pattern, handler)
		case 1:
			r.With(middleware.NoCache).Post(pattern, handler)
		default:
			r.HandleFunc(pattern, handler)
		}
	}
}

// A sub-router of another kind may tell chi that it has a route, and not which one.
func TestForeignSubRouter(t *testing.T) {
	t.Parallel()
	got := routesOf(t, func(record func(http.Handler) http.Handler) http.Handler {
		router := chi.NewRouter()
		router.Use(record)
		router.Mount("/v1", foreign{chi.NewRouter()})
		return router
	}, "GET /v1/a", "GET /v1")
	if want := "/v1/* 200, /v1 200"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

type foreign struct{ chi.Router }

func (foreign) ServeHTTP(http.ResponseWriter, *http.Request) {}
func (foreign) Match(*chi.Context, string, string) bool      { return true }
func (foreign) Find(_ *chi.Context, _, _ string) string      { return "/a" }

// A router may be mounted at the root of another.
func TestSubRoutersAtTheRoot(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		build func(router chi.Router, record func(http.Handler) http.Handler)
		want  string
	}{
		{"its own 404", func(router chi.Router, record func(http.Handler) http.Handler) {
			router.Use(record)
			users, api := chi.NewRouter(), chi.NewRouter()
			users.Get("/r/{id}", answer(404))
			api.Mount("/", users)
			router.Mount("/a", api)
		}, "/a/r/{id} 404"},
		{"refused outside", func(router chi.Router, record func(http.Handler) http.Handler) {
			router.Use(record, refuse(403))
			router.Route("/a", func(r chi.Router) { r.Route("/", func(r chi.Router) { r.Get("/r/{id}", answer(200)) }) })
		}, "/a/r/{id} 403"},
		{"refused in between", func(router chi.Router, record func(http.Handler) http.Handler) {
			router.Use(record)
			router.Route("/a", func(r chi.Router) {
				r.Use(refuse(403))
				r.Route("/", func(r chi.Router) { r.Route("/", func(r chi.Router) { r.Get("/r/{id}", answer(200)) }) })
			})
		}, "/a/r/{id} 403"},
		{"root in root", func(router chi.Router, record func(http.Handler) http.Handler) {
			router.Use(record)
			router.Route("/", func(r chi.Router) { r.Route("/", func(r chi.Router) { r.Get("/a/r/{id}", answer(404)) }) })
		}, "/a/r/{id} 404"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := routesOf(t, func(record func(http.Handler) http.Handler) http.Handler {
				router := chi.NewRouter()
				test.build(router, record)
				return router
			}, "GET /a/r/1", "GET /a/nowhere", "POST /a/r/1")
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// A sub-router that is mounted inside another handler, such as a middleware, cannot be
// seen from outside before it has routed.
func TestHiddenSubRouters(t *testing.T) {
	t.Parallel()
	got := routesOf(t, func(record func(http.Handler) http.Handler) http.Handler {
		hidden := chi.NewRouter()
		hidden.Get("/", answer(404)) // the handler's own 404, here and below
		hidden.Get("/reports/{id}", answer(404))
		hidden.Get("/files/*", answer(200))
		hidden.Route("/deep", func(r chi.Router) { r.Get("/{name}", answer(404)); r.Get("/files/*", answer(200)) })
		hidden.Route("/locked", func(r chi.Router) { r.Use(refuse(403)); r.Get("/{name}", answer(200)) })
		router := chi.NewRouter()
		router.Use(record)
		router.Mount("/v1", http.HandlerFunc(hidden.ServeHTTP))
		router.Mount("/v2", middleware.NoCache(hidden))
		return router
	},
		"GET /v1/reports/1", "GET /v2/reports/1", "GET /v1", "GET /v1/", "GET /v1/files/a/b", "GET /v1/deep/a", "GET /v1/deep/files/a", "GET /v1/locked/a",
		"GET /v1/nowhere", "GET /v1/deep", "GET /v1/deep/", "GET /v1/deep/no/where", "POST /v1", "POST /v1/reports/1", "POST /v1/files/a", "BREW /v1/deep/a")
	const want = "/v1/reports/{id} 404, /v2/reports/{id} 404, /v1 404, /v1 404, /v1/files/* 200, /v1/deep/{name} 404, /v1/deep/files/* 200, /v1/locked/* 403"
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// A middleware refuses all requests. Even with a route for "/", a path without a route
// is no event. A path below a mounted handler that is no router is one.
func TestAllRefused(t *testing.T) {
	t.Parallel()
	got := routesOf(t, func(record func(http.Handler) http.Handler) http.Handler {
		router, hidden := chi.NewRouter(), chi.NewRouter()
		hidden.Get("/", answer(200))
		router.Use(record, refuse(403))
		router.Get("/", answer(200))
		router.Route("/a", func(r chi.Router) { r.Get("/", answer(200)) })
		router.Mount("/v1", http.HandlerFunc(hidden.ServeHTTP))
		return router
	}, "GET /", "GET /a", "GET /v1", "GET /v1/r/1", "GET /nowhere", "GET /a/nowhere")
	if got != "/ 403, /a 403, /v1 403, /v1/* 403" {
		t.Errorf("got %s", got)
	}
}

// A request that a middleware refuses before it is routed still has its route.
func TestRefusedBeforeRouting(t *testing.T) {
	t.Parallel()
	routes := func(r chi.Router) {
		r.Get("/reports/{id}", answer(200))
		r.Get("/files/*", answer(200))
		r.Post("/", answer(200))
	}
	for _, test := range []struct {
		name  string
		build func(record func(http.Handler) http.Handler) http.Handler
	}{
		{"by the router", func(record func(http.Handler) http.Handler) http.Handler {
			router := chi.NewRouter()
			router.Use(record, refuse(401))
			router.Route("/orgs/{org}", routes)
			return router
		}},
		{"by a sub-router", func(record func(http.Handler) http.Handler) http.Handler {
			router := chi.NewRouter()
			router.Use(record)
			router.Route("/orgs/{org}", func(r chi.Router) { r.Use(refuse(401)); routes(r) })
			return router
		}},
		{"by the endpoint", func(record func(http.Handler) http.Handler) http.Handler {
			router := chi.NewRouter()
			router.Use(record)
			router.Route("/orgs/{org}", func(r chi.Router) { routes(r.With(refuse(401))) })
			return router
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := routesOf(t, test.build, "GET /orgs/a/reports/1", "GET /orgs/a/reports/b%2Fc", "GET /orgs/a/files/x/y", "POST /orgs/a", "POST /orgs/a/")
			if want := "/orgs/{org}/reports/{id} 401, /orgs/{org}/reports/{id} 401, /orgs/{org}/files/* 401, /orgs/{org} 401, /orgs/{org} 401"; got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
		})
	}
	got := routesOf(t, func(record func(http.Handler) http.Handler) http.Handler {
		router := chi.NewRouter()
		router.Use(record, refuse(401))
		router.Route("/orgs/{org}", routes)
		return router
	}, "GET /nowhere", "GET /orgs/a/nowhere", "POST /orgs/a/reports/1")
	if want := ""; got != want {
		t.Errorf("paths without a route:\n got %s\nwant %s", got, want)
	}
}

// A middleware around a sub-router refuses the request.
func TestRefusedAroundSubRouters(t *testing.T) {
	t.Parallel()
	got := routesOf(t, func(record func(http.Handler) http.Handler) http.Handler {
		router := chi.NewRouter()
		router.Use(record)
		router.Route("/v1", func(r chi.Router) {
			r.Group(func(r chi.Router) {
				r.Use(refuse(401))
				r.Route("/orgs", func(r chi.Router) { r.Get("/{org}", answer(200)); r.Get("/{org}/files/*", answer(200)) })
			})
		})
		return router
	}, "GET /v1/orgs/a", "GET /v1/orgs/a/files/b", "GET /v1/orgs/a/nowhere", "POST /v1/orgs/a")
	if want := "/v1/orgs/{org} 401, /v1/orgs/{org}/files/* 401"; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// Around a handler that is no router of chi's, nothing is known of the route, and nothing
// panics. Tests of an app may bring a context of chi's without a router.
func TestWithoutARouter(t *testing.T) {
	t.Parallel()
	got := routesOf(t, func(record func(http.Handler) http.Handler) http.Handler {
		handler := record(answer(418))
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/context" {
				r = r.WithContext(context.WithValue(r.Context(), chi.RouteCtxKey, chi.NewRouteContext()))
			}
			handler.ServeHTTP(w, r)
		})
	}, "GET /none", "GET /context")
	if want := "- 418, - 418"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What a sub-router answers at the path of its mount has a route only if there is one.
func TestAtMount(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 403, 404, 410} {
		got := routesOf(t, func(record func(http.Handler) http.Handler) http.Handler {
			router := chi.NewRouter()
			router.Use(record)
			router.Route("/refused", func(r chi.Router) { r.Use(refuse(status)); r.Get("/x", answer(200)) })
			router.Route("/unfound", func(r chi.Router) { r.NotFound(answer(status)); r.Get("/x", answer(200)) })
			router.Route("/index", func(r chi.Router) { r.Use(refuse(status)); r.Get("/", answer(200)) })
			router.Route("/beside", func(r chi.Router) { r.Get("/x", answer(200)) })
			router.Get("/beside", answer(status)) // takes the place of the mount
			return router
		}, "GET /refused", "GET /refused/", "GET /unfound", "GET /unfound/", "GET /index", "GET /beside", "GET /beside/", "POST /index")
		want := strings.ReplaceAll("/index 200, /beside 200", "200", strconv.Itoa(status))
		if status == 200 { // an answer without a route
			want = "- 200, - 200, - 200, - 200, " + want + ", - 200"
		}
		if got != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
	}
}

// Where chi does not show what is mounted, the path of the mount is taken for a route.
func TestRefusedAtHiddenMount(t *testing.T) {
	t.Parallel()
	got := routesOf(t, func(record func(http.Handler) http.Handler) http.Handler {
		router, hidden := chi.NewRouter(), chi.NewRouter()
		hidden.Route("/deep", func(r chi.Router) { r.Use(refuse(403)); r.Get("/", answer(200)) })
		router.Use(record)
		router.Mount("/v1", middleware.NoCache(hidden))
		router.Mount("/plain", answer(200))
		router.Route("/all", func(r chi.Router) { r.Use(refuse(403)); r.Get("/*", answer(200)) })
		return router
	}, "GET /v1/deep", "GET /plain", "GET /all")
	if want := "/v1/deep 403, /plain 200, /all/* 403"; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// Some middlewares of chi change the path that chi matches, but not the request's own.
func TestRefusedBehindAnotherPath(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		change   func(http.Handler) http.Handler
		requests []string
	}{
		{"StripSlashes", middleware.StripSlashes, []string{"GET /reports/1/", "GET /orgs/a/reports/1/", "GET /orgs/a/nowhere/"}},
		{"CleanPath", middleware.CleanPath, []string{"GET //reports//1", "GET /orgs//a//reports/1", "GET /orgs//a//nowhere"}},
		{"URLFormat", middleware.URLFormat, []string{"GET /reports/new/1.json", "GET /reports/1.json", "GET /orgs/a/reports/1.json", "GET /orgs/a/nowhere.json"}},
	} {
		for place, build := range map[string]func(router chi.Router, routes func(chi.Router)){
			"by the router": func(router chi.Router, routes func(chi.Router)) {
				router.Use(test.change, refuse(403))
				routes(router)
				router.Route("/orgs/{org}", routes)
			},
			"by a sub-router": func(router chi.Router, routes func(chi.Router)) {
				router.Use(test.change)
				routes(router.With(refuse(403)))
				router.Route("/orgs/{org}", func(r chi.Router) { r.Use(refuse(403)); routes(r) })
			},
			"by a sub-router that changes it": func(router chi.Router, routes func(chi.Router)) {
				router.Route("/", func(r chi.Router) { r.Use(test.change, refuse(403)); routes(r) })
				router.Route("/orgs/{org}", func(r chi.Router) { r.Use(test.change, refuse(403)); routes(r) })
			},
		} {
			if test.name == "CleanPath" && place == "by a sub-router that changes it" {
				continue // CleanPath has no effect in a sub-router
			}
			t.Run(test.name+" "+place, func(t *testing.T) {
				t.Parallel()
				got := routesOf(t, func(record func(http.Handler) http.Handler) http.Handler {
					router := chi.NewRouter()
					router.Use(record)
					build(router, func(r chi.Router) { r.Get("/reports/{id:[0-9]+}", answer(200)) })
					return router
				}, test.requests...)
				if want := "/reports/{id} 403, /orgs/{org}/reports/{id} 403"; got != want {
					t.Errorf("\n got %s\nwant %s", got, want)
				}
			})
		}
	}
}

// If a middleware that answers changes the path, as a proxy does, the changed path is
// not taken for the one that was asked for.
func TestPathChangedByAProxy(t *testing.T) {
	t.Parallel()
	got := routesOf(t, func(record func(http.Handler) http.Handler) http.Handler {
		router := chi.NewRouter()
		router.Use(record, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/proxy/") {
					r.URL.Path = strings.TrimPrefix(r.URL.Path, "/proxy")
					answer(200)(w, r)
					return
				}
				next.ServeHTTP(w, r)
			})
		})
		router.Delete("/users/{id}", answer(200))
		return router
	}, "DELETE /proxy/users/7", "DELETE /users/7")
	if want := "- 200, /users/{id} 200"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// chi's own middlewares change paths and methods on the way.
func TestMiddlewaresOfChi(t *testing.T) {
	t.Parallel()
	with := func(middlewares ...func(http.Handler) http.Handler) func(record func(http.Handler) http.Handler) http.Handler {
		return func(record func(http.Handler) http.Handler) http.Handler {
			router := chi.NewRouter()
			router.Use(record)
			router.Use(middlewares...)
			router.Post("/", answer(200))
			router.Get("/things/{id}", answer(200))
			router.Post("/things/{id}", answer(303))
			router.Get("/files/*", answer(200))
			router.Route("/sub", func(r chi.Router) { r.Get("/gone", answer(404)) })
			return router
		}
	}
	for _, test := range []struct {
		name     string
		build    func(record func(http.Handler) http.Handler) http.Handler
		requests []string
		want     string
	}{
		{
			"RedirectSlashes", with(middleware.RedirectSlashes), // its redirects are no events, those of a handler are
			[]string{"GET /things/1/", "POST /things/1/", "POST /sub/gone/", "POST /things/1"}, "/things/{id} 303",
		},
		{
			"StripSlashes", with(middleware.StripSlashes),
			[]string{"GET /things/1/", "POST /things/1/", "GET /sub/gone/", "GET /sub/none/"}, "/things/{id} 200, /things/{id} 303, /sub/gone 404",
		},
		{"CleanPath", with(middleware.CleanPath), []string{"GET //things//1", "GET //sub//gone"}, "/things/{id} 200, /sub/gone 404"},
		{"StripPrefix", with(middleware.StripPrefix("/v1")), []string{"GET /v1/things/1", "GET /v1/files/a", "GET /v1/none"}, "/things/{id} 200, /files/* 200"},
		{"Timeout", with(middleware.Timeout(time.Minute)), []string{"GET /things/1", "GET /sub/gone"}, "/things/{id} 200, /sub/gone 404"},
		{"GetHead", with(middleware.GetHead), []string{"HEAD /things/1", "GET /things/1"}, "/things/{id} 200"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := routesOf(t, test.build, test.requests...); got != test.want {
				t.Errorf("\n got %s\nwant %s", got, test.want)
			}
		})
	}
}

// request returns the adaptertest.Request for a handler.
func request(w http.ResponseWriter, r *http.Request) adaptertest.NetHTTP {
	return adaptertest.NetHTTP{W: w, R: r, PathParam: chi.URLParam}
}

// An app may mount a router twice, even within itself, or one that cannot show its routes
// or cannot be compared.
func TestUnusualMounts(t *testing.T) {
	t.Parallel()
	got := routesOf(t, func(record func(http.Handler) http.Handler) http.Handler {
		outer, inner := chi.NewRouter(), chi.NewRouter()
		outer.Use(record)
		outer.Get("/x", answer(200))
		inner.Get("/y", answer(200))
		outer.Get("/files/*", answer(200))
		outer.Mount("/hidden", hiddenRouter{answer: answer(200)})
		outer.With(refuse(403)).Mount("/refused", hiddenRouter{})
		outer.Mount("/inner", inner)
		inner.Mount("/outer", wrapped{outer})
		outer.Mount("/self", hooked{outer, nil})
		outer.Mount("/boxed", boxed{hooked{inner, nil}})
		outer.With(refuse(403)).Mount("/closed", hooked{inner, nil})
		outer.Route("/orgs", func(r chi.Router) {
			r.Use(refuse(403))
			r.Get("/{id}", answer(200))
		})
		return outer
	}, "GET /inner/y", "GET /nowhere", "GET /inner/outer/x", "GET /hidden/a", "GET /refused/a", "GET /files/a", "GET /boxed/y", "GET /orgs/1",
		"GET /closed/y", "GET /closed/none")
	if want := "/inner/y 200, /inner/outer/x 200, /hidden/* 200, /refused/* 403, /files/* 200, /boxed/y 200, /orgs/{id} 403, /closed/y 403"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

type wrapped struct{ *chi.Mux }

type hooked struct {
	*chi.Mux

	hook func()
}

type boxed struct{ chi.Router }

type hiddenRouter struct {
	chi.Router // nil

	answer http.HandlerFunc
}

func (h hiddenRouter) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.answer(w, r) }

// chi routes by the method of the routing context, which a middleware may set.
func TestRouteMethod(t *testing.T) {
	t.Parallel()
	got := routesOf(t, func(record func(http.Handler) http.Handler) http.Handler {
		r := chi.NewRouter()
		r.Use(record, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				chi.RouteContext(r.Context()).RouteMethod = r.URL.Query().Get("_method")
				next.ServeHTTP(w, r)
			})
		})
		r.Route("/orgs", func(r chi.Router) {
			r.Use(refuse(403))
			r.Delete("/{id}", answer(200))
		})
		r.Route("/files", func(r chi.Router) { r.Post("/upload", answer(201)) })
		r.Delete("/files/*", answer(200))
		return r
	}, "POST /orgs/1?_method=DELETE", "POST /files/a?_method=DELETE")
	if want := "/orgs/{id} 403, /files/* 200"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

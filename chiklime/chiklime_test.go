package chiklime_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	"github.com/klimeapp/klime-go/chiklime"
	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/conformance"
	"github.com/klimeapp/klime-go/klimetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Run(t, conformance.Adapter{Name: "chi", Start: start})
}

func start(tb testing.TB, app conformance.App) (url string, stop func()) {
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
		router.Use(chiklime.Middleware(app.ClientInside, chiklime.UserID(func(r *http.Request) any { return app.UserIDInside(request{nil, r}) })))
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
	return conformance.Serve(tb, app, router)
}

// nest makes the groups that are not there yet, one in the other.
func nest(known map[string]chi.Router, groups []string) chi.Router {
	path := strings.Join(groups, "")
	if known[path] == nil {
		last := len(groups) - 1
		known[path] = nest(known, groups[:last]).Route(groups[last], func(chi.Router) {})
	}
	return known[path]
}

func add(r chi.Router, app conformance.App, route conformance.Route) {
	if app.Link != nil {
		r = r.With(chiklime.Link(func(r *http.Request) (klime.User, []klime.Group) { return app.Link(request{nil, r}) }))
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
		route.Handler(request{w, r})
	})
}

// dialect turns {rest...} into *.
func dialect(path string) string {
	if head, _, ok := strings.Cut(path, "{rest...}"); ok {
		return head + "*"
	}
	return path
}

func options(app conformance.App) []klime.Option {
	opts := app.Options
	if app.UserID != nil {
		opts = append(opts, chiklime.UserID(func(r *http.Request) any { return app.UserID(request{nil, r}) }))
	}
	if app.GroupID != nil {
		opts = append(opts, chiklime.GroupID(func(r *http.Request) any { return app.GroupID(request{nil, r}) }))
	}
	return opts
}

func wrap(m conformance.Middleware) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			m(request{w, r}, func(inner conformance.Request) { next.ServeHTTP(inner.HTTP()) })
		})
	}
}

// A sub-router in which nothing matches does not make its mount a route.
func TestSubRouters(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	client := server.Client()
	ok := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }
	inner := chi.NewRouter()
	inner.Get("/reports/{id:[0-9]+}", ok)
	inner.Get("/files/*", ok)
	inner.Get("/gone", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }) // its own 404
	inner.Route("/deep", func(r chi.Router) { r.Get("/{name}", ok) })
	inner.Route("/denied", func(r chi.Router) {
		r.Use(func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
		})
		r.Get("/{name}", ok)
	})
	router := chi.NewRouter()
	router.Use(chiklime.Middleware(client, chiklime.UserID(func(*http.Request) string { return "jane" })))
	router.Mount("/orgs/{org}", inner)
	for _, path := range []string{"/orgs/a/reports/1", "/orgs/a/files/x/y", "/orgs/a/gone", "/orgs/a/deep/z", "/orgs/a/denied/z", "/orgs/a/nowhere", "/orgs/a/deep/no/where", "/orgs/a", "/orgs/a/", "/no"} {
		router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var routes []string
	for _, e := range server.Events() {
		route, known := e.Properties["route"].(string)
		if !known {
			route = "-"
		}
		routes = append(routes, route)
	}
	if got, want := strings.Join(routes, " "), "/orgs/{org}/reports/{id} /orgs/{org}/files/* /orgs/{org}/gone /orgs/{org}/deep/{name} -"; got != want {
		t.Errorf("routes %s, want %s", got, want)
	}
}

// request is a conformance.Request of chi.
type request struct {
	w http.ResponseWriter
	r *http.Request
}

func (q request) Context() context.Context                   { return q.r.Context() }
func (q request) Detached() context.Context                  { return q.r.Context() }
func (q request) Value(key string) any                       { return q.r.Context().Value(key) }
func (q request) Param(name string) string                   { return chi.URLParam(q.r, name) }
func (q request) Header(name string) string                  { return q.r.Header.Get(name) }
func (q request) Body() io.Reader                            { return q.r.Body }
func (q request) HTTP() (http.ResponseWriter, *http.Request) { return q.w, q.r }

func (q request) Keep(key string, value any) conformance.Request { return q.Replace(key, value) }

func (q request) Replace(key, value any) conformance.Request {
	return request{q.w, q.r.WithContext(context.WithValue(q.r.Context(), key, value))}
}

func (q request) WithCancel() (conformance.Request, context.CancelFunc) {
	ctx, cancel := context.WithCancel(q.r.Context())
	return request{q.w, q.r.WithContext(ctx)}, cancel
}

func (q request) Reply(status int, contentType, body string) {
	if contentType != "" {
		q.w.Header().Set("Content-Type", contentType)
	}
	if status != 0 {
		q.w.WriteHeader(status)
	}
	_, _ = io.WriteString(q.w, body)
}

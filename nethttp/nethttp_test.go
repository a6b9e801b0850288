package nethttp_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/conformance"
	"github.com/klimeapp/klime-go/nethttp"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Run(t, conformance.Adapter{Name: "nethttp", Start: start})
}

// start builds the app on http.ServeMux, with the middlewares around it.
func start(tb testing.TB, app conformance.App) (url string, stop func()) {
	tb.Helper()
	mux := http.NewServeMux()
	mounted := map[string]*http.ServeMux{}
	for _, route := range app.Routes {
		router, prefix := mux, strings.Join(route.Groups, "")
		if route.Mounted {
			if mounted[prefix] == nil {
				mounted[prefix] = http.NewServeMux()
				mux.Handle(prefix+"/", mounted[prefix])
			}
			router = mounted[prefix]
		}
		router.Handle(pattern(route), handler(app, route))
	}
	var handler http.Handler = mux
	if app.UserIDInside != nil {
		handler = nethttp.Middleware(app.ClientInside, nethttp.UserID(func(r *http.Request) any {
			return app.UserIDInside(request{nil, r})
		}))(handler)
	}
	for _, m := range slices.Backward(app.Inside) {
		handler = wrap(m, handler)
	}
	if !app.Bare {
		ours := nethttp.Middleware(app.Client, options(app, mux)...)
		if app.Twice {
			handler = ours(handler)
		}
		handler = ours(handler)
	}
	for _, m := range slices.Backward(app.Outside) {
		handler = wrap(m, handler)
	}
	return conformance.Serve(tb, app, handler)
}

func handler(app conformance.App, route conformance.Route) http.Handler {
	handler := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route.Handler(request{w, r})
	}))
	if app.Link != nil {
		handler = nethttp.Link(func(r *http.Request) (klime.User, []klime.Group) {
			return app.Link(request{nil, r})
		})(handler)
	}
	if route.Event != "" {
		handler = nethttp.Event(route.Event)(handler)
	}
	if route.Skip {
		handler = nethttp.Skip()(handler)
	}
	return handler
}

// pattern is a route as ServeMux has it.
func pattern(route conformance.Route) string {
	method, path := route.Method, route.FullPath()
	if method == "" {
		method = http.MethodGet
	}
	if strings.HasSuffix(path, "/") {
		path += "{$}" // else it matches everything below it
	}
	return method + " " + path
}

func options(app conformance.App, mux *http.ServeMux) []klime.Option {
	opts := app.Options
	if app.UserID != nil {
		opts = append(opts, nethttp.UserID(func(r *http.Request) any { return app.UserID(request{nil, r}) }))
	}
	if app.GroupID != nil {
		opts = append(opts, nethttp.GroupID(func(r *http.Request) any { return app.GroupID(request{nil, r}) }))
	}
	if len(app.Inside) > 0 {
		// A middleware between us and the mux may replace the request, and the
		// mux then leaves its pattern where we cannot see it.
		opts = append(opts, nethttp.Mux(mux))
	}
	return opts
}

func wrap(m conformance.Middleware, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m(request{w, r}, func(inner conformance.Request) {
			next.ServeHTTP(inner.HTTP())
		})
	})
}

// request is a conformance.Request of net/http.
type request struct {
	w http.ResponseWriter
	r *http.Request
}

func (q request) Context() context.Context                   { return q.r.Context() }
func (q request) Detached() context.Context                  { return q.r.Context() }
func (q request) Value(key string) any                       { return q.r.Context().Value(key) }
func (q request) Param(name string) string                   { return q.r.PathValue(name) }
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

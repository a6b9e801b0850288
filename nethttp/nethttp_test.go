package nethttp_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest/adaptertest"
	"github.com/klimeapp/klime-go/nethttp"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	adaptertest.Run(t, adaptertest.Adapter{Name: "nethttp", Start: start})
}

// start builds the app on http.ServeMux, with the middlewares around it.
func start(tb testing.TB, app adaptertest.App) (url string, stop func()) {
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
			return app.UserIDInside(request(nil, r))
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
	return adaptertest.Serve(tb, app, handler)
}

func handler(app adaptertest.App, route adaptertest.Route) http.Handler {
	handler := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route.Handler(request(w, r))
	}))
	if app.Link != nil {
		handler = nethttp.Link(func(r *http.Request) (klime.User, []klime.Group) {
			return app.Link(request(nil, r))
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

// pattern is a route in the syntax of ServeMux.
func pattern(route adaptertest.Route) string {
	method, path := route.Method, route.FullPath()
	if method == "" {
		method = http.MethodGet
	}
	if strings.HasSuffix(path, "/") {
		path += "{$}" // without it, the pattern matches everything below
	}
	return method + " " + path
}

func options(app adaptertest.App, mux *http.ServeMux) []klime.Option {
	opts := app.Options
	if app.UserID != nil {
		opts = append(opts, nethttp.UserID(func(r *http.Request) any { return app.UserID(request(nil, r)) }))
	}
	if app.GroupID != nil {
		opts = append(opts, nethttp.GroupID(func(r *http.Request) any { return app.GroupID(request(nil, r)) }))
	}
	if len(app.Inside) > 0 {
		// A middleware between ours and the mux may replace the request. The mux
		// then sets the pattern in a request that ours does not have.
		opts = append(opts, nethttp.Mux(mux))
	}
	return opts
}

func wrap(m adaptertest.Middleware, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m(request(w, r), func(inner adaptertest.Request) {
			next.ServeHTTP(inner.HTTP())
		})
	})
}

// request returns the adaptertest.Request for a handler.
func request(w http.ResponseWriter, r *http.Request) adaptertest.NetHTTP {
	return adaptertest.NetHTTP{W: w, R: r, PathParam: (*http.Request).PathValue}
}

// An option that is given nothing is an invalid one, and no panic in each request.
func TestNilOptions(t *testing.T) {
	t.Parallel()
	for name, option := range map[string]klime.Option{"Mux": nethttp.Mux(nil), "Route": nethttp.Route(nil)} {
		if err := klime.NewTracker(nil, option).Err(); !errors.Is(err, klime.ErrInvalidOption) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

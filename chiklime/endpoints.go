package chiklime

import (
	"net/http"
	"strings"
	"sync"

	"github.com/go-chi/chi/v5"
)

// endpoints knows which patterns of a router have a handler of their own: a
// mounted sub-router in which nothing has matched leaves the pattern of the
// mount, which looks like a match.
type endpoints struct{ known sync.Map } // chi.Routes → map[endpoint]bool

// endpoint is a route without the slash at its end.
type endpoint struct{ method, pattern string }

// pattern is what the router and its sub-routers have matched, or would have if
// no middleware had answered in their place; "" if nothing.
func (e *endpoints) pattern(_, r *http.Request, status int) (pattern string, unmatched bool) {
	ctx := chi.RouteContext(r.Context())
	matched := ctx.RoutePattern()
	partly := matched == "" || strings.HasSuffix(matched, "/*")
	nothing := status == http.StatusNotFound || status == http.StatusMethodNotAllowed
	if ctx == nil || ctx.Routes == nil || !partly && !nothing {
		return matched, false
	}
	if partly {
		asked := ctx.Routes.Find(chi.NewRouteContext(), r.Method, pathOf(r))
		if asked != "" { // else a middleware may have changed the path
			matched = asked
		}
	}
	if !e.of(ctx.Routes)[endpoint{r.Method, strings.TrimSuffix(matched, "/")}] {
		return "", true
	}
	return matched, false
}

// pathOf is the path by which a router goes.
func pathOf(r *http.Request) string {
	if r.URL.RawPath != "" {
		return r.URL.RawPath
	}
	return r.URL.Path
}

// of returns the endpoints of a router, which has all its routes by now.
func (e *endpoints) of(routes chi.Routes) map[endpoint]bool {
	if known, ok := e.known.Load(routes); ok {
		return known.(map[endpoint]bool) //nolint:forcetypeassert // nothing else is stored
	}
	known := map[endpoint]bool{}
	_ = chi.Walk(routes, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		known[endpoint{method, strings.TrimSuffix(whole(route), "/")}] = true
		return nil
	})
	e.known.Store(routes, known)
	return known
}

// whole is a pattern without the mounts of the routers on its way. Of a router that
// is mounted at the root of another, [chi.Walk] leaves one.
func whole(pattern string) string {
	for strings.Contains(pattern, "/*/") {
		pattern = strings.ReplaceAll(pattern, "/*/", "/")
	}
	return pattern
}

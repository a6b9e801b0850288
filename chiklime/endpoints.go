package chiklime

import (
	"net/http"
	"strings"
	"sync"

	"github.com/go-chi/chi/v5"

	"github.com/klimeapp/klime-go/internal/httpexchange"
)

// endpoints knows which patterns of a router have a handler of their own: a
// mounted sub-router in which nothing has matched leaves the pattern of the
// mount, which looks like a match.
type endpoints struct{ known sync.Map } // chi.Routes → *tree

// tree is a router with its sub-routers, but for those in another handler's guise.
type tree struct {
	endpoints map[endpoint]bool
	routers   map[string]chi.Routes // by the pattern that leads to them: "" for the outermost, /orgs/{org}/*
}

// endpoint is a route without the slash at its end.
type endpoint struct{ method, pattern string }

// pattern is what the router and its sub-routers have matched, or would have if
// no middleware had answered in their place; "" if nothing.
func (e *endpoints) pattern(_, r *http.Request, status int) (pattern string, unmatched bool) {
	ctx := chi.RouteContext(r.Context())
	matched := ctx.RoutePattern()
	partly := matched == "" || strings.HasSuffix(matched, "/*")
	nothing := status == http.StatusNotFound || status == http.StatusMethodNotAllowed
	if ctx == nil || ctx.Routes == nil || !partly && (!nothing || !atMount(ctx)) {
		return matched, false
	}
	known := e.of(ctx.Routes)
	if partly {
		router := known.routers[matched]
		if router == nil { // an endpoint, or a router that is not known
			return matched, false
		}
		asked := router.Find(chi.NewRouteContext(), r.Method, pathOf(ctx, httpexchange.AsItCame(r)))
		if asked != "" { // else a middleware may have changed the path
			matched = whole(matched + asked)
			if known.endpoints[endpoint{r.Method, matched + "/*"}] { // a mount in another handler's guise
				return matched, false
			}
		}
	}
	if matched == "" || !known.endpoints[endpoint{r.Method, strings.TrimSuffix(matched, "/")}] {
		return "", true
	}
	return matched, false
}

// atMount reports whether the path leads to a mount, with or without a slash at its
// end, and no further: the sub-router is left with the path "/", and without a match.
func atMount(ctx *chi.Context) bool {
	return ctx.RoutePath == "/" && ctx.RoutePatterns[len(ctx.RoutePatterns)-1] != "/"
}

// pathOf is the path by which the router goes on that has been reached.
func pathOf(ctx *chi.Context, r *http.Request) string {
	switch {
	case ctx.RoutePath != "": // the rest, behind a mount, or what a middleware such as StripSlashes makes of it
		return ctx.RoutePath
	case r.URL.RawPath != "":
		return r.URL.RawPath
	default:
		return r.URL.Path
	}
}

// of returns what a router has, which has all its routes by now.
func (e *endpoints) of(routes chi.Routes) *tree {
	if known, ok := e.known.Load(routes); ok {
		return known.(*tree) //nolint:forcetypeassert // nothing else is stored
	}
	known := &tree{map[endpoint]bool{}, map[string]chi.Routes{}}
	known.add("", routes)
	e.known.Store(routes, known)
	return known
}

// add adds a router and those that are mounted in it.
func (t *tree) add(mount string, routes chi.Routes) {
	if t.routers[mount] == nil { // else this one is at the root of that one
		t.routers[mount] = routes
	}
	for _, route := range routes.Routes() {
		pattern := whole(mount + route.Pattern)
		if route.SubRoutes != nil {
			t.add(pattern, route.SubRoutes)
			continue
		}
		for method := range route.Handlers {
			t.endpoints[endpoint{method, strings.TrimSuffix(pattern, "/")}] = true
		}
	}
}

// whole is a pattern without the mounts on its way.
func whole(pattern string) string {
	for strings.Contains(pattern, "/*/") {
		pattern = strings.ReplaceAll(pattern, "/*/", "/")
	}
	return pattern
}

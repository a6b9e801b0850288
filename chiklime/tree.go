package chiklime

import (
	"net/http"
	"reflect"
	"strings"
	"sync"

	"github.com/go-chi/chi/v5"

	"github.com/klimeapp/klime-go/internal/httpexchange"
)

// trees knows which patterns of a router have a handler of their own. That cannot be
// told from a request: if nothing has matched in a mounted sub-router, chi has still
// recorded the pattern of the mount, which looks like a match.
type trees struct{ byRouter sync.Map } // chi.Routes → *tree

// tree holds the routes of a router and its sub-routers, except for sub-routers that
// are mounted inside another handler: chi does not show those.
type tree struct {
	endpoints map[endpoint]bool
	beside    map[endpoint]bool     // those of them that hide a mount from a method
	routers   map[string]chi.Routes // by the pattern that leads to them: "" for the outermost, /orgs/{org}/*
}

// endpoint is a route without the slash at its end.
type endpoint struct{ method, pattern string }

// pattern is what the router and its sub-routers have matched, or would have
// matched if no middleware had answered in their place. It is "" if nothing matches.
func (t *trees) pattern(_, r *http.Request, status int) (pattern string, unmatched bool) {
	ctx := chi.RouteContext(r.Context())
	matched := ctx.RoutePattern()
	partly := matched == "" || strings.HasSuffix(matched, "/*")
	nothing := status == http.StatusNotFound || status == http.StatusMethodNotAllowed
	if ctx == nil || ctx.Routes == nil || !partly && !atMount(ctx) {
		return matched, false
	}
	known := t.of(ctx.Routes)
	mount, path := matched, pathOf(ctx, httpexchange.Original(r))
	if !partly {
		mount, path = matched+"/*", "/"
	}
	router := known.routers[mount]
	hidden := partly && known.beside[endpoint{r.Method, mount}]
	if hidden || router == nil && (partly || !nothing) { // an endpoint, or a router that chi does not show
		return matched, false
	}
	if router != nil {
		if found := known.find(mount, r.Method, path); found != "" {
			return found, false
		}
	}
	if matched == "" || !known.endpoints[endpoint{r.Method, matched}] { // an endpoint, if a middleware has changed the path
		return "", true
	}
	return matched, false
}

// find is the route to which a path leads in the router of a mount, "" if to none.
func (t *tree) find(mount, method, path string) string {
	ctx := chi.NewRouteContext()
	found := t.routers[mount].Find(ctx, method, path)
	at := mount
	for _, pattern := range ctx.RoutePatterns {
		if at = withoutMounts(at + pattern); t.beside[endpoint{method, at}] {
			return at
		}
	}
	if found == "" {
		return ""
	}
	found = withoutMounts(mount + found)
	bare := strings.TrimSuffix(found, "/")
	inner := bare + "/*"
	switch {
	case t.endpoints[endpoint{method, bare}]:
		return found
	case t.routers[inner] != nil: // the path is that of a mount
		return t.find(inner, method, "/")
	case t.endpoints[endpoint{method, inner}]: // the mount of a handler that is no router
		return found
	default:
		return ""
	}
}

// atMount reports whether the path leads exactly to a mount, with or without a slash
// at its end. The sub-router then has the path "/", and has found no match for it.
func atMount(ctx *chi.Context) bool {
	return ctx.RoutePath == "/" && ctx.RoutePatterns[len(ctx.RoutePatterns)-1] != "/"
}

// pathOf is the path that the innermost router reached would match.
func pathOf(ctx *chi.Context, r *http.Request) string {
	rest := restOf(ctx)
	switch {
	case rest != "": // of a mount that has not been entered: a middleware around it has answered
		return "/" + rest
	case ctx.RoutePath != "": // set by a mount, or by a middleware such as StripSlashes
		return ctx.RoutePath
	case r.URL.RawPath != "":
		return r.URL.RawPath
	default:
		return r.URL.Path
	}
}

// of returns the tree of a router. It is built once: by the first request, all
// routes have been registered.
func (t *trees) of(router chi.Routes) *tree {
	if known, ok := t.byRouter.Load(router); ok {
		return known.(*tree) //nolint:forcetypeassert // nothing else is stored
	}
	built := &tree{map[endpoint]bool{}, map[endpoint]bool{}, map[string]chi.Routes{}}
	built.add("", router)
	t.byRouter.Store(router, built)
	return built
}

// add adds a router and those that are mounted in it.
func (t *tree) add(mount string, router chi.Routes) {
	if t.routers[mount] == nil { // a router at the root of another does not take its place
		t.routers[mount] = router
	}
	for _, route := range router.Routes() {
		pattern := withoutMounts(mount + route.Pattern)
		if route.SubRoutes != nil {
			t.add(pattern, route.SubRoutes)
		}
		for method, handler := range route.Handlers {
			if own, ok := route.Handlers["*"]; route.SubRoutes != nil && ok && address(handler) == address(own) {
				continue // the mount's own
			}
			if route.SubRoutes != nil {
				t.beside[endpoint{method, pattern}] = true
			}
			t.endpoints[endpoint{method, strings.TrimSuffix(pattern, "/")}] = true
		}
	}
}

// address tells handlers apart. It is 0 for some that cannot be the handler of a mount.
func address(handler http.Handler) uintptr {
	v := reflect.ValueOf(handler)
	if v.Kind() != reflect.Func && v.Kind() != reflect.Pointer {
		return 0
	}
	return v.Pointer()
}

// restOf is what the /* at the end of the pattern has matched. A mount clears it before
// its router matches on.
func restOf(ctx *chi.Context) string {
	last := len(ctx.URLParams.Keys) - 1
	if last < 0 || ctx.URLParams.Keys[last] != "*" || last >= len(ctx.URLParams.Values) {
		return ""
	}
	return ctx.URLParams.Values[last]
}

// withoutMounts removes the /* of each mount from within a pattern.
func withoutMounts(pattern string) string {
	for strings.Contains(pattern, "/*/") {
		pattern = strings.ReplaceAll(pattern, "/*/", "/")
	}
	return pattern
}

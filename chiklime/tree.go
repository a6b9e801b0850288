package chiklime

import (
	"cmp"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/klimeapp/klime-go/internal/httpexchange"
	"github.com/klimeapp/klime-go/internal/memo"
)

// trees knows what stands at the patterns of each outermost router. That cannot be told
// from a request: if nothing has matched in a mounted sub-router, chi has still recorded
// the pattern of the mount, which looks like a match.
type trees struct {
	byRouter memo.Map[chi.Routes, *tree]
}

// tree is a router with those that are mounted in it, except for those that are mounted
// inside another handler: chi does not show these.
type tree struct {
	chi.Routes

	mounts    map[string]*tree  // by pattern; of a mount at /orgs, these are /orgs, /orgs/ and /orgs/*
	endpoints map[endpoint]bool // some have the pattern of a mount, and take its place
}

type endpoint struct{ method, pattern string }

// maxNested bounds how many routers that cannot be compared are looked into within each other.
const maxNested = 3

// pattern is what the router and its sub-routers have matched, or would have
// matched if no middleware had answered in their place. It is "" if nothing matches.
func (t *trees) pattern(_, r *http.Request, status int) (pattern string, unmatched bool) {
	ctx := chi.RouteContext(r.Context())
	matched := ctx.RoutePattern()
	partly := matched == "" || strings.HasSuffix(matched, "/*")
	if ctx == nil || ctx.Routes == nil || !partly && !atMount(ctx) {
		return matched, false
	}
	defer func() {
		if recover() != nil { // chi has asked a router that cannot answer, such as one that embeds a nil chi.Router
			pattern, unmatched = matched, false
		}
	}()
	method := cmp.Or(ctx.RouteMethod, r.Method)
	outermost := t.of(ctx.Routes)
	router, _ := outermost.follow(method, ctx.RoutePatterns)
	if router == nil {
		nothing := status == http.StatusNotFound || status == http.StatusMethodNotAllowed
		if nothing && !partly { // at a mount whose router chi does not show
			return "", true
		}
		return matched, false
	}
	found := &chi.Context{RoutePatterns: slices.Clip(ctx.RoutePatterns)}
	path := pathOf(ctx, httpexchange.Original(r))
	// chi's Match ends at the path of a mount. That of another kind of router may record nothing.
	for last := (*tree)(nil); router != nil && router != last; path = "/" {
		last = router
		matches := router.Match(found, method, path)
		router, found.RoutePatterns = outermost.follow(method, found.RoutePatterns)
		if router != nil && !matches {
			return "", true
		}
	}
	return found.RoutePattern(), false
}

// follow returns the router to which the patterns of mounts lead. It is nil if they lead
// to an endpoint, or to a handler of which chi shows no more. The patterns end there.
func (t *tree) follow(method string, patterns []string) (*tree, []string) {
	for i, pattern := range patterns {
		mounted := t.mounts[pattern]
		if mounted == nil || t.endpoints[endpoint{method, pattern}] {
			return nil, patterns[:i+1]
		}
		t = mounted
	}
	return t, patterns
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

// restOf is what the /* at the end of the pattern has matched. A mount clears it before
// its router matches on.
func restOf(ctx *chi.Context) string {
	last := len(ctx.URLParams.Keys) - 1
	if last < 0 || ctx.URLParams.Keys[last] != "*" || last >= len(ctx.URLParams.Values) {
		return ""
	}
	return ctx.URLParams.Values[last]
}

// of returns the tree of a router. It is built once: by the first request, all
// routes have been registered.
func (t *trees) of(router chi.Routes) *tree {
	if known, ok := t.byRouter.Load(router); ok {
		return known
	}
	sample := chi.NewRouter()
	sample.Mount("/", chi.NewRouter())
	built := newTree(router, code(sample.Routes()[0].Handlers["*"]), map[chi.Routes]*tree{}, 0)
	t.byRouter.Store(router, built)
	return built
}

// newTree tells endpoints and mounts apart by the code of chi's handler of a mount. known
// holds the trees made so far: a router may be mounted more than once, even within itself.
// Of routers that cannot be keys, nested says how many of these are around. newTree returns
// nil if a router cannot show its routes, or if nested is too large: then it may have no end.
func newTree(router chi.Routes, mount uintptr, known map[chi.Routes]*tree, nested int) *tree {
	isKey := reflect.ValueOf(router).Comparable()
	if !isKey {
		nested++
	} else if t := known[router]; t != nil {
		return t
	}
	if nested > maxNested {
		return nil
	}
	routes, ok := routesOf(router)
	if !ok {
		return nil
	}
	t := &tree{router, map[string]*tree{}, map[endpoint]bool{}}
	if isKey {
		known[router] = t
	}
	for _, route := range routes {
		if route.SubRoutes != nil {
			mounted := newTree(route.SubRoutes, mount, known, nested)
			for _, end := range []string{"", "*", "/*"} {
				t.mounts[strings.TrimSuffix(route.Pattern, end)] = mounted
			}
		}
		for method, handler := range route.Handlers {
			if code(handler) != mount {
				t.endpoints[endpoint{method, route.Pattern}] = true
			}
		}
	}
	return t
}

func routesOf(router chi.Routes) (routes []chi.Route, ok bool) {
	defer func() { ok = recover() == nil }()
	return router.Routes(), true
}

// code tells functions apart that are handlers. It is 0 for other handlers.
func code(handler http.Handler) uintptr {
	if chain, ok := handler.(*chi.ChainHandler); ok {
		handler = chain.Endpoint
	}
	if f, ok := handler.(http.HandlerFunc); ok {
		return reflect.ValueOf(f).Pointer()
	}
	return 0
}

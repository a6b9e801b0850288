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
type endpoints struct{ known sync.Map } // chi.Routes → map[string]bool

// pattern is what the router and its sub-routers have matched, "" if nothing.
func (e *endpoints) pattern(r *http.Request, status int) string {
	ctx := chi.RouteContext(r.Context())
	matched := ctx.RoutePattern()
	nothing := status == http.StatusNotFound || status == http.StatusMethodNotAllowed
	if !nothing && !strings.HasSuffix(matched, "/*") || ctx == nil || ctx.Routes == nil {
		return matched
	}
	if !e.of(ctx.Routes)[strings.TrimSuffix(matched, "/")] {
		return ""
	}
	return matched
}

// of returns the patterns of a router, which has all its routes by now.
func (e *endpoints) of(routes chi.Routes) map[string]bool {
	if known, ok := e.known.Load(routes); ok {
		return known.(map[string]bool) //nolint:forcetypeassert // nothing else is stored
	}
	known := map[string]bool{}
	_ = chi.Walk(routes, func(_, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		known[strings.TrimSuffix(route, "/")] = true
		return nil
	})
	e.known.Store(routes, known)
	return known
}

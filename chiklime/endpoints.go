package chiklime

import (
	"net/http"
	"strings"
	"sync"

	"github.com/go-chi/chi/v5"
)

// endpoints knows which patterns have a handler of their own: a mounted
// sub-router in which nothing matches leaves the pattern of the mount, which
// looks like a match.
type endpoints struct {
	once  sync.Once
	known map[string]bool
}

// pattern is what the router and its sub-routers have matched, "" if nothing.
func (e *endpoints) pattern(r *http.Request, status int) string {
	ctx := chi.RouteContext(r.Context())
	matched := ctx.RoutePattern()
	if status != http.StatusNotFound && status != http.StatusMethodNotAllowed || ctx == nil || ctx.Routes == nil {
		return matched
	}
	e.once.Do(func() { e.walk(ctx.Routes) })
	if !e.known[strings.TrimSuffix(matched, "/")] {
		return ""
	}
	return matched
}

func (e *endpoints) walk(routes chi.Routes) {
	e.known = map[string]bool{}
	_ = chi.Walk(routes, func(_, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		e.known[strings.TrimSuffix(route, "/")] = true
		return nil
	})
}

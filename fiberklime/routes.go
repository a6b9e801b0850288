package fiberklime

import (
	"sync/atomic"

	"github.com/gofiber/fiber/v2"
)

// routes knows which of an app's routes are not middlewares: a request that
// matches none of them is left with the route of the last middleware.
type routes struct{ known atomic.Pointer[routeTable] }

type routeTable struct {
	handlers uint32 // of the app when the table was made
	routes   map[route]bool
}

type route struct{ method, path string }

// pattern is the path of the route that c has matched, "" if none.
func (r *routes) pattern(c *fiber.Ctx) string {
	table := r.known.Load()
	if n := c.App().HandlersCount(); table == nil || table.handlers != n {
		table = &routeTable{handlers: n, routes: map[route]bool{}}
		for _, known := range c.App().GetRoutes(true) {
			table.routes[route{known.Method, known.Path}] = true
		}
		r.known.Store(table)
	}
	matched := c.Route()
	if !table.routes[route{matched.Method, matched.Path}] {
		return ""
	}
	return matched.Path
}

package fiberklime

import (
	"sync"

	"github.com/gofiber/fiber/v2"
)

// routes knows which routes of an app are not middlewares: a request that
// matches none of them is left with the route of the last middleware.
type routes struct{ tables sync.Map } // *fiber.App → *routeTable

type routeTable struct {
	handlers uint32 // of the app when the table was made
	routes   map[route]bool
}

// route tells one from another. A middleware may have the method and path of a
// route, but not its handlers.
type route struct {
	method, path string
	first        *fiber.Handler
}

func keyOf(r *fiber.Route) route {
	key := route{method: r.Method, path: r.Path}
	if len(r.Handlers) > 0 {
		key.first = &r.Handlers[0]
	}
	return key
}

// pattern is the path of the route that c has matched, "" if none.
func (r *routes) pattern(c *fiber.Ctx) string {
	matched := c.Route()
	if !r.table(c.App()).routes[keyOf(matched)] {
		return ""
	}
	return matched.Path
}

// table is that of app, made anew when app has got more routes.
func (r *routes) table(app *fiber.App) *routeTable {
	if known, ok := r.tables.Load(app); ok {
		if table, ok := known.(*routeTable); ok && table.handlers == app.HandlersCount() {
			return table
		}
	}
	table := &routeTable{handlers: app.HandlersCount(), routes: map[route]bool{}}
	known := app.GetRoutes(true)
	for i := range known {
		table.routes[keyOf(&known[i])] = true
	}
	r.tables.Store(app, table)
	return table
}

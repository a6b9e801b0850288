package fiberklime

import (
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"

	"github.com/klimeapp/klime-go/internal/colons"
)

// routes knows which routes of an app are not middlewares: Fiber leaves a
// request with the last of either that it has reached.
type routes struct{ tables sync.Map } // *fiber.App → *routeTable

type routeTable struct {
	handlers uint32 // of the app when the table was made
	reached  map[route]bool
	plain    *fiber.App // with the routes alone
}

// route tells one from a middleware, which may have its path or its handlers,
// but not both.
type route struct {
	path  string
	first *fiber.Handler
}

func keyOf(r *fiber.Route) route {
	key := route{path: r.Path}
	if len(r.Handlers) > 0 {
		key.first = &r.Handlers[0]
	}
	return key
}

// pattern is the path of the route that c has reached. If a middleware was
// reached last, it is that of the route to which the request leads, "" if none.
func (r *routes) pattern(c *fiber.Ctx) string {
	table := r.table(c.App())
	if reached := c.Route(); table.reached[keyOf(reached)] {
		return colons.Braces(reached.Path, parameter)
	}
	asked := table.plain.AcquireCtx(c.Context())
	defer table.plain.ReleaseCtx(asked)
	asked.Method(c.Method()) // a middleware may have changed it
	if asked.RestartRouting() != nil {
		return ""
	}
	return colons.Braces(asked.Route().Path, parameter)
}

// parameter is the name of the parameter that begins before after, by Fiber's rules:
// unlike in Gin, a segment may go on.
func parameter(after string) string {
	if end := strings.IndexAny(after, "-.:?<\\"); end >= 0 {
		return after[:end]
	}
	return after
}

// table is that of app, made anew when app has got more routes.
func (r *routes) table(app *fiber.App) *routeTable {
	if known, ok := r.tables.Load(app); ok {
		if table, ok := known.(*routeTable); ok && table.handlers == app.HandlersCount() {
			return table
		}
	}
	config := app.Config()
	table := &routeTable{
		handlers: app.HandlersCount(),
		reached:  map[route]bool{},
		plain: fiber.New(fiber.Config{
			CaseSensitive:  config.CaseSensitive,
			StrictRouting:  config.StrictRouting,
			UnescapePath:   config.UnescapePath,
			RequestMethods: config.RequestMethods,
		}),
	}
	known := app.GetRoutes(true)
	for i := range known {
		table.reached[keyOf(&known[i])] = true
		table.plain.Add(known[i].Method, known[i].Path, func(*fiber.Ctx) error { return nil })
	}
	// Last, so that Fiber does not write an answer of its own when nothing matches.
	table.plain.Use(func(*fiber.Ctx) error { return fiber.ErrNotFound })
	table.plain.Handler() // builds its tree
	r.tables.Store(app, table)
	return table
}

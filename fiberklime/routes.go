package fiberklime

import (
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/klimeapp/klime-go/internal/colons"
	"github.com/klimeapp/klime-go/internal/memo"
)

// routes tells the routes of an app from its middlewares. To Fiber both are routes:
// c.Route() is the last of either that the request has reached.
type routes struct {
	tables memo.Map[*fiber.App, *routeTable]
}

type routeTable struct {
	handlers uint32 // of the app when the table was made
	known    map[routeKey]bool
	plain    *fiber.App // has the routes, but no middlewares
}

// routeKey identifies a route. A middleware may have the same path or the same
// handlers as a route, but not both.
type routeKey struct {
	path  string
	first *fiber.Handler
}

func keyOf(r *fiber.Route) routeKey {
	key := routeKey{path: r.Path}
	if len(r.Handlers) > 0 {
		key.first = &r.Handlers[0]
	}
	return key
}

// pattern is the path of the route that c has reached. If c has reached a middleware
// last, it is the path of the route that the request would lead to, "" if none.
func (r *routes) pattern(c *fiber.Ctx) string {
	table := r.table(c.App())
	if reached := c.Route(); table.known[keyOf(reached)] {
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

// parameter is the name of the parameter that a colon begins, given what follows the
// colon in its segment. Unlike in Gin, the segment may go on after the name.
func parameter(after string) string {
	if end := strings.IndexAny(after, "-.:?<\\"); end >= 0 {
		return after[:end]
	}
	return after
}

// table is the table of app. It is made again when app has got more routes.
func (r *routes) table(app *fiber.App) *routeTable {
	if known, ok := r.tables.Load(app); ok && known.handlers == app.HandlersCount() {
		return known
	}
	config := app.Config()
	table := &routeTable{
		handlers: app.HandlersCount(),
		known:    map[routeKey]bool{},
		plain: fiber.New(fiber.Config{
			CaseSensitive:  config.CaseSensitive,
			StrictRouting:  config.StrictRouting,
			UnescapePath:   config.UnescapePath,
			RequestMethods: config.RequestMethods,
		}),
	}
	all := app.GetRoutes(true) // without middlewares
	for i := range all {
		table.known[keyOf(&all[i])] = true
		table.plain.Add(all[i].Method, all[i].Path, func(*fiber.Ctx) error { return nil })
	}
	// Comes last, so that Fiber writes no answer of its own when nothing matches.
	table.plain.Use(func(*fiber.Ctx) error { return fiber.ErrNotFound })
	table.plain.Handler() // builds the route tree
	r.tables.Store(app, table)
	return table
}

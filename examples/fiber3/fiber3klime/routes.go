package fiber3klime

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"
)

// routes tells the routes of an app from its middlewares. To Fiber both are routes:
// c.Route() is the last of either that the request has reached.
type routes struct {
	tables sync.Map // *fiber.App → *routeTable
	missed sync.Map // routeKey → nil, of those for which a table was made again
	made   atomic.Int64
}

// maxMade is how many tables are made before all are forgotten: an app may go on changing
// its routes, or be built anew.
const maxMade = 256

type routeTable struct {
	handlers uint32              // of the app when the table was made
	patterns map[routeKey]string // "" for a middleware
	plain    *fiber.App          // has the routes, but no middlewares
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
func (r *routes) pattern(c fiber.Ctx) string {
	key := keyOf(c.Route())
	pattern, ok := r.table(c.App()).patterns[key]
	if !ok && key.first != nil {
		// It is new, in the place of one that was removed. Or Fiber no longer lists it, so the
		// table is made again only once.
		if _, again := r.missed.LoadOrStore(key, nil); !again {
			pattern = r.newTable(c.App()).patterns[key]
		}
	}
	if pattern != "" {
		return pattern
	}
	return r.leadsTo(c.App(), c.Method(), string(c.Request().URI().PathOriginal())) // a middleware may have changed them
}

// leadsTo is the path of the route that a request leads to, "" if none. Of the
// constraints of its parameters, those that the app has made itself are not checked.
func (r *routes) leadsTo(app *fiber.App, method, path string) string {
	table := r.table(app)
	var request fasthttp.RequestCtx // one of its own: a fiber.Ctx that is acquired for it empties its context
	request.Request.Header.SetMethod(method)
	request.Request.URI().SetPath(path)
	c := table.plain.AcquireCtx(&request)
	defer table.plain.ReleaseCtx(c)
	if c.RestartRouting() != nil {
		return ""
	}
	return braces(c.Route().Path)
}

// table is the table of app. It is made again when the number of app's handlers changes.
// If routes that are removed and added cancel out, that is when a request reaches one of
// the new, be it a middleware.
func (r *routes) table(app *fiber.App) *routeTable {
	if known, ok := r.tables.Load(app); ok {
		if table, ok := known.(*routeTable); ok && table.handlers == app.HandlersCount() {
			return table
		}
	}
	return r.newTable(app)
}

func (r *routes) newTable(app *fiber.App) *routeTable {
	config := app.Config()
	table := &routeTable{
		handlers: app.HandlersCount(),
		patterns: map[routeKey]string{},
		plain: fiber.New(fiber.Config{
			CaseSensitive:           config.CaseSensitive,
			StrictRouting:           config.StrictRouting,
			UnescapePath:            config.UnescapePath,
			RequestMethods:          config.RequestMethods,
			DisableHeadAutoRegister: true, // they are among the routes of app
		}),
	}
	for _, route := range app.GetRoutes() {
		table.patterns[keyOf(&route)] = ""
	}
	for _, route := range app.GetRoutes(true) { // without middlewares
		pattern := braces(route.Path)
		table.patterns[keyOf(&route)] = pattern
		table.plain.Add([]string{route.Method}, route.Path, func(fiber.Ctx) error { return nil })
	}
	// Comes last, so that Fiber writes no answer of its own when nothing matches.
	table.plain.Use(func(fiber.Ctx) error { return fiber.ErrNotFound })
	table.plain.Handler() // builds the route tree
	if r.made.Add(1) > maxMade {
		r.tables.Clear()
		r.missed.Clear()
		r.made.Store(1)
	}
	r.tables.Store(app, table)
	return table
}

// braces puts the parameters that begin within a segment in braces: of /user_:name and
// /v:version<int>/:id it makes /user_{name} and /v{version}/:id. To klime, as to most
// routers, that colon is an ordinary character. What begins a segment is left to klime.
func braces(route string) string {
	var b strings.Builder
	for segment := range strings.SplitAfterSeq(route, "/") {
		for begins := strings.HasPrefix(segment, ":"); ; {
			text, after, found := strings.Cut(segment, ":")
			if begins || !found {
				b.WriteString(segment)
				break
			}
			b.WriteString(text)
			end := strings.IndexAny(after+"/", `:-./\?<`)
			if segment = after; end == 0 || strings.HasSuffix(text, `\`) { // no name, or an escaped colon
				b.WriteByte(':')
				continue
			}
			b.WriteString("{" + after[:end] + "}")
			segment = strings.TrimPrefix(withoutConstraint(after[end:]), "?")
		}
	}
	return b.String()
}

// withoutConstraint drops the <constraint> with which s begins, if any. In a constraint, >
// is escaped.
func withoutConstraint(s string) string {
	for i := 1; i < len(s) && s[0] == '<'; i++ {
		if s[i] == '>' && s[i-1] != '\\' {
			return s[i+1:]
		}
	}
	return s
}

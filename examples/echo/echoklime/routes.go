package echoklime

import (
	"slices"
	"sync"

	"github.com/labstack/echo/v4"
)

// routes tells whether c.Path() is a route that has matched. If nothing matches in a
// group with middlewares, c.Path() is the group's /api/*. If only the method is wrong,
// it is the route of the other methods.
type routes struct {
	methods sync.Map // route → []string
}

// route is a path of one Echo.
type route struct {
	echo *echo.Echo
	path string
}

// pattern returns the route that c has matched, "" if none.
func (r *routes) pattern(c echo.Context) string {
	path := c.Path()
	key := route{c.Echo(), path}
	known, ok := r.methods.Load(key)
	if !ok {
		known, _ = r.methods.LoadOrStore(key, key.methods())
	}
	if methods, _ := known.([]string); len(methods) > 0 && !slices.Contains(methods, c.Request().Method) {
		return ""
	}
	return path
}

// methods lists the methods that the route is registered for, on any host. A handler
// for echo.RouteNotFound is among them, under a method name that Echo has made up.
func (r route) methods() []string {
	routes := r.echo.Routes()
	for _, host := range r.echo.Routers() {
		routes = append(routes, host.Routes()...)
	}
	var methods []string
	for _, one := range routes {
		if one.Path == r.path {
			methods = append(methods, one.Method)
		}
	}
	return methods
}

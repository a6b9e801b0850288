package echoklime

import (
	"slices"
	"sync"

	"github.com/labstack/echo/v4"
)

// routes tells routes that have matched from those that only look so: of a
// request that nothing matches in a group with middlewares, c.Path() is the
// group's /api/*, and of one with the wrong method it is the route that other
// methods have.
type routes struct {
	methods sync.Map // route → []string
}

// route is a path as one Echo has it.
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

// methods lists the methods that the route is registered for, on any host.
// Those of echo.RouteNotFound stand among them under a name of Echo's own.
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

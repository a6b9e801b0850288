package routers

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/gorilla/mux"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/nethttp"
)

// Gorilla records inside a gorilla/mux router. The router runs its middlewares only for
// requests that have a route.
func Gorilla(client *klime.Client) http.Handler {
	router := mux.NewRouter()
	router.Use(nethttp.Middleware(client, user(), nethttp.Route(func(r *http.Request) string {
		return template(mux.CurrentRoute(r))
	})))
	router.HandleFunc("/orgs/{org}/reports/{id:[0-9]+}", showReport).Methods(http.MethodGet)
	return router
}

// GorillaOutside records around the router, and so also requests that a middleware in
// between refuses. It asks the router what the request would match.
func GorillaOutside(client *klime.Client, refuse func(http.Handler) http.Handler) http.Handler {
	router := mux.NewRouter().StrictSlash(true)
	router.HandleFunc("/orgs/{org}/reports/{id:[0-9]+}", showReport).Methods(http.MethodGet)
	record := nethttp.Middleware(client, user(), nethttp.Route(func(r *http.Request) string {
		var match mux.RouteMatch
		if !router.Match(r, &match) || match.MatchErr != nil {
			return ""
		}
		return template(match.Route)
	}))
	return record(refuse(router))
}

// template is the pattern of a route, "" if there is none. What takes the rest of the path
// must say so: a 404 below it may come from a file server or another router.
func template(route *mux.Route) string {
	if route == nil {
		return ""
	}
	pattern, err := route.GetPathTemplate()
	if err != nil { // the route does not match by path
		return ""
	}
	if whole, _ := route.GetPathRegexp(); !strings.HasSuffix(whole, "$") { // made by PathPrefix
		return strings.TrimSuffix(pattern, "/") + "/*"
	}
	return rest.ReplaceAllString(pattern, "/*")
}

// rest is a parameter that takes the rest of the path.
var rest = regexp.MustCompile(`/\{[^{}/:]+:\.[*+]\}$`)

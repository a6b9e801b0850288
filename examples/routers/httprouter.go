package routers

import (
	"net/http"

	"github.com/julienschmidt/httprouter"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/nethttp"
)

// HTTPRouter records around a julienschmidt/httprouter and its authentication. The router
// does not tell what it has matched. So each handler has a Middleware of its own that knows
// its pattern, and joins the outer one, even if auth replaces the request (WithContext). What
// auth refuses is recorded without a route.
func HTTPRouter(client *klime.Client, auth func(http.Handler) http.Handler) http.Handler {
	router := httprouter.New()
	handle := func(method, pattern string, next httprouter.Handle) {
		join := nethttp.Middleware(client, nethttp.Route(func(*http.Request) string { return pattern })) // once, not in each request
		router.Handle(method, pattern, func(w http.ResponseWriter, r *http.Request, params httprouter.Params) {
			join(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next(w, r, params) })).ServeHTTP(w, r)
		})
	}
	show := func(w http.ResponseWriter, r *http.Request, _ httprouter.Params) { showReport(w, r) }
	handle(http.MethodGet, "/", show)
	handle(http.MethodGet, "/orgs/:org/reports/:id", show)
	return nethttp.Middleware(client, user())(auth(router))
}

// HTTPRouterInside records around each handler only: nothing of what is refused further out.
func HTTPRouterInside(client *klime.Client) http.Handler {
	router := httprouter.New()
	handle := func(method, pattern string, next http.Handler) {
		record := nethttp.Middleware(client, user(), nethttp.Route(func(*http.Request) string { return pattern }))
		router.Handler(method, pattern, record(next))
	}
	handle(http.MethodGet, "/", http.HandlerFunc(showReport))
	handle(http.MethodGet, "/orgs/:org/reports/:id", http.HandlerFunc(showReport))
	return router
}

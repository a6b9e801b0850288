package routers

import (
	"net/http"

	"github.com/julienschmidt/httprouter"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/nethttp"
)

// HTTPRouter records around a julienschmidt/httprouter. As the router does not tell what
// it has matched, each handle sets the request's Pattern. Route reads it as it is: without
// that option it would be one of an http.ServeMux, where / takes the rest of the path.
func HTTPRouter(client *klime.Client) http.Handler {
	router := httprouter.New()
	handle := func(method, pattern string, next httprouter.Handle) {
		router.Handle(method, pattern, func(w http.ResponseWriter, r *http.Request, params httprouter.Params) {
			r.Pattern = pattern
			next(w, r, params)
		})
	}
	show := func(w http.ResponseWriter, r *http.Request, _ httprouter.Params) { showReport(w, r) }
	handle(http.MethodGet, "/", show)
	handle(http.MethodGet, "/orgs/:org/reports/:id", show)
	matched := func(r *http.Request) string { return r.Pattern }
	return nethttp.Middleware(client, user(), nethttp.Route(matched))(router)
}

// HTTPRouterInside records around each handler, where its pattern is known.
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

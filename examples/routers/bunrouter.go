package routers

import (
	"io/fs"
	"net/http"

	"github.com/uptrace/bunrouter"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/nethttp"
)

// BunRouter records inside a bunrouter, whose handlers have a type of their own and
// return errors. onError answers these.
func BunRouter(client *klime.Client, onError func(http.ResponseWriter, error)) http.Handler {
	matched := func(r *http.Request) string { return r.Pattern }
	record := nethttp.Middleware(client, user(), nethttp.Route(matched)) // once, not in each request
	middleware := func(next bunrouter.HandlerFunc) bunrouter.HandlerFunc {
		return func(w http.ResponseWriter, req bunrouter.Request) error {
			record(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Pattern = req.Route()
				req.Request = r
				if err := next(w, req); err != nil {
					onError(w, err) // an answer from further out would not be seen
				}
			})).ServeHTTP(w, req.Request)
			return nil
		}
	}
	router := bunrouter.New(bunrouter.Use(middleware), bunrouter.WithMethodNotAllowedHandler(notAllowed))
	router.GET("/", bunrouter.HTTPHandlerFunc(showReport))
	router.GET("/orgs/:org/reports/:id", func(w http.ResponseWriter, req bunrouter.Request) error {
		if req.Param("id") == "0" {
			return fs.ErrNotExist
		}
		showReport(w, req.Request)
		return nil
	})
	return router
}

// notAllowed answers a request whose path has a route, but not for its method. The router
// runs its middlewares for it, with that route.
func notAllowed(w http.ResponseWriter, req bunrouter.Request) error {
	klime.Skip(req.Context())
	w.WriteHeader(http.StatusMethodNotAllowed)
	return nil
}

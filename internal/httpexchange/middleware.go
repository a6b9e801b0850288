// Package httpexchange observes one exchange of net/http: the request, and the
// answer through a ResponseWriter that has just the interfaces of the
// original. It is what the net/http family of adapters shares.
package httpexchange

import (
	"net/http"

	klime "github.com/klimeapp/klime-go/core"
)

// Route tells which pattern a request has matched, after the handler: given the
// request as it came, as it was passed on, and the status of the answer. It also
// tells if the router is known to have found nothing.
type Route func(came, passed *http.Request, status int) (pattern string, unmatched bool)

// exchange is what is kept of one exchange, in one allocation.
type exchange struct {
	scope    klime.Scope
	response Response
}

// Middleware records requests with client, if that is not nil.
func Middleware(
	client *klime.Client, route Route, opts []klime.Option,
) func(http.Handler) http.Handler {
	tracker := klime.NewTracker(client, opts...)
	return func(next http.Handler) http.Handler {
		if client == nil {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, came *http.Request) {
			path := came.URL.Path // which some routers change in place
			if tracker.Ignores(came.Method, path, caller{came}.Header) {
				next.ServeHTTP(w, came)
				return
			}
			e := new(exchange)
			scope, response := tracker.BeginIn(&e.scope, came.Context()), &e.response
			r := PassOn(scope, came)
			scope.Bind(r, nil)
			scope.ReadHeader(caller{r}.Header)
			writer := response.observe(w)
			defer func() {
				panicked := recover()
				x := response.Exchange(r, panicked)
				x.Route, x.Unmatched = route(came, r, x.Status)
				GiveBack(came, r)
				x.Path = path
				tracker.Observe(scope, x)
				if panicked != nil {
					panic(panicked)
				}
			}()
			next.ServeHTTP(writer, r)
		})
	}
}

// Before is a middleware that does something before the handler.
func Before(do func(*http.Request)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			do(r)
			next.ServeHTTP(w, r)
		})
	}
}

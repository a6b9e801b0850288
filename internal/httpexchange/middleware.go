// Package httpexchange observes one exchange of net/http: the request, and the
// answer through a ResponseWriter that has just the interfaces of the
// original. It is what the net/http family of adapters shares.
package httpexchange

import (
	"net/http"

	klime "github.com/klimeapp/klime-go/core"
)

// Middleware records requests with client, if that is not nil. The route of a
// request is asked after the handler, given the request as it came, as it was
// passed on, and the status of the answer.
func Middleware(
	client *klime.Client, route func(came, passed *http.Request, status int) string, opts []klime.Option,
) func(http.Handler) http.Handler {
	tracker := klime.NewTracker(client, opts...)
	return func(next http.Handler) http.Handler {
		if client == nil {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, came *http.Request) {
			path := came.URL.Path // which some routers change in place
			scope := tracker.Begin(came.Context())
			r := came.WithContext(scope)
			scope.Bind(r, nil)
			scope.ReadHeader(r.Header.Get)
			response, writer := Observe(w)
			defer func() {
				panicked := recover()
				x := response.Exchange(r, panicked)
				x.Route = route(came, r, x.Status)
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

// Nothing reports whether an answer of this status may mean that the router has
// found no handler.
func Nothing(status int) bool {
	return status == http.StatusNotFound || status == http.StatusMethodNotAllowed
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

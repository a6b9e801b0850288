// Package httpexchange observes one exchange of net/http: the request, and the
// answer through a ResponseWriter that has just the interfaces of the
// original. It is what the net/http family of adapters shares.
package httpexchange

import (
	"net/http"

	klime "github.com/klimeapp/klime-go/core"
)

// Middleware records requests with client, if that is not nil. The route of a
// request is asked after the handler, given the status of the answer.
func Middleware(
	client *klime.Client, route func(r *http.Request, status int) string, opts []klime.Option,
) func(http.Handler) http.Handler {
	tracker := klime.NewTracker(client, opts...)
	return func(next http.Handler) http.Handler {
		if client == nil {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			scope := tracker.Begin(r.Context())
			r = r.WithContext(scope)
			scope.Bind(r, nil)
			response := Observe(w)
			defer func() {
				panicked := recover()
				x := response.Exchange(r, panicked)
				x.Route = route(r, x.Status)
				tracker.Observe(scope, x)
				if panicked != nil {
					panic(panicked)
				}
			}()
			next.ServeHTTP(response.Writer, r)
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

// Package httpexchange observes one exchange of net/http: the request, and the
// answer through a ResponseWriter that has just the interfaces of the
// original. It is what the net/http family of adapters shares.
package httpexchange

import (
	"net/http"
	"strings"

	klime "github.com/klimeapp/klime-go/core"
)

// Route tells which pattern a request has matched, after the handler: given the
// request as it came, as it was passed on, and the status of the answer. It also
// tells if the router is known to have found nothing.
type Route func(came, passed *http.Request, status int) (pattern string, unmatched bool)

// Path is the path by which a router goes that has the whole of it.
func Path(came *http.Request) string { return came.URL.Path }

// exchange is what is kept of one exchange, in one allocation.
type exchange struct {
	Passed

	response Response
}

// Middleware records requests with client, if that is not nil. Path is the whole
// path of a request, to which its route belongs.
func Middleware(
	client *klime.Client, path func(came *http.Request) string, route Route, opts []klime.Option,
) func(http.Handler) http.Handler {
	tracker := klime.NewTracker(client, opts...)
	return func(next http.Handler) http.Handler {
		if client == nil {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, came *http.Request) {
			whole, seen := path(came), came.URL.Path // which some routers change in place
			if tracker.Ignores(came.Method, whole, caller{came}.Header) {
				next.ServeHTTP(w, came)
				return
			}
			e := new(exchange)
			scope, response := tracker.BeginIn(&e.Scope, came.Context(), came), &e.response
			r := e.PassOn(e, came)
			scope.Bind(r, nil)
			scope.ReadHeader(caller{r}.Header)
			response.passed = &e.Passed
			writer := response.observe(w)
			defer func() {
				panicked := recover()
				x := response.Exchange(r, panicked)
				x.Route, x.Unmatched = route(came, r, x.Status)
				GiveBack(came, r)
				x.Path = whole
				x.Location = located(x.Location, strings.TrimSuffix(whole, seen))
				tracker.Observe(scope, x)
				if panicked != nil {
					panic(panicked)
				}
			}()
			next.ServeHTTP(writer, r)
		})
	}
}

// located is where an answer redirects to. A router behind a prefix that was stripped
// knows nothing of it.
func located(location, prefix string) string {
	ofHost := strings.HasPrefix(location, "/") && !strings.HasPrefix(location, "//")
	if prefix == "" || !ofHost || strings.HasPrefix(location, prefix+"/") {
		return location
	}
	return prefix + location
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

// Package httpexchange observes exchanges of net/http: the request, and the answer
// through a ResponseWriter that has the same interfaces as the original. The net/http
// family of adapters shares it.
package httpexchange

import (
	"net/http"
	"strings"

	klime "github.com/klimeapp/klime-go/core"
)

// Route tells, after the handler, which pattern a request has matched. It gets the
// request as it came and as it was passed on, and the status of the answer.
// unmatched says that the router is known to have found no route.
type Route func(incoming, passed *http.Request, status int) (pattern string, unmatched bool)

// exchange holds what is kept of one exchange, in one allocation.
type exchange struct {
	Passed

	response shaped
}

// Middleware records requests with client; if that is nil, it leaves handlers as they
// are. wayTo tells how a request has come, nil for the zero Way; it is nil for a router
// that does not look further out.
func Middleware(
	client *klime.Client, wayTo func(incoming *http.Request) *Way, route Route, opts []klime.Option,
) func(http.Handler) http.Handler {
	tracker := klime.NewTracker(client, opts...)
	return func(next http.Handler) http.Handler {
		if client == nil {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, incoming *http.Request) {
			var way *Way
			if wayTo != nil {
				way = wayTo(incoming)
			}
			seen := incoming.URL.Path // some routers change it in place
			whole := way.whole(seen)
			if tracker.Ignores(incoming.Method, whole, caller{incoming}.Header) {
				passIgnored(next, w, incoming, tracker)
				return
			}
			e := new(exchange)
			scope, response := tracker.BeginIn(incoming.Context(), &e.Scope, incoming), &e.response
			r := e.PassOn(way.contextWith(e), incoming)
			if wayTo != nil {
				e.passed.Store(r)
			}
			scope.Bind(r, nil)
			scope.ReadHeader(caller{r}.Header)
			response.passed = &e.Passed
			writer := response.observe(w)
			defer func() {
				panicked := recover()
				var x klime.Exchange
				response.describe(&x, r, panicked)
				x.Route, x.Unmatched = route(incoming, r, x.Status)
				x.Path = whole
				x.Location = withPrefix(x.Location, strings.TrimSuffix(whole, seen))
				tracker.Observe(scope, x)
				GiveBack(incoming, r) // last: a Route option compares the two
				if wayTo != nil {
					e.passed.Store(nil)
				}
				if panicked != nil {
					panic(panicked)
				}
			}()
			next.ServeHTTP(writer, r)
		})
	}
}

// passIgnored passes on a request that the tracker ignores: untouched, unless the app has
// made it within another one.
func passIgnored(next http.Handler, w http.ResponseWriter, incoming *http.Request, tracker *klime.Tracker) {
	r := incoming
	if ctx := tracker.WithoutEnclosing(incoming.Context(), incoming); ctx != nil {
		r = incoming.WithContext(ctx)
		defer GiveBack(incoming, r)
	}
	next.ServeHTTP(w, r)
}

// withPrefix adds a prefix to the path that an answer redirects to, if that lacks it:
// a router behind a stripped prefix does not know of it.
func withPrefix(location, prefix string) string {
	ofHost := strings.HasPrefix(location, "/") && !strings.HasPrefix(location, "//")
	rest, has := strings.CutPrefix(location, prefix)
	has = has && (rest == "" || strings.ContainsAny(rest[:1], "/?#"))
	if !ofHost || has {
		return location
	}
	return prefix + location
}

// Before returns a middleware that calls do before the handler.
func Before(do func(*http.Request)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			do(r)
			next.ServeHTTP(w, r)
		})
	}
}

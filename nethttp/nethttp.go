package nethttp

import (
	"net/http"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/httpexchange"
)

// Middleware records every request with client. It goes around the router,
// inside of what sets up traces and outside of the rest. A nil client records
// nothing.
//
// The route is the pattern of an [http.ServeMux]. It is not known, and left out,
// where a middleware inside answers in place of the mux, or replaces the request,
// as [http.TimeoutHandler] does: see [Mux]. Of a mux within the mux, behind
// [http.StripPrefix], only the prefix is seen. Put Middleware around the inner mux
// too: it joins, there is still one event, and its route is the whole one. For
// other routers see [Route].
//
// What stands outside and answers in place of what is inside, as a TimeoutHandler
// or a recovery may, is not seen. Inside of a handler that takes over connections
// for HTTP/2, as h2c.NewHandler does, nothing is: Middleware goes in there.
func Middleware(client *klime.Client, opts ...klime.Option) func(http.Handler) http.Handler {
	return httpexchange.Middleware(client, requested, matched, opts)
}

// UserID says how to find the user of a request: a string, an integer, an
// encoding.TextMarshaler or a fmt.Stringer; a zero value is nobody. The request
// is the one that Middleware has passed on. See [klime.ResolveUser].
func UserID[T any](find func(*http.Request) T) klime.Option {
	return klime.UserFrom(find)
}

// GroupID says how to find the group of a request, like [UserID]. It is a
// claim: see [klime.ResolveGroup].
func GroupID[T any](find func(*http.Request) T) klime.Option {
	return klime.GroupFrom(find)
}

// Mux says which ServeMux serves the requests. It is needed where a middleware
// between Middleware and the mux replaces the request, or answers in its place:
// what the mux has matched is then not seen from outside, and the mux is asked
// again, with the host and the path that came. Nothing in between may change the
// path, as [http.StripPrefix] does: there, Middleware goes inside of that.
func Mux(mux *http.ServeMux) klime.Option {
	if mux == nil {
		return Route(nil)
	}
	return klime.ResolveRoute(func(r *http.Request) string { return ask(mux, r) })
}

// Route says how to find the pattern that a request has matched, for routers
// other than [http.ServeMux], "" if none. The request is the one that Middleware
// has passed on: where the router keeps the pattern in a request of its own,
// Middleware goes inside the router, or the router is asked again. Inside of a mux
// and [http.StripPrefix], what was stripped is put before a pattern that does not
// begin with it.
func Route(find func(*http.Request) string) klime.Option {
	if find == nil {
		return klime.ResolveRoute(find)
	}
	return klime.ResolveRoute(func(r *http.Request) string { return told(r, find(r)) })
}

// Link links the user of each request to groups, each once: see [klime.Link].
// It goes inside of your authentication. A zero User, with zero groups or none, is
// nobody.
func Link(find func(*http.Request) (klime.User, []klime.Group)) func(http.Handler) http.Handler {
	return httpexchange.Before(func(r *http.Request) {
		klime.LinkFunc(r.Context(), func() (klime.User, []klime.Group) { return find(r) })
	})
}

// Event names the event of a route: see [klime.SetEvent].
func Event(name string) func(http.Handler) http.Handler {
	return httpexchange.Before(func(r *http.Request) { klime.SetEvent(r.Context(), name) })
}

// Skip drops the event of a route: see [klime.Skip].
func Skip() func(http.Handler) http.Handler {
	return httpexchange.Before(func(r *http.Request) { klime.Skip(r.Context()) })
}

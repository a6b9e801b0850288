package nethttp

import (
	"net/http"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/httpexchange"
)

// Middleware records every request with client. It goes around the router,
// inside the middleware that sets up traces and outside all others, except for one
// that loads what [UserID] or [GroupID] read. A nil client records nothing.
//
// The route is the pattern that an [http.ServeMux] has matched. It is unknown, and
// left out, if a middleware inside answers in place of the mux, or replaces the
// request, as [http.TimeoutHandler] does: see [Mux]. If the mux leads to another
// mux behind [http.StripPrefix], only the prefix is seen from outside. Put
// Middleware around the inner mux too: it joins the outer one, and there is still
// one event, now with the whole route. If several prefixes are stripped, one after
// the other, put it around each of the muxes. For other routers see [Route].
//
// Middleware does not see the answer of a handler outside it, such as a
// TimeoutHandler or a recovery that answers in place of what is inside. If a
// handler takes over connections for HTTP/2, as h2c.NewHandler does, Middleware
// must be inside that handler: from outside, none of their requests are seen.
func Middleware(client *klime.Client, opts ...klime.Option) func(http.Handler) http.Handler {
	return httpexchange.Middleware(client, wayTo, matchedPattern, opts)
}

// UserID says how to find the user of a request: a string, an integer, an
// encoding.TextMarshaler or a fmt.Stringer. A zero value means no user. The
// request is the one that Middleware passed on, so what a middleware further in puts
// into its context is not seen: let the one that loads the session stand outside
// (before) Middleware. See [klime.ResolveUser].
func UserID[T any](find func(*http.Request) T) klime.Option {
	return klime.UserFrom(find)
}

// GroupID says how to find the group of a request, like [UserID]. It is a
// claim: see [klime.ResolveGroup].
func GroupID[T any](find func(*http.Request) T) klime.Option {
	return klime.GroupFrom(find)
}

// Mux says which ServeMux serves the requests. It is needed if a middleware
// between Middleware and the mux replaces the request, or answers in place of the
// mux. Middleware then cannot see what the mux matched, and asks it again with the
// original host and path. Nothing in between may change the path, as
// [http.StripPrefix] does: put Middleware inside StripPrefix.
func Mux(mux *http.ServeMux) klime.Option {
	if mux == nil {
		return Route(nil)
	}
	return klime.RouteFrom(func(r *http.Request) string { return askMux(mux, r) })
}

// Route says how to find the pattern that a request has matched, "" if none, for
// routers other than [http.ServeMux]. Do not return r.URL or its path: they would be
// recorded, with IDs, tokens and query. The request is the one that Middleware passed
// on. If the router keeps the pattern in a request of its own, either put Middleware
// inside the router, or let find ask the router again. Inside a mux and
// [http.StripPrefix], the stripped prefix is put before the pattern, unless the
// pattern already begins with it.
func Route(find func(*http.Request) string) klime.Option {
	if find == nil {
		return klime.RouteFrom(find)
	}
	return klime.RouteFrom(func(r *http.Request) string { return wholeRoute(r, find(r)) })
}

// Link links the user of each request to groups, each once: see [klime.Link].
// It goes inside Middleware and your authentication. If nobody is signed in, find returns
// zero values: see [klime.LinkFunc].
func Link(find func(*http.Request) (klime.User, []klime.Group)) func(http.Handler) http.Handler {
	return httpexchange.Before(func(r *http.Request) {
		klime.LinkFunc(r.Context(), func() (klime.User, []klime.Group) { return find(r) })
	})
}

// Event names the event of a route: see [klime.SetEvent].
// It goes inside Middleware; outside it does nothing.
func Event(name string) func(http.Handler) http.Handler {
	return httpexchange.Before(func(r *http.Request) { klime.SetEvent(r.Context(), name) })
}

// Skip drops the event of a route: see [klime.Skip].
// It goes inside Middleware; outside it does nothing.
func Skip() func(http.Handler) http.Handler {
	return httpexchange.Before(func(r *http.Request) { klime.Skip(r.Context()) })
}

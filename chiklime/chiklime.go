package chiklime

import (
	"net/http"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/httpexchange"
)

// Middleware records every request with client: r.Use(chiklime.Middleware(client))
// on the outermost router, after the middlewares for traces and recovery, and after one
// that loads what [UserID] or [GroupID] read. A nil client records nothing.
//
// The route is unknown, and left out, if Middleware goes around the router rather
// than into it, if the path has no route, or if the router is of a chi before v5.
// If a router is mounted inside another handler, its part of the route is known only
// once it has routed.
func Middleware(client *klime.Client, opts ...klime.Option) func(http.Handler) http.Handler {
	var known trees
	return httpexchange.Middleware(client, nil, known.pattern, opts)
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

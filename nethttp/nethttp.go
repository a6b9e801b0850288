// Package nethttp records the requests of net/http servers, and of any router
// that takes middleware of the form func(http.Handler) http.Handler.
package nethttp

import (
	"net/http"
	"strings"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/httpexchange"
)

// Middleware records every request with client. It goes around the router,
// inside of what sets up traces and outside of the rest. A nil client records
// nothing.
func Middleware(client *klime.Client, opts ...klime.Option) func(http.Handler) http.Handler {
	return httpexchange.Middleware(client, pattern, opts)
}

// pattern is what an http.ServeMux has matched. A subtree in which there is
// nothing is no match: another mux may stand behind it, which does not tell.
func pattern(r *http.Request, status int) string {
	nothing := status == http.StatusNotFound || status == http.StatusMethodNotAllowed
	if nothing && strings.HasSuffix(r.Pattern, "/") {
		return ""
	}
	return subtree(r.Pattern)
}

// subtree spells out the rest of the path that a ServeMux pattern with a slash
// at its end stands for.
func subtree(pattern string) string {
	if strings.HasSuffix(pattern, "/") {
		return pattern + "{rest...}"
	}
	return pattern
}

// UserID says how to find the user of a request: a string, an integer, an
// encoding.TextMarshaler or a fmt.Stringer; a zero value is nobody. The request
// is the one that Middleware has passed on. See [klime.ResolveUser].
func UserID[T any](find func(*http.Request) T) klime.Option {
	return klime.ResolveUser(klime.Native(find))
}

// GroupID says how to find the group of a request, like [UserID]. It is a
// claim: see [klime.ResolveGroup].
func GroupID[T any](find func(*http.Request) T) klime.Option {
	return klime.ResolveGroup(klime.Native(find))
}

// Mux says which ServeMux serves the requests. It is needed where a middleware
// between Middleware and the mux replaces the request: what the mux has matched
// is then not seen from outside, and the mux is asked again.
func Mux(mux *http.ServeMux) klime.Option {
	return Route(func(r *http.Request) string {
		_, pattern := mux.Handler(r)
		return subtree(pattern)
	})
}

// Route says how to find the pattern that a request has matched, for routers
// other than [http.ServeMux], "" if none.
func Route(find func(*http.Request) string) klime.Option {
	return klime.ResolveRoute(func(native any) string {
		r, ok := native.(*http.Request)
		if !ok {
			return ""
		}
		return find(r)
	})
}

// Link links the user of each request to groups, each once: see [klime.Link].
// It goes inside of your authentication. A zero User is nobody.
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

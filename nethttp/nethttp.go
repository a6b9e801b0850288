// Package nethttp records the requests of net/http servers, and of any router
// that takes middleware of the form func(http.Handler) http.Handler.
package nethttp

import (
	"net/http"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/httpexchange"
)

// Middleware records every request with client. It goes around the router,
// inside of what sets up traces and outside of the rest. A nil client records
// nothing.
func Middleware(client *klime.Client, opts ...klime.Option) func(http.Handler) http.Handler {
	tracker := klime.NewTracker(client, opts...)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			scope := tracker.Begin(r.Context())
			r = r.WithContext(scope)
			scope.Bind(r, nil)
			response := httpexchange.Observe(w)
			defer func() {
				panicked := recover()
				x := response.Exchange(r, panicked)
				x.Route = r.Pattern
				tracker.Observe(scope, x)
				if panicked != nil {
					panic(panicked)
				}
			}()
			next.ServeHTTP(response.Writer, r)
		})
	}
}

// UserID says how to find the user of a request: a string, an integer, an
// encoding.TextMarshaler or a fmt.Stringer; a zero value is nobody. The request
// is the one that Middleware has passed on. See [klime.ResolveUser].
func UserID[T any](find func(*http.Request) T) klime.Option {
	return klime.ResolveUser(resolver(find))
}

// GroupID says how to find the group of a request, like [UserID]. It is a
// claim: see [klime.ResolveGroup].
func GroupID[T any](find func(*http.Request) T) klime.Option {
	return klime.ResolveGroup(resolver(find))
}

// Route says how to find the pattern that a request has matched, for routers
// other than [http.ServeMux], "" if none.
func Route(find func(*http.Request) string) klime.Option {
	return klime.ResolveRoute(func(native any) string {
		r, _ := native.(*http.Request)
		return find(r)
	})
}

// Link links the user of each request to groups, each once: see [klime.Link].
// It goes inside of your authentication. A zero User is nobody.
func Link(find func(*http.Request) (klime.User, []klime.Group)) func(http.Handler) http.Handler {
	return before(func(r *http.Request) {
		klime.LinkFunc(r.Context(), func() (klime.User, []klime.Group) { return find(r) })
	})
}

// Event names the event of a route: see [klime.SetEvent].
func Event(name string) func(http.Handler) http.Handler {
	return before(func(r *http.Request) { klime.SetEvent(r.Context(), name) })
}

// Skip drops the event of a route: see [klime.Skip].
func Skip() func(http.Handler) http.Handler {
	return before(func(r *http.Request) { klime.Skip(r.Context()) })
}

func before(do func(*http.Request)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			do(r)
			next.ServeHTTP(w, r)
		})
	}
}

func resolver[T any](find func(*http.Request) T) func(any) any {
	return func(native any) any {
		r, ok := native.(*http.Request)
		if !ok {
			return nil // an option of another framework's adapter
		}
		return find(r)
	}
}

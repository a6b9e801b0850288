package docs

import (
	"net/http"
	"net/url"

	klime "github.com/klimeapp/klime-go/core"
)

var (
	mux *http.ServeMux
	w   http.ResponseWriter
	r   *http.Request
)

// api is a server that ogen or go-swagger has generated.
var api interface {
	http.Handler
	FindPath(method string, u *url.URL) (ogenRoute, bool)
	Serve(middleware func(http.Handler) http.Handler) http.Handler
}

type ogenRoute interface{ PathPattern() string }

// middleware is a package of go-swagger.
var middleware struct {
	MatchedRouteFrom func(*http.Request) *struct{ PathPattern string }
}

func whoIs(*http.Request) (klime.User, []klime.Group) { return klime.User{}, nil }

func sessionOf(*http.Request) *session    { return nil }
func auth(next http.Handler) http.Handler { return next }

func newRouter(*klime.Client) http.Handler { return nil }
func signIn(*http.Request)                 {}

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

// api is a server that ogen has generated.
var api interface {
	http.Handler
	FindPath(method string, u *url.URL) (ogenRoute, bool)
}

type ogenRoute interface{ PathPattern() string }

func whoIs(*http.Request) (klime.User, []klime.Group) { return klime.User{}, nil }

func sessionOf(*http.Request) *session    { return nil }
func auth(next http.Handler) http.Handler { return next }

func newRouter(*klime.Client) http.Handler { return nil }
func signIn(*http.Request)                 {}

package routers

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/nethttp"
)

// Gateway records inside a grpc-gateway, which runs its middlewares once it has found a
// route, and so only for requests that have one. register adds the services:
// pb.RegisterReportsHandlerServer and the like.
func Gateway(client *klime.Client, register func(*runtime.ServeMux) error) (http.Handler, error) {
	record := nethttp.Middleware(client, user(), nethttp.Route(gatewayRoute))
	mux := runtime.NewServeMux(runtime.WithMiddlewares(around(record))) // then around(nethttp.Link(…))
	if err := register(mux); err != nil {
		return nil, err
	}
	return mux, nil
}

// around makes a middleware of net/http one of the gateway.
func around(middleware func(http.Handler) http.Handler) runtime.Middleware {
	return func(next runtime.HandlerFunc) runtime.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request, params map[string]string) {
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next(w, r, params) })
			middleware(handler).ServeHTTP(w, r)
		}
	}
}

// gatewayRoute is the template of the proto file, of which the gateway writes {id} as
// {id=*}. A variable of several segments is written out: {name=orgs/*/users/*} is
// orgs/{name}/users/{name}. In a route, the rest of a path is always at the end, so that
// {name=operations/**}:cancel is operations/{name}:cancel.
func gatewayRoute(r *http.Request) string {
	pattern, ok := runtime.HTTPPattern(r.Context())
	if !ok {
		return ""
	}
	rest := "..."
	if pattern.Verb() != "" {
		rest = ""
	}
	return variable.ReplaceAllStringFunc(pattern.String(), func(v string) string {
		name, segments, _ := strings.Cut(strings.Trim(v, "{}"), "=")
		segments = strings.ReplaceAll(segments, "**", "{"+name+rest+"}")
		return strings.ReplaceAll(segments, "*", "{"+name+"}")
	})
}

var variable = regexp.MustCompile(`\{[^{}=]+=[^{}]*\}`)

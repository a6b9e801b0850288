// Package conformance holds every adapter to the same behaviour: one suite,
// which each adapter's own test calls with a few lines that build an [App] in
// its framework. A new behaviour of the middleware is a new case here.
package conformance

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
)

// App is an app described once, for every framework. Its middlewares run in
// the order Outside, ours, Inside, and then the route's.
type App struct {
	Client  *klime.Client
	Bare    bool // without our middleware: what the app does by itself
	Twice   bool // our middleware once more, right inside the first
	HTTP2   bool // served over HTTP/2, for what is built on net/http: see Serve
	UserID  func(Request) any
	GroupID func(Request) any
	Options []klime.Option                            // further ones of our middleware
	Link    func(Request) (klime.User, []klime.Group) // between Inside and the route
	Outside []Middleware
	Inside  []Middleware
	Routes  []Route

	// UserIDInside is the UserID of our middleware once more, after Inside, with
	// the client ClientInside. Nil for none.
	UserIDInside func(Request) any
	ClientInside *klime.Client // the suite sets it wherever UserIDInside is set

	nested bool // what Serve gives has the optional interfaces only by Unwrap
}

// Middleware runs around the rest of the app. It may pass on another request.
type Middleware func(r Request, next func(Request))

// Route is one route of an App.
type Route struct {
	Method  string   // GET if empty
	Groups  []string // prefixes of the nested groups that it is in, such as /orgs/{org}
	Mounted bool     // the groups are sub-routers of their own, where the framework has these
	Path    string   // in the innermost group, such as /files/{rest...}
	Event   string   // named by the adapter's Event, if not empty
	Skip    bool     // dropped by the adapter's Skip
	Handler func(Request)
}

// Request is what any framework offers a handler.
//
//nolint:interfacebloat // it stands for a framework's whole context
type Request interface {
	// Context is what a handler of this framework gives to klime.Track.
	Context() context.Context
	// Detached is a context that may be kept after the handler.
	Detached() context.Context
	// Keep stores a value as the framework's users do for handlers further in.
	Keep(key string, value any) Request
	// Replace puts a new request with one more context value in place of this.
	Replace(key, value any) Request
	// WithCancel puts a new request whose context can be ended in place of this.
	WithCancel() (Request, context.CancelFunc)
	// Value finds what Keep has stored.
	Value(key string) any
	Param(name string) string
	Header(name string) string
	// Body reads the request's body.
	Body() io.Reader
	// Reply writes the answer; status 0 and an empty contentType are left unset.
	Reply(status int, contentType, body string)
	// HTTP returns what net/http would give, nil where the framework does not
	// build on it.
	HTTP() (http.ResponseWriter, *http.Request)
}

// Streamer is a Request of a framework that is not built on net/http and can
// stream. A Request need not be one: what streams is then left out.
type Streamer interface {
	// Stream answers 200 with what write writes, be it after the handler. Flush
	// sends what has been written so far.
	Stream(contentType string, write func(w StreamWriter))
}

// StreamWriter is a *bufio.Writer, or what is like it.
type StreamWriter interface {
	io.Writer
	Flush() error
}

// Adapter is an adapter under test.
type Adapter struct {
	Name string
	// KeepsInPlace says that Keep changes the request itself, so that what is
	// kept further in is seen further out.
	KeepsInPlace bool
	// OwnServer says that the framework is not built on net/http: what only
	// that has is left out. Its server must take a path of 10 KB and a body of
	// 10 MiB.
	OwnServer bool
	// Start serves app on loopback and returns its base URL. Stop returns when
	// all requests have been served.
	Start func(tb testing.TB, app App) (url string, stop func())
}

// FullPath is the path of a route with those of its groups.
func (r Route) FullPath() string { return strings.Join(r.Groups, "") + r.Path }

// Serve serves the handler of an app that is built on net/http, for
// [Adapter].Start.
func Serve(tb testing.TB, app App, handler http.Handler) (url string, stop func()) {
	tb.Helper()
	if app.nested {
		inner := handler
		handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { inner.ServeHTTP(onlyUnwraps{w}, r) })
	}
	server := httptest.NewUnstartedServer(handler)
	if app.HTTP2 {
		server.EnableHTTP2 = true
		server.StartTLS()
	} else {
		server.Start()
	}
	return server.URL, server.Close
}

// onlyUnwraps is the ResponseWriter of a middleware that leaves the optional
// interfaces to http.ResponseController.
type onlyUnwraps struct{ http.ResponseWriter }

// WriteString is there with us in any case.
func (w onlyUnwraps) WriteString(s string) (int, error) { return io.WriteString(w.ResponseWriter, s) }

// Unwrap is for http.ResponseController.
func (w onlyUnwraps) Unwrap() http.ResponseWriter { return w.ResponseWriter }

package adaptertest

import (
	"net/http"
	"testing"

	"github.com/klimeapp/klime-go/internal/conformance"
)

// App is an app to build: its middlewares in the order Outside, yours, Inside,
// and then its Routes.
//
//	Client       *klime.Client      for your middleware; may be nil
//	Bare         bool               without your middleware: what the app does by itself
//	Twice        bool               your middleware once more, right inside the first
//	HTTP2        bool               served over HTTP/2 with TLS, as Serve does
//	UserID       func(Request) any  for your UserID option, unless nil
//	GroupID      func(Request) any  for your GroupID option, unless nil
//	Options      []klime.Option     further ones of your middleware
//	Link         func(Request) (klime.User, []klime.Group)
//	                                for your Link, between Inside and the route, unless nil
//	Outside      []Middleware       the first is the outermost
//	Inside       []Middleware       likewise
//	Routes       []Route
//	UserIDInside func(Request) any  unless nil: the UserID of your middleware once more, after Inside
//	ClientInside *klime.Client      for that one
type App = conformance.App

// Route is one route of an App.
//
//	Method  string         GET if empty
//	Groups  []string       prefixes of the nested groups that it is in, such as /orgs/{org}
//	Mounted bool           the groups are sub-routers of their own, where the framework has these
//	Path    string         in the innermost group, in net/http's dialect: /files/{rest...}
//	Event   string         for your Event, unless empty
//	Skip    bool           with your Skip
//	Handler func(Request)
//
// Its method FullPath returns the Path with the prefixes of its Groups.
// A Handler that writes nothing answers 200, as net/http does.
type Route = conformance.Route

// Request is what your framework offers a handler, wrapped by your test, such
// as type request struct{ c *mine.Context }:
//
//	Context() context.Context                    what a handler gives to klime.Track
//	Detached() context.Context                   one that may be kept after the handler
//	Keep(key string, value any) Request          stores a value as your users do: c.Set, or a context value
//	Value(key string) any                        finds it
//	Replace(key, value any) Request              puts a request with one more context value in place of this
//	WithCancel() (Request, context.CancelFunc)   puts one whose context can be ended in place of this
//	Param(name string) string                    of the path
//	Header(name string) string                   of the request
//	Body() io.Reader                             of the request
//	Reply(status int, contentType, body string)  writes the answer; status 0 and an empty contentType are left unset
//	HTTP() (http.ResponseWriter, *http.Request)  those that a handler has; nil where the framework does not build on net/http
//
// Where a framework changes its request in place, Keep, Replace and WithCancel
// do so and return their receiver. One that is not built on net/http may have a
// SetPath(path string) besides, which changes the path as your users do.
type Request = conformance.Request

// Streamer is what a Request may be besides, of a framework that streams in a
// way of its own. Without it, or what HTTP returns, cases of streams are left out.
//
//	Stream(contentType string, write func(w StreamWriter))  answers 200 with what write writes, be it after the handler
type Streamer = conformance.Streamer

// StreamWriter is a *bufio.Writer, or what is like it.
//
//	Write(p []byte) (int, error)
//	Flush() error                 sends what has been written so far
type StreamWriter = conformance.StreamWriter

// NetHTTP is a Request for routers whose handlers take these two:
//
//	W          http.ResponseWriter                          nil where there is none, such as in a resolver
//	R          *http.Request
//	PathParam  func(r *http.Request, name string) string    how the router tells a parameter of the path
type NetHTTP = conformance.NetHTTP

// Middleware is a middleware of an App: func(r Request, next func(Request)). It
// calls next for the rest of the app, maybe with another Request than it got,
// which is then the one to go on with. It may panic, and recover.
type Middleware = conformance.Middleware

// Adapter is the adapter under test.
//
//	Name          string  of the framework
//	KeepsInPlace  bool    what Keep stores further in is seen further out, as with c.Set
//	OwnServer     bool    the framework is not built on net/http: what only that has is left out
//	Start         func(tb testing.TB, app App) (url string, stop func())
//
// Start serves app on loopback and returns its base URL; the suite calls it
// from several goroutines. It reports what fails with tb. Stop returns when all
// requests have been served. A server of the framework's own may need higher
// limits than its defaults: the suite sends a path of 10 KB and a body of 10 MiB.
type Adapter = conformance.Adapter

// Run runs the suite on an adapter, each case as a subtest. Those that need
// what the framework does not have, by the fields of the Adapter, are left out.
func Run(t *testing.T, a Adapter) {
	t.Helper()
	conformance.Run(t, a)
}

// Serve serves the handler of an App that is built on net/http, as
// Adapter.Start must: over HTTP/2 where the App says so. Stop waits for the
// requests that are being served.
func Serve(tb testing.TB, app App, handler http.Handler) (url string, stop func()) {
	tb.Helper()
	return conformance.Serve(tb, app, handler)
}

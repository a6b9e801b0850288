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
//	Bare         bool               without your middleware, to see what the app does by itself
//	Twice        bool               your middleware once more, right inside the first
//	HTTP2        bool               served over HTTP/2 with TLS, as Serve does
//	UserID       func(Request) any  for your UserID option, unless nil
//	GroupID      func(Request) any  for your GroupID option, unless nil
//	Options      []klime.Option     further options for your middleware
//	Link         func(Request) (klime.User, []klime.Group)
//	                                for your Link, between Inside and the route, unless nil
//	Outside      []Middleware       the first is the outermost
//	Inside       []Middleware       the first is the outermost
//	Routes       []Route
//	UserIDInside func(Request) any  unless nil: your middleware once more, after Inside, with this UserID option
//	ClientInside *klime.Client      for that second middleware
type App = conformance.App

// Route is one route of an App.
//
//	Method  string         GET if empty
//	Groups  []string       prefixes of the nested groups that the route is in, such as /orgs/{org}
//	Mounted bool           the groups are sub-routers, if the framework has these
//	Path    string         in the innermost group, in net/http's dialect: /files/{rest...}
//	Event   string         for your Event, unless empty
//	Skip    bool           with your Skip
//	Handler func(Request)
//	Err     error          what the handler returns after Handler, if handlers return errors in the framework
//
// The method FullPath returns the Path with the prefixes of the Groups before it.
// A Handler that writes nothing answers 200, as with net/http. There is an Err only if the
// Adapter says ReturnsErrors.
type Route = conformance.Route

// Request is what your framework offers a handler, wrapped by your test, such
// as type request struct{ c *mine.Context }:
//
//	Context() context.Context                    what a handler gives to klime.Track
//	Detached() context.Context                   a context that may be kept after the handler
//	Keep(key string, value any) Request          stores a value as your users do: c.Set, or a context value
//	Value(key string) any                        returns a value that Keep has stored
//	Replace(key, value any) Request              replaces the request by one with one more context value
//	WithCancel() (Request, context.CancelFunc)   replaces the request by one whose context can be cancelled
//	Param(name string) string                    a parameter of the path
//	Header(name string) string                   a header of the request
//	Body() io.Reader                             the body of the request
//	Reply(status int, contentType, body string)  writes the answer; status 0 and an empty contentType are left unset
//	HTTP() (http.ResponseWriter, *http.Request)  what net/http gives a handler; nil if the framework is not built on it
//
// If a framework changes its request in place, Keep, Replace and WithCancel do so and
// return their receiver. If it is not built on net/http, its Request may also have a
// SetPath(path string), which changes the path as your users do.
type Request = conformance.Request

// Streamer is an optional interface of a Request, for a framework that streams in a
// way of its own. Cases with streams are left out if a Request has neither this nor
// what HTTP returns.
//
//	Stream(contentType string, write func(w StreamWriter))  answers 200 with what write writes, possibly after the handler
type Streamer = conformance.Streamer

// HeaderSetter is an optional interface of a Request, for a framework that is not built on
// net/http. Cases with headers of the answer are left out if a Request has neither this
// nor what HTTP returns.
//
//	SetHeader(name, value string)  sets a header of the answer
type HeaderSetter = conformance.HeaderSetter

// StreamWriter is a *bufio.Writer or something like it.
//
//	Write(p []byte) (int, error)
//	Flush() error                 sends what has been written so far
type StreamWriter = conformance.StreamWriter

// NetHTTP is a Request for routers whose handlers take an http.ResponseWriter and an
// *http.Request:
//
//	W          http.ResponseWriter                          nil where there is none, such as in a resolver
//	R          *http.Request
//	PathParam  func(r *http.Request, name string) string    returns a parameter of the path
type NetHTTP = conformance.NetHTTP

// Middleware is a middleware of an App: func(r Request, next func(Request)). It
// calls next for the rest of the app, perhaps with another Request than its own; the
// rest of the app must then get that one. It may panic, and recover.
type Middleware = conformance.Middleware

// Adapter is the adapter under test.
//
//	Name           string  the framework's name
//	KeepsInPlace   bool    outer handlers see what inner ones store with Keep, as with c.Set
//	PassesContext  bool    but not what Replace and WithCancel do, as the context is an argument of its own: func(ctx, c)
//	OwnServer      bool    the framework is not built on net/http: cases that need it are left out
//	ReturnsErrors  bool    handlers return Route.Err
//	Start          func(tb testing.TB, app App) (url string, stop func())
//
// Start serves app on loopback and returns its base URL. The suite calls it from
// several goroutines. It reports errors to tb. The function stop returns when all
// requests have been served. A server of the framework's own may need higher limits than
// its defaults: the suite sends a path of 10 KB and a body of 10 MiB.
type Adapter = conformance.Adapter

// Run runs the suite on an adapter, each case as a subtest. Cases that need something
// that the framework lacks, according to the fields of the Adapter, are left out.
func Run(t *testing.T, a Adapter) {
	t.Helper()
	conformance.Run(t, a)
}

// Serve serves an App's handler as Adapter.Start must, for frameworks that are built
// on net/http: over HTTP/2 if the App says so. The function stop waits for the requests
// that are being served.
func Serve(tb testing.TB, app App, handler http.Handler) (url string, stop func()) {
	tb.Helper()
	return conformance.Serve(tb, app, handler)
}

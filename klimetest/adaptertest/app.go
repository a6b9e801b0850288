package adaptertest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
)

// App is an app to build: its middlewares in the order Outside, yours, Inside, and then its
// Routes.
type App struct {
	Client  *klime.Client                             // for your middleware; may be nil
	Bare    bool                                      // without your middleware, to see what the app does by itself
	Twice   bool                                      // your middleware once more, right inside the first
	HTTP2   bool                                      // served over HTTP/2 with TLS, as Serve does
	UserID  func(Request) any                         // for your UserID option, unless nil
	GroupID func(Request) any                         // for your GroupID option, unless nil
	Options []klime.Option                            // further options for your middleware
	Link    func(Request) (klime.User, []klime.Group) // for your Link, between Inside and the route, unless nil
	Outside []Middleware                              // the first is the outermost
	Inside  []Middleware                              // the first is the outermost
	Routes  []Route                                   // behind all of these

	// UserIDInside, if not nil, adds your middleware once more, after Inside, with this
	// UserID option and ClientInside.
	UserIDInside func(Request) any
	ClientInside *klime.Client // may be nil

	nested bool // Serve's ResponseWriter has optional interfaces only by its Unwrap
}

// Middleware is a middleware of an App. It calls next for the rest of the app, perhaps with
// another Request than its own; the rest of the app must then get that one. It may panic,
// and recover.
type Middleware func(r Request, next func(Request))

// Route is one route of an App.
type Route struct {
	Method  string        // GET if empty
	Groups  []string      // prefixes of the nested groups that it is in, such as /orgs/{org}
	Mounted bool          // the groups are sub-routers of their own, if the framework has such
	Path    string        // in the innermost group, in net/http's dialect: /files/{rest...}
	Event   string        // for your Event, unless empty
	Skip    bool          // with your Skip
	Handler func(Request) // if it writes nothing, the answer is 200, as with net/http

	// Err is what the handler returns after Handler. There is one only if the Adapter says
	// ReturnsErrors.
	Err error
}

// Request is what your framework offers a handler, wrapped by your test, such as
// type request struct{ c *mine.Context }.
//
// If a framework changes its request in place, Keep, Replace and WithCancel do so and return
// their receiver. If it is not built on net/http, its Request may also have a
// SetPath(path string), which changes the path as your users do.
//
//nolint:interfacebloat // it stands in for a framework's whole context
type Request interface {
	// Context is what a handler of this framework passes to klime.Track.
	Context() context.Context
	// Detached is a context that may be kept after the handler.
	Detached() context.Context
	// Keep stores a value for handlers further in, as users of the framework do: c.Set, or a
	// context value.
	Keep(key string, value any) Request
	// Replace replaces the request by one with another value in its context.
	Replace(key, value any) Request
	// WithCancel replaces the request by one whose context can be cancelled.
	WithCancel() (Request, context.CancelFunc)
	// Value finds what Keep has stored.
	Value(key string) any
	// Param returns a parameter of the path.
	Param(name string) string
	// Header returns a header of the request.
	Header(name string) string
	// Body reads the request's body.
	Body() io.Reader
	// Reply writes the answer; status 0 and an empty contentType are left unset.
	Reply(status int, contentType, body string)
	// HTTP returns what a net/http handler would get, nil if the framework is not
	// built on net/http.
	HTTP() (http.ResponseWriter, *http.Request)
}

// Streamer is an optional interface of a Request, for a framework that streams in a way of
// its own. Cases with streams are left out if a Request has neither this nor what HTTP
// returns.
type Streamer interface {
	// Stream answers 200 with what write writes. It may call write after the handler.
	Stream(contentType string, write func(w StreamWriter))
}

// HeaderSetter is an optional interface of a Request, for a framework that is not built on
// net/http. Cases with headers of the answer are left out if a Request has neither this nor
// what HTTP returns.
type HeaderSetter interface {
	// SetHeader sets a header of the answer.
	SetHeader(name, value string)
}

// StreamWriter is a *bufio.Writer or something like it.
type StreamWriter interface {
	io.Writer
	Flush() error // sends what has been written so far
}

// Adapter is the adapter under test.
type Adapter struct {
	// Name is the framework's name.
	Name string
	// KeepsInPlace says that Keep changes the request itself, so that a value kept
	// by an inner handler is seen by outer ones: as with c.Set.
	KeepsInPlace bool
	// PassesContext says that the framework passes the context as an argument of its
	// own, func(ctx, c): Replace and WithCancel make another, which outer handlers do not see, even
	// if KeepsInPlace. Without KeepsInPlace it says nothing.
	PassesContext bool
	// OwnServer says that the framework is not built on net/http: cases that need it are
	// left out. Its server may need higher limits than its defaults: the suite sends a path
	// of 10 KB and a body of 10 MiB.
	OwnServer bool
	// ReturnsErrors says that handlers return Route.Err.
	ReturnsErrors bool
	// Start serves app on loopback and returns its base URL. The suite calls it from several
	// goroutines. It reports errors to tb. The function stop returns when all requests have
	// been served.
	Start func(tb testing.TB, app App) (url string, stop func())

	http2, nested bool // Start gets every app with these
}

// FullPath returns the Path with the prefixes of the Groups before it.
func (r Route) FullPath() string { return strings.Join(r.Groups, "") + r.Path }

// Serve serves an App's handler as Adapter.Start must, for frameworks that are built on
// net/http: over HTTP/2 if the App says so. The function stop waits for the requests that
// are being served.
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

// onlyUnwraps is the ResponseWriter of a middleware that has no optional interfaces:
// http.ResponseController finds them by Unwrap.
type onlyUnwraps struct{ http.ResponseWriter }

// WriteString is here because our own writer always has it.
func (w onlyUnwraps) WriteString(s string) (int, error) { return io.WriteString(w.ResponseWriter, s) }

// Unwrap is for http.ResponseController.
func (w onlyUnwraps) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Package echoklime records the requests of Echo apps. It is the sample adapter of
// docs/write-your-own-adapter.md, and uses only what klime-go exports.
package echoklime

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	klime "github.com/klimeapp/klime-go/core"
)

// Middleware records every request with client: e.Use(echoklime.Middleware(client)),
// after the middlewares for traces and recovery. A nil client records nothing.
//
// Echo turns errors into answers after all middlewares. To see the answer, this one
// calls the app's HTTPErrorHandler itself, once. Middlewares before it therefore see
// an answer and no error; OpenTelemetry's span of the request gets it from this one. A
// middleware that acts on the error, such as a transaction, must go after this one.
// Between two of the same client it is after this one: the inner Middleware leaves errors
// to the outer.
//
// In handlers, functions such as [klime.Track] take c.Request().Context(). Echo
// reuses an echo.Context after its handler: a goroutine that may run longer keeps
// c.Request().Context(). For the same reason, a timeout that lets handlers run on, as
// Echo's Timeout does, goes after this middleware.
func Middleware(client *klime.Client, opts ...klime.Option) echo.MiddlewareFunc {
	if client == nil {
		return func(next echo.HandlerFunc) echo.HandlerFunc { return next }
	}
	tracker := klime.NewTracker(client, opts...)
	var known routes
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			incoming := c.Request()
			path := incoming.URL.Path // read now: a handler may change it in place
			if tracker.Ignores(incoming.Method, path, incoming.Header.Get) {
				if ctx := tracker.WithoutEnclosing(incoming.Context(), incoming); ctx != nil {
					c.SetRequest(passOn(ctx, incoming))
					defer func() { giveBack(incoming, c.Request()) }()
				}
				return next(c)
			}
			start := time.Now()
			scope := tracker.BeginIn(incoming.Context(), new(klime.Scope), incoming)
			scope.Bind(c, keys{c})
			scope.ReadHeader(incoming.Header.Get)
			r := passOn(scope, incoming)
			c.SetRequest(r)
			w := &writer{ResponseWriter: c.Response().Writer}
			c.Response().Writer = w
			var err error
			defer func() {
				panicked := recover()
				giveBack(incoming, c.Request())
				x := exchange(r, path)
				x.Recovered(panicked)
				x.Start = start
				x.Route = known.pattern(c)
				x.Caller = caller{c}
				x.Values = c.Request().Context()
				w.report(&x)
				if err != nil && x.Unanswered && scope.Joined() {
					x.Status, x.Unanswered = statusOf(err), false
				}
				tracker.Observe(scope, x)
				if outside := scope.Outside(c.Request().Context()); outside != nil {
					c.SetRequest(c.Request().WithContext(outside))
				}
				if panicked != nil {
					panic(panicked)
				}
			}()
			if err = next(c); err == nil || scope.Joined() {
				return err // which the outermost turns into an answer
			}
			scope.RecordError(err)
			c.Error(err)
			return nil
		}
	}
}

// statusOf is the status that err asks for, 0 if only the app's HTTPErrorHandler knows.
func statusOf(err error) int {
	if known := (*echo.HTTPError)(nil); errors.As(err, &known) {
		return known.Code
	}
	return 0
}

// passOn returns the request that goes to the handlers: a copy with another context.
func passOn(ctx context.Context, incoming *http.Request) *http.Request {
	if incoming.Trailer == nil && incoming.ContentLength < 0 {
		incoming.Trailer = http.Header{} // which net/http fills at the end of the body
	}
	return incoming.WithContext(ctx)
}

// giveBack copies what the handlers have left in their copy of the request to the
// original, where net/http looks for files of a form that it must remove. Where there is
// nothing to copy it writes nothing: a handler that goes on after a timeout may end while
// net/http reads the original.
func giveBack(incoming, passed *http.Request) {
	if passed.Pattern != "" {
		incoming.Pattern = passed.Pattern
	}
	if passed.MultipartForm != nil && incoming.MultipartForm == nil {
		incoming.MultipartForm = passed.MultipartForm
	}
	if passed.Form != nil && incoming.Form == nil {
		incoming.Form, incoming.PostForm = passed.Form, passed.PostForm
	}
}

// exchange returns what is known from the request.
func exchange(r *http.Request, path string) klime.Exchange {
	return klime.Exchange{
		Method:       r.Method,
		Path:         path,
		RequestBytes: r.ContentLength, // negative if not known, as in an Exchange
		Aborted:      errors.Is(r.Context().Err(), context.Canceled),
	}
}

// caller tells who sent the request.
type caller struct{ c echo.Context }

// Header implements klime.Caller.
func (a caller) Header(name string) string { return a.c.Request().Header.Get(name) }

// ClientIP is what Echo's IPExtractor finds.
func (a caller) ClientIP() string { return a.c.RealIP() }

// keys finds what c.Set has stored. Nothing else of an echo.Context is safe for
// concurrent use.
type keys struct{ c echo.Context }

func (k keys) Value(key any) any {
	name, _ := key.(string)
	return k.c.Get(name)
}

// UserID says how to find the user of a request: a string, an integer, an
// encoding.TextMarshaler or a fmt.Stringer. A zero value means no user. It is called
// after the handlers, and before that by every goroutine that tracks an event: c.Get
// is safe for that. See [klime.ResolveUser].
func UserID[T any](find func(echo.Context) T) klime.Option {
	return klime.UserFrom(find)
}

// GroupID says how to find the group of a request, like [UserID]. It is a
// claim: see [klime.ResolveGroup].
func GroupID[T any](find func(echo.Context) T) klime.Option {
	return klime.GroupFrom(find)
}

// Link links the user of each request to groups, each once: see [klime.Link].
// It goes after Middleware and your authentication. If nobody is signed in, find returns
// zero values: see [klime.LinkFunc].
func Link(find func(echo.Context) (klime.User, []klime.Group)) echo.MiddlewareFunc {
	return before(func(c echo.Context) {
		klime.LinkFunc(c.Request().Context(), func() (klime.User, []klime.Group) { return find(c) })
	})
}

// Event names the event of a route: see [klime.SetEvent].
// It goes after Middleware; before it does nothing.
func Event(name string) echo.MiddlewareFunc {
	return before(func(c echo.Context) { klime.SetEvent(c.Request().Context(), name) })
}

// Skip drops the event of a route: see [klime.Skip].
// It goes after Middleware; before it does nothing.
func Skip() echo.MiddlewareFunc {
	return before(func(c echo.Context) { klime.Skip(c.Request().Context()) })
}

func before(do func(echo.Context)) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			do(c)
			return next(c)
		}
	}
}

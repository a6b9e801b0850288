// Package fiber3klime records the requests of Fiber apps (version 3). It is a sample: copy
// it into your app. It uses only what klime-go and Fiber export. For version 2 of Fiber,
// klime-go has a package, fiberklime.
package fiber3klime

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gofiber/fiber/v3"

	klime "github.com/klimeapp/klime-go/core"
)

// Middleware records every request with client: app.Use(fiber3klime.Middleware(client)).
// It goes before the routes, and after the middlewares for traces and recovery. A nil
// client records nothing.
//
//   - In handlers, functions such as [klime.Track] take c, c.Context() or a context made
//     from either, and in a net/http handler r.Context(). An OpenTelemetry span that was
//     started inside Middleware is seen only in c.Context().
//   - Fiber reuses c, c.RequestCtx() and the r.Context() of a net/http handler: after the
//     request they belong to another customer's. What may run longer, such as a goroutine,
//     the writer of a stream or the handler of a WebSocket, keeps c.Context(), or what
//     [klime.ScopeFrom] finds in r.Context().
//   - A net/http handler that flushes or hijacks goes on beside Fiber from then on, and may
//     outlive the request: at its start it takes ctx := klime.ScopeFrom(r.Context()) and
//     gives klime that, and its user and group must be known by then ([klime.SetUser],
//     [klime.SetGroup], [Link]).
//   - A fiber.Ctx is not safe for concurrent use, not even c.Get, c.Locals and c.Value.
//     UserID and GroupID read it if an event's user or group is not known otherwise. So
//     call [klime.SetUser] and [klime.SetGroup] before you start a goroutine that tracks
//     while its request goes on, and have it track with c.Context().
//   - Fiber turns errors into answers after all middlewares. To see the answer, this one
//     calls the app's ErrorHandler itself, once. Middlewares before it therefore see an
//     answer and no error, unless it is Fiber's own error that no route matches;
//     OpenTelemetry's span of c.Context() gets it from this one. What they change in the
//     answer is not recorded. A middleware that acts on the error, such as idempotency,
//     cache or a transaction, must go after this one. Between two of the same
//     client it is after this one: the inner Middleware leaves errors to the outer.
//   - Fiber's timeout goes after this one. A handler that is too late goes on with c, so
//     nothing is read from c then, and UserID and GroupID are not asked: the request has
//     the user and group of [Link], [klime.SetUser] and [klime.SetGroup].
//   - Fiber does not tell when a file, a stream or a WebSocket ends, nor that a client has
//     gone away. Both are left out of events. Nor does it tell that a handler has called
//     c.Drop, so such a request is recorded as answered with 200: put [Skip] on its route.
//   - What app.Use answers, such as files, has the route that the path leads to, or none. A
//     200 without a body is not recorded there: requests that the server refuses look so.
func Middleware(client *klime.Client, opts ...klime.Option) fiber.Handler {
	if client == nil {
		return func(c fiber.Ctx) error { return c.Next() }
	}
	tracker := klime.NewTracker(client, opts...)
	var known routes
	return func(c fiber.Ctx) error {
		asked := string(c.Request().URI().PathOriginal()) // a copy: a handler that sets another path overwrites it
		x := klime.Exchange{Method: c.Method(), Path: decoded(asked), Caller: caller{c}}
		if tracker.Ignores(x.Method, x.Path, x.Caller.Header) || isRefused(c) {
			return c.Next()
		}
		x.Start = time.Now()
		x.RequestBytes = requestBytes(c)
		scope := tracker.Begin(c.Context())
		scope.Bind(c, locals{c})
		scope.ReadHeader(x.Caller.Header)
		c.SetContext(scope)
		c.Locals(klime.ScopeKey, scope) // where c itself and a net/http handler's r.Context() find it
		var err error
		defer func() {
			panicked := recover()
			late := c.IsAbandoned()
			if late {
				abandoned(&x, c, scope)
				x.Route = known.leadsTo(c.App(), x.Method, asked)
			} else {
				describe(&x, c, err, scope.Joined())
				switch {
				case panicked == nil && isPassedOver(c, err, x.Unanswered):
					x.Status, x.Unmatched = http.StatusNotFound, true // the server answers, as where isUnrouted
				case !isUnrouted(c, err):
					x.Route = known.pattern(c)
				}
			}
			x.Recovered(panicked)
			tracker.Observe(scope, x)
			if !late {
				restore(c, scope)
			}
			if panicked != nil {
				panic(panicked)
			}
		}()
		if err = c.Next(); err == nil || scope.Joined() || isAnswered(c, scope) || isUnrouted(c, err) {
			return err // the outermost, or Fiber, turns it into an answer
		}
		scope.RecordError(err)
		if c.App().ErrorHandler(c, err) != nil {
			return c.SendStatus(http.StatusInternalServerError) // as Fiber does
		}
		return nil
	}
}

// isAnswered reports whether a timeout outside has answered in place of the handlers.
func isAnswered(c fiber.Ctx, scope *klime.Scope) bool { return c.IsAbandoned() && scope.Err() != nil }

// isRefused reports whether the server has refused a request because its body is too large.
// Fiber passes it through app.Use, and replaces the answer that it gets there. What else
// the server refuses, such as too large a body in chunks, looks like any request.
func isRefused(c fiber.Ctx) bool {
	n := c.Request().Header.ContentLength()
	if n <= 0 {
		return false
	}
	config := c.App().Config()
	return !config.StreamRequestBody && n > config.BodyLimit
}

// isUnrouted reports whether err is Fiber's own, which says that no route matches. Fiber
// also returns it if the server has refused a request, for example because its headers are
// too large: that passes app.Use and no routes, and the answer comes after. So it is left
// to Fiber.
func isUnrouted(c fiber.Ctx, err error) bool {
	return (errors.Is(err, fiber.ErrNotFound) || errors.Is(err, fiber.ErrMethodNotAllowed)) && !c.Matched()
}

// isPassedOver reports whether the server has refused a request, of which newer versions of
// Fiber say so by no error: it has passed app.Use and no routes, and there is no answer.
func isPassedOver(c fiber.Ctx, err error, unanswered bool) bool {
	return err == nil && unanswered && !c.Matched()
}

// statusOf is the status that err asks for, 0 if only the app's ErrorHandler knows.
func statusOf(err error) int {
	if known := (*fiber.Error)(nil); errors.As(err, &known) {
		return known.Code
	}
	return 0
}

// describe adds to x the answer of c. Its strings are in memory that Fiber reuses. If the
// Scope has joined another, or no route matches, there is no answer to err yet.
func describe(x *klime.Exchange, c fiber.Ctx, err error, joined bool) {
	x.Method = c.Method() // a middleware may have changed it
	x.Values = c.Context()
	addAnswer(x, c)
	status := statusOf(err)
	if err != nil && (joined || isUnrouted(c, err)) {
		x.Status = status
	}
	x.Unmatched = status == http.StatusNotFound || status == http.StatusMethodNotAllowed
	// The answer that Fiber sends if no handler has answered.
	x.Unanswered = err == nil && x.Status == http.StatusOK && x.ResponseBytes == 0 && !x.Unfinished
}

// abandoned adds to x what is known if Fiber's timeout has given up on the handler, which
// may still use c: nothing is read from c but the timeout's answer, and not even that if
// the timeout is outside.
func abandoned(x *klime.Exchange, c fiber.Ctx, scope *klime.Scope) {
	x.RequestBytes, x.ResponseBytes = -1, -1
	if x.Unanswered = isAnswered(c, scope); !x.Unanswered {
		addAnswer(x, c)
	}
}

// addAnswer adds the answer to x. Fiber does not tell how a streamed answer ends, nor a
// connection that was taken over.
func addAnswer(x *klime.Exchange, c fiber.Ctx) {
	answer, hijacked := c.Response(), c.RequestCtx().Hijacked()
	if late := c.RequestCtx().LastTimeoutErrorResponse(); late != nil {
		answer = late // which goes out in place of Fiber's
	}
	x.Status = answer.StatusCode()
	x.ContentType = string(answer.Header.ContentType())
	x.Location = string(answer.Header.Peek(fiber.HeaderLocation))
	if strings.HasPrefix(x.ContentType, "application/grpc") {
		x.GRPCStatus = string(answer.Header.Peek("Grpc-Status"))
	}
	x.Unfinished = answer.IsBodyStream() || hijacked
	x.Hijacked = hijacked && x.Status == http.StatusOK // which HijackSetNoResponse may hold back
	x.ResponseBytes = int64(answer.Header.ContentLength())
	if !answer.IsBodyStream() {
		x.ResponseBytes = int64(len(answer.Body()))
	}
}

// restore gives c the context that it had outside of Middleware, if that was another's.
func restore(c fiber.Ctx, scope *klime.Scope) {
	if outside := scope.Outside(c.Context()); outside != nil {
		c.SetContext(outside)
		c.Locals(klime.ScopeKey, klime.ScopeFrom(outside))
	}
}

// requestBytes is the size of the request's body, negative if it is not known.
func requestBytes(c fiber.Ctx) int64 {
	const noBody = -2 // fasthttp's length of a request with neither Content-Length nor chunks
	if n := c.Request().Header.ContentLength(); n != noBody {
		return int64(n)
	}
	return 0
}

// decoded is a path in decoded form, as in net/http. Fiber itself decodes paths only with
// Config.UnescapePath.
func decoded(path string) string {
	if plain, err := url.PathUnescape(path); err == nil {
		return plain
	}
	return path
}

// caller tells who has sent a request, unless a handler that is too late may use c.
type caller struct{ c fiber.Ctx }

// Header finds a header however it is spelled, also with Config.DisableHeaderNormalizing.
func (q caller) Header(name string) string {
	switch {
	case q.c.IsAbandoned():
		return ""
	case !q.c.App().Server().DisableHeaderNamesNormalizing:
		return q.c.Get(name)
	}
	for key, value := range q.c.Request().Header.All() {
		if strings.EqualFold(string(key), name) {
			return string(value)
		}
	}
	return ""
}

// ClientIP goes by the app's trusted proxies.
func (q caller) ClientIP() string {
	if q.c.IsAbandoned() {
		return ""
	}
	return q.c.IP()
}

// locals finds what c.Locals has stored, unless a handler that is too late may use c.
type locals struct{ c fiber.Ctx }

func (l locals) Value(key any) any {
	if l.c.IsAbandoned() {
		return nil
	}
	return l.c.Value(key)
}

// UserID says how to find the user of a request: a string, an integer, an
// encoding.TextMarshaler or a fmt.Stringer. A zero value means no user. See
// [klime.ResolveUser].
func UserID[T any](find func(fiber.Ctx) T) klime.Option {
	return klime.UserFrom(unlessAbandoned(find))
}

// GroupID says how to find the group of a request, like [UserID]. It is a
// claim: see [klime.ResolveGroup].
func GroupID[T any](find func(fiber.Ctx) T) klime.Option {
	return klime.GroupFrom(unlessAbandoned(find))
}

// unlessAbandoned is find, which is not called while a handler that is too late may use c.
func unlessAbandoned[T any](find func(fiber.Ctx) T) func(fiber.Ctx) T {
	if find == nil {
		return nil
	}
	return func(c fiber.Ctx) (none T) {
		if c.IsAbandoned() {
			return none
		}
		return find(c)
	}
}

// Link links the user of each request to groups, each once: see [klime.Link].
// It goes after Middleware and your authentication. If nobody is signed in, find returns
// zero values: see [klime.LinkFunc].
func Link(find func(fiber.Ctx) (klime.User, []klime.Group)) fiber.Handler {
	return func(c fiber.Ctx) error {
		klime.LinkFunc(c.Context(), func() (klime.User, []klime.Group) { return find(c) })
		return c.Next()
	}
}

// Event names the event of a route: see [klime.SetEvent].
// It goes after Middleware; before it does nothing.
func Event(name string) fiber.Handler {
	return func(c fiber.Ctx) error {
		klime.SetEvent(c.Context(), name)
		return c.Next()
	}
}

// Skip drops the event of a route: see [klime.Skip].
// It goes after Middleware; before it does nothing.
func Skip() fiber.Handler {
	return func(c fiber.Ctx) error {
		klime.Skip(c.Context())
		return c.Next()
	}
}

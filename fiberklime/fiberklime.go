package fiberklime

import (
	"net/http"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	klime "github.com/klimeapp/klime-go/core"
)

// Middleware records every request with client. It goes before the routes, and
// after the middlewares for traces and recovery. A nil client records nothing.
//
//   - In handlers, functions such as [klime.Track] take c.UserContext(). A goroutine
//     that may run longer than the handler keeps that too, as Fiber reuses a
//     *fiber.Ctx and its c.Context(). Klime finds nothing in c.Context(): give a
//     net/http handler behind Fiber's adaptor r.WithContext(c.UserContext()), and keep
//     c.UserContext() in Locals for the handler of a WebSocket.
//   - A *fiber.Ctx is not safe for concurrent use, not even c.Get and Locals. UserID
//     and GroupID read it if an event's user or group is not known otherwise. So call
//     [klime.SetUser] and [klime.SetGroup] before you start a goroutine that tracks
//     while its request goes on.
//   - Fiber turns errors into answers after all middlewares. To see the answer, this
//     one calls the app's ErrorHandler itself, once. Middlewares before it therefore
//     see an answer and no error; OpenTelemetry's span of c.UserContext() gets it from
//     this one. What they change in the answer (Compress, ETag, also Config.ETag) is
//     not recorded. A middleware that acts on the error, such as
//     idempotency, cache or a transaction, must go after this one: before it, a
//     failure looks like any answer, and is stored or committed. Between two of the same
//     client it is after this one: the inner Middleware leaves errors to the outer.
//   - Fiber does not tell when a file, a stream or a WebSocket ends, nor that a
//     client has gone away. Both are left out of events.
//
// docs/frameworks.md has the rest: limiters, paths, what app.Use answers.
func Middleware(client *klime.Client, opts ...klime.Option) fiber.Handler {
	if client == nil {
		return func(c *fiber.Ctx) error { return c.Next() }
	}
	tracker := klime.NewTracker(client, opts...)
	var known routes
	return func(c *fiber.Ctx) error {
		path := pathOf(c)
		if tracker.Ignores(c.Method(), path, caller{c}.Header) {
			return c.Next()
		}
		start := time.Now()
		path = strings.Clone(path) // a handler that sets another path overwrites its memory
		scope := tracker.Begin(c.UserContext())
		scope.Bind(c, c.Context())
		scope.ReadHeader(caller{c}.Header)
		c.SetUserContext(scope)
		var err error
		defer func() {
			panicked := recover()
			x := exchange(c)
			x.Path = path
			x.Recovered(panicked)
			if err != nil && scope.Joined() {
				x.Status = statusOf(err)
			}
			x.Unmatched = isUnmatched(err)
			x.Unanswered = err == nil && isSilent(&x)
			x.Start = start
			x.Route = known.pattern(c)
			x.Values = c.UserContext()
			tracker.Observe(scope, x)
			if outside := scope.Outside(c.UserContext()); outside != nil {
				c.SetUserContext(outside)
			}
			if panicked != nil {
				panic(panicked)
			}
		}()
		err = c.Next()
		if err == nil || scope.Joined() {
			return err //nolint:wrapcheck // the outermost turns it into an answer
		}
		scope.RecordError(err)
		if c.App().ErrorHandler(c, err) != nil {
			return c.SendStatus(http.StatusInternalServerError) // as Fiber does
		}
		return nil
	}
}

// UserID says how to find the user of a request: a string, an integer, an
// encoding.TextMarshaler or a fmt.Stringer. A zero value means no user. See
// [klime.ResolveUser].
func UserID[T any](find func(*fiber.Ctx) T) klime.Option {
	return klime.UserFrom(find)
}

// GroupID says how to find the group of a request, like [UserID]. It is a
// claim: see [klime.ResolveGroup].
func GroupID[T any](find func(*fiber.Ctx) T) klime.Option {
	return klime.GroupFrom(find)
}

// Link links the user of each request to groups, each once: see [klime.Link].
// It goes after Middleware and your authentication. If nobody is signed in, find returns
// zero values: see [klime.LinkFunc].
func Link(find func(*fiber.Ctx) (klime.User, []klime.Group)) fiber.Handler {
	return func(c *fiber.Ctx) error {
		klime.LinkFunc(c.UserContext(), func() (klime.User, []klime.Group) { return find(c) })
		return c.Next()
	}
}

// Event names the event of a route: see [klime.SetEvent].
// It goes after Middleware; before it does nothing.
func Event(name string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		klime.SetEvent(c.UserContext(), name)
		return c.Next()
	}
}

// Skip drops the event of a route: see [klime.Skip].
// It goes after Middleware; before it does nothing.
func Skip() fiber.Handler {
	return func(c *fiber.Ctx) error {
		klime.Skip(c.UserContext())
		return c.Next()
	}
}

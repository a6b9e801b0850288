package ginklime

import (
	"time"

	"github.com/gin-gonic/gin"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/httpexchange"
)

// Middleware records every request with client. It goes before the routes, and
// after the middlewares for traces and recovery. A nil client records nothing.
//
// In handlers, functions such as [klime.Track] take the *gin.Context or its
// c.Request.Context(). An OpenTelemetry span that was started inside Middleware is
// seen only in the latter, unless the engine has ContextWithFallback. Gin reuses a
// *gin.Context after its handler: pass c.Request.Context() or c.Copy() to a
// goroutine that may run longer.
func Middleware(client *klime.Client, opts ...klime.Option) gin.HandlerFunc {
	if client == nil {
		return func(*gin.Context) {}
	}
	tracker := klime.NewTracker(client, opts...)
	return func(c *gin.Context) {
		incoming := c.Request
		path := incoming.URL.Path // a handler may change it in place
		if tracker.Ignores(incoming.Method, path, c.GetHeader) {
			if ctx := tracker.WithoutEnclosing(incoming.Context(), incoming); ctx != nil {
				c.Request = incoming.WithContext(ctx)
				defer func() { httpexchange.GiveBack(incoming, c.Request) }()
				c.Next()
			}
			return
		}
		start, noted := time.Now(), len(c.Errors)
		e := &exchange{c: c}
		scope := tracker.BeginIn(incoming.Context(), &e.Scope, incoming)
		scope.Bind(c, (*lent)(e))
		scope.ReadHeader(c.GetHeader)
		r := e.PassOn(e, incoming)
		c.Request = r
		e.markRequest(incoming)
		c.Set(klime.ScopeKey, scope)
		w := &e.writer
		w.ResponseWriter, w.passed, c.Writer = c.Writer, &e.Passed, w
		defer func() {
			panicked := recover()
			x := klime.Exchange{Method: r.Method, Path: path, Start: start}
			served := e.isServed(r) // or else a timeout outside has answered long ago
			if served {
				e.describe(&x, c, r, panicked)
				x.AnsweredOutside = x.Unanswered && !x.Unmatched && len(c.Errors) > noted
				httpexchange.GiveBack(incoming, c.Request)
			}
			tracker.Observe(scope, x)
			if served {
				e.restore(scope.Outside(c.Request.Context()))
			}
			if panicked != nil {
				panic(panicked)
			}
		}()
		c.Next()
	}
}

// UserID says how to find the user of a request: a string, an integer, an
// encoding.TextMarshaler or a fmt.Stringer. A zero value means no user. It is called
// after the handlers, and before that by every goroutine that tracks an event. c.Get is
// safe for that, a session of gin-contrib/sessions is not: read that once, in a middleware
// that stores the user by c.Set("userId", …). UserID is then not needed. See
// [klime.ResolveUser].
func UserID[T any](find func(*gin.Context) T) klime.Option {
	return klime.UserFrom(find)
}

// GroupID says how to find the group of a request, like [UserID]. It is a
// claim: see [klime.ResolveGroup].
func GroupID[T any](find func(*gin.Context) T) klime.Option {
	return klime.GroupFrom(find)
}

// Link links the user of each request to groups, each once: see [klime.Link].
// It goes after Middleware and your authentication. If nobody is signed in, find returns
// zero values: see [klime.LinkFunc].
func Link(find func(*gin.Context) (klime.User, []klime.Group)) gin.HandlerFunc {
	return func(c *gin.Context) {
		klime.LinkFunc(c, func() (klime.User, []klime.Group) { return find(c) })
	}
}

// Event names the event of a route: see [klime.SetEvent].
// It goes after Middleware; before it does nothing.
func Event(name string) gin.HandlerFunc {
	return func(c *gin.Context) { klime.SetEvent(c, name) }
}

// Skip drops the event of a route: see [klime.Skip].
// It goes after Middleware; before it does nothing.
func Skip() gin.HandlerFunc {
	return func(c *gin.Context) { klime.Skip(c) }
}

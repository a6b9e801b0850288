package ginklime

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/colons"
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
			return
		}
		start := time.Now()
		e := &exchange{c: c}
		scope := tracker.BeginIn(&e.Scope, incoming.Context(), incoming)
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

// exchange holds what is kept of one request and its response, in one allocation.
type exchange struct {
	httpexchange.Passed

	c      *gin.Context
	mark   *exchange   // of the request: its first exchange
	served atomic.Bool // c is known to serve the request until Observe returns
	writer writer
}

// markKey is where c keeps the mark of the request that it serves.
const markKey = "klime.request"

// markRequest marks the request that c serves, unless a Middleware further out has.
func (e *exchange) markRequest(incoming *http.Request) {
	if known, ok := e.c.Get(markKey); ok {
		e.mark, _ = known.(*exchange)
		return
	}
	e.mark = e
	if around, ok := incoming.Context().Value(exchangeKey{}).(*exchange); ok && around.c == e.c {
		e.mark = around.mark // HandleContext has emptied what c.Set had stored
	}
	e.c.Set(markKey, e.mark)
}

// isServed reports, once its handlers are done, whether c still serves the request, which
// was passed on as r.
func (e *exchange) isServed(r *http.Request) bool {
	served := e.c.Request == r
	if !served {
		mark, marked := e.c.Get(markKey)
		served = mark == e.mark || !marked && e.c.Request.Context().Value(e) != nil // HandleContext has led past Middleware
	}
	e.served.Store(served)
	return served
}

// restore gives c the context that it had outside of Middleware, unless that is nil.
func (e *exchange) restore(outside context.Context) {
	if outside != nil {
		e.c.Request = e.c.Request.WithContext(outside)
		e.c.Set(klime.ScopeKey, klime.ScopeFrom(outside))
	}
}

// describe adds to x what can be told once the handlers of r, the request that was
// passed on, are done. Panicked is what they panicked with, nil if they did not.
func (e *exchange) describe(x *klime.Exchange, c *gin.Context, r *http.Request, panicked any) {
	w := e.innermostWriter(c)
	x.RequestBytes, x.Caller = r.ContentLength, caller{c}
	x.Recovered(panicked)
	x.Values = c.Request.Context()
	x.Route = colons.Braces(c.FullPath(), caller{c}.parameter)
	x.Unmatched = x.Route == ""
	x.Hijacked = w.hijacked
	x.Unanswered = !w.answered()
	x.Aborted = x.Aborted || httpexchange.Left(r, w.Header(), w.size())
	x.Status = w.sentStatus()
	x.ResponseBytes = w.size()
	x.ContentType = w.media.Of(w.Header())
	x.Location = httpexchange.Location(w.Header(), x.Status)
}

// innermostWriter is the writer of the last Middleware that the request has passed, e's
// own if no other is found.
func (e *exchange) innermostWriter(c *gin.Context) *writer {
	if w, ok := c.Writer.(*writer); ok {
		return w
	}
	if last, ok := c.Request.Context().Value(exchangeKey{}).(*exchange); ok {
		return &last.writer // HandleContext has taken it out of c
	}
	return &e.writer
}

// exchangeKey is the context key of the innermost exchange.
type exchangeKey struct{}

// Value implements context.Context for the request that is passed on. An exchange is
// also the key of itself.
func (e *exchange) Value(key any) any {
	switch key := key.(type) {
	case exchangeKey:
		return e
	case *exchange:
		if key == e {
			return e
		}
	}
	return e.Passed.Value(key)
}

// caller tells who sent the request.
type caller struct{ c *gin.Context }

func (q caller) Header(name string) string { return q.c.GetHeader(name) }

// ClientIP goes by the engine's trusted proxies.
func (q caller) ClientIP() string { return q.c.ClientIP() }

// parameter is the name of the parameter that a colon begins, given what follows
// the colon in its segment. In Gin the name is all of that. It is "" if Gin has no
// such parameter: in newer versions of Gin a colon can be escaped.
func (q caller) parameter(after string) string {
	if _, ok := q.c.Params.Get(after); ok {
		return after
	}
	return ""
}

// lent is an exchange as it is lent to goroutines. Unlike c.Value, it reads nothing that
// a handler may change at the same time, such as c.Request.
type lent exchange

// Value finds what c.Set has stored.
func (l *lent) Value(key any) any {
	name, _ := key.(string)
	value, _ := l.c.Get(name)
	return value
}

// Current reports whether c still serves the request. It does not once a middleware outside
// has answered while the handler still runs: Gin uses c for other requests then.
func (l *lent) Current() bool {
	if l.served.Load() {
		return true
	}
	mark, _ := l.c.Get(markKey)
	return mark == l.mark
}

// UserID says how to find the user of a request: a string, an integer, an
// encoding.TextMarshaler or a fmt.Stringer. A zero value means no user. It is called
// after the handlers, and before that by every goroutine that tracks an event: c.Get
// is safe for that. See [klime.ResolveUser].
func UserID[T any](find func(*gin.Context) T) klime.Option {
	return klime.UserFrom(find)
}

// GroupID says how to find the group of a request, like [UserID]. It is a
// claim: see [klime.ResolveGroup].
func GroupID[T any](find func(*gin.Context) T) klime.Option {
	return klime.GroupFrom(find)
}

// Link links the user of each request to groups, each once: see [klime.Link].
// It goes after Middleware and your authentication. Nothing is linked if find returns a zero User,
// and no groups or only zero ones.
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

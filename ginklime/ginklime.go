package ginklime

import (
	"time"

	"github.com/gin-gonic/gin"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/colons"
	"github.com/klimeapp/klime-go/internal/httpexchange"
)

// Middleware records every request with client. It goes before the routes,
// after what sets up traces and recovery. A nil client records nothing.
//
// In handlers, functions such as [klime.Track] take the *gin.Context or its
// c.Request.Context(). Of OpenTelemetry's spans the former shows only the one that
// Middleware has found, unless the engine has ContextWithFallback. Gin reuses a
// *gin.Context after its handler: what may run longer takes c.Request.Context()
// or c.Copy().
func Middleware(client *klime.Client, opts ...klime.Option) gin.HandlerFunc {
	if client == nil {
		return func(*gin.Context) {}
	}
	tracker := klime.NewTracker(client, opts...)
	return func(c *gin.Context) {
		came := c.Request
		path := came.URL.Path // which a handler may change in place
		if tracker.Ignores(came.Method, path, c.GetHeader) {
			return
		}
		start := time.Now()
		e := new(exchange)
		scope := tracker.BeginIn(&e.Scope, came.Context(), came)
		scope.Bind(c, keys{c})
		scope.ReadHeader(c.GetHeader)
		r := e.PassOn(e, came)
		c.Request = r
		c.Set(klime.ScopeKey, scope)
		w := &e.writer
		w.ResponseWriter, w.passed, c.Writer = c.Writer, &e.Passed, w
		defer func() {
			panicked := recover()
			if last, ok := c.Writer.(*writer); ok {
				w = last
			} else if last, ok := c.Request.Context().Value(exchangeKey{}).(*exchange); ok {
				w = &last.writer // after HandleContext, which puts ours away
			}
			x := httpexchange.Request(r)
			x.Path = path
			x.Recovered(panicked)
			x.Caller = caller{c}
			x.Values = c.Request.Context()
			httpexchange.GiveBack(came, c.Request)
			x.Route = colons.Braces(c.FullPath(), caller{c}.parameter)
			x.Unmatched = x.Route == ""
			x.Start = start
			x.Aborted = x.Aborted || httpexchange.Left(r, w.Header(), w.answered() || x.Panicked, w.size())
			x.Status = w.sent(x.Aborted)
			x.ResponseBytes = w.size()
			x.ContentType = w.media.Of(w.Header())
			x.Location = w.Header().Get("Location")
			tracker.Observe(scope, x)
			if outside := scope.Outside(c.Request.Context()); outside != nil {
				c.Request = c.Request.WithContext(outside)
				c.Set(klime.ScopeKey, klime.ScopeFrom(outside))
			}
			if panicked != nil {
				panic(panicked)
			}
		}()
		c.Next()
	}
}

// exchange is what is kept of one exchange, in one allocation.
type exchange struct {
	httpexchange.Passed

	writer writer
}

// exchangeKey finds the innermost exchange in a context.
type exchangeKey struct{}

// Value implements context.Context, for the request that is passed on.
func (e *exchange) Value(key any) any {
	if _, ok := key.(exchangeKey); ok {
		return e
	}
	return e.Passed.Value(key)
}

// caller is who has sent the request.
type caller struct{ c *gin.Context }

func (q caller) Header(name string) string { return q.c.GetHeader(name) }

// ClientIP goes by the engine's trusted proxies.
func (q caller) ClientIP() string { return q.c.ClientIP() }

// parameter is the name of the parameter that begins before after, all of the
// segment in Gin; "" if Gin has none: newer ones have colons that are escaped.
func (q caller) parameter(after string) string {
	if _, ok := q.c.Params.Get(after); ok {
		return after
	}
	return ""
}

// keys finds what c.Set has stored. Unlike c.Value it looks at nothing that the
// handler may change meanwhile.
type keys struct{ c *gin.Context }

func (k keys) Value(key any) any {
	name, _ := key.(string)
	value, _ := k.c.Get(name)
	return value
}

// UserID says how to find the user of a request: a string, an integer, an
// encoding.TextMarshaler or a fmt.Stringer; a zero value is nobody. It is asked
// after the handlers, and in whichever goroutine tracks an event before: c.Get is
// safe there. See [klime.ResolveUser].
func UserID[T any](find func(*gin.Context) T) klime.Option {
	return klime.UserFrom(find)
}

// GroupID says how to find the group of a request, like [UserID]. It is a
// claim: see [klime.ResolveGroup].
func GroupID[T any](find func(*gin.Context) T) klime.Option {
	return klime.GroupFrom(find)
}

// Link links the user of each request to groups, each once: see [klime.Link].
// It goes after your authentication. A zero User, with zero groups or none, is
// nobody.
func Link(find func(*gin.Context) (klime.User, []klime.Group)) gin.HandlerFunc {
	return func(c *gin.Context) {
		klime.LinkFunc(c, func() (klime.User, []klime.Group) { return find(c) })
	}
}

// Event names the event of a route: see [klime.SetEvent].
func Event(name string) gin.HandlerFunc {
	return func(c *gin.Context) { klime.SetEvent(c, name) }
}

// Skip drops the event of a route: see [klime.Skip].
func Skip() gin.HandlerFunc {
	return func(c *gin.Context) { klime.Skip(c) }
}

package ginklime

import (
	"net/http"
	"sync/atomic"

	"github.com/gin-gonic/gin"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/colons"
	"github.com/klimeapp/klime-go/internal/httpexchange"
)

// exchange holds what is kept of one request and its response, in one allocation.
type exchange struct {
	httpexchange.Passed

	c      *gin.Context
	mark   *exchange   // of the request: its first exchange
	served atomic.Bool // c is known to serve the request until Observe returns
	writer writer
}

// describe adds to x what can be told once the handlers of r, the request that was
// passed on, are done. panicked is what they panicked with, nil if they did not.
func (e *exchange) describe(x *klime.Exchange, c *gin.Context, r *http.Request, panicked any) {
	w := e.innermostWriter(c)
	size := w.bytes
	if _, marked := c.Get(markKey); !marked && size == 0 {
		size = max(int64(w.Size()), 0) // HandleContext has led past Middleware: only Gin has counted
	}
	x.RequestBytes, x.Caller = r.ContentLength, caller{c}
	x.Recovered(panicked)
	x.Values = c.Request.Context()
	x.Route = colons.Braces(c.FullPath(), caller{c}.parameter)
	x.Unmatched = x.Route == ""
	x.Hijacked = w.hijacked
	x.Conn = w.passed.Conn()
	x.Unanswered = !w.answered()
	x.Aborted = x.Aborted || httpexchange.Left(r, w.Header(), size)
	x.Status = w.sentStatus()
	x.ResponseBytes = size
	x.ContentType = w.media.Finish(w.Header())
	x.Location = httpexchange.Location(w.Header(), x.Status)
	x.GRPCStatus = httpexchange.GRPCStatus(w.Header(), x.ContentType)
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

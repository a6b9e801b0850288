package ginklime

import (
	"context"
	"net/http"

	klime "github.com/klimeapp/klime-go/core"
)

// Gin reuses a *gin.Context, and HandleContext empties it in the middle of a request. So c
// keeps a mark of the request that it serves: the first exchange of that request.

// markKey is where c keeps the mark.
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

package httpexchange

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

// Passed is the context of a request that was passed on to the handlers. It holds the
// Scope of the request, and the path with which it came.
type Passed struct {
	Scope klime.Scope

	incoming      *http.Request
	path, rawPath string // as they came: handlers may change them in the URL, which both requests share
	takeover      atomic.Pointer[takeover]

	// passed is the request that was passed on, if its Way is known: the first mux that it
	// reaches sets its pattern. It is nil once the handlers have returned, or a context that
	// is kept would keep what they have left in the request.
	passed atomic.Pointer[http.Request]
}

// passedKey finds the innermost Passed in a context.
type passedKey struct{}

// PassOn returns the request to hand to the handlers in place of the one that came,
// after its Scope has begun. It is a copy with ctx, which is p or contains it. The
// server and outer middlewares keep the original: see GiveBack.
func (p *Passed) PassOn(ctx context.Context, incoming *http.Request) *http.Request {
	if incoming.Trailer == nil && incoming.ContentLength < 0 {
		incoming.Trailer = http.Header{} // net/http fills it at the end of the body, for both
	}
	p.incoming, p.path, p.rawPath = incoming, incoming.URL.Path, incoming.URL.RawPath
	return incoming.WithContext(ctx)
}

// Deadline implements [context.Context].
func (p *Passed) Deadline() (time.Time, bool) { return p.Scope.Deadline() }

// Done implements [context.Context].
func (p *Passed) Done() <-chan struct{} { return p.Scope.Done() }

// Err implements [context.Context].
func (p *Passed) Err() error { return p.Scope.Err() }

// Value implements [context.Context].
func (p *Passed) Value(key any) any {
	if _, ok := key.(passedKey); ok {
		return p
	}
	if t := p.takeover.Load(); t != nil && t.forHTTP2 {
		return p.incoming.Context().Value(key)
	}
	return p.Scope.Value(key)
}

// String names it as the Scope: see [klime.Scope.String].
func (p *Passed) String() string { return p.Scope.String() }

// Original returns a request with the host and path with which it came. Handlers such
// as proxies may have changed these, for a server behind them.
func Original(r *http.Request) *http.Request {
	p := passedBy(r)
	if p == nil || r.Host == p.incoming.Host && r.URL == p.incoming.URL && r.URL.Path == p.path && r.URL.RawPath == p.rawPath {
		return r
	}
	asked, location := *r, *p.incoming.URL
	location.Path, location.RawPath = p.path, p.rawPath
	asked.Host, asked.URL = p.incoming.Host, &location
	return &asked
}

// GiveBack copies to the original request what handlers have left in the copy: the
// pattern that a ServeMux matched, which metrics and traces use, and parsed forms,
// whose files net/http removes. If they have left nothing, it writes nothing: a handler
// on which a middleware outside has given up may end while the server reads the original.
func GiveBack(incoming, passed *http.Request) {
	if passed.Pattern != "" && passed.Pattern != incoming.Pattern {
		incoming.Pattern = passed.Pattern
	}
	if passed.MultipartForm != nil && incoming.MultipartForm == nil {
		incoming.MultipartForm = passed.MultipartForm
	}
	if passed.Form != nil && incoming.Form == nil {
		incoming.Form, incoming.PostForm = passed.Form, passed.PostForm
	}
}

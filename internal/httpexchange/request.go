package httpexchange

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

// Passed is the context of a request that was passed on: its Scope, and the path that
// it came with.
type Passed struct {
	Scope klime.Scope

	came          *http.Request
	path, rawPath string      // which handlers may change in the URL that the two requests share
	left          atomic.Bool // the connection goes on without us
}

// passedKey finds the innermost Passed in a context.
type passedKey struct{}

// PassOn is the request that goes to the handlers in place of the one that came,
// once its Scope has begun: a copy with another context, p or what p is a part of.
// Net/http and what stands outside have the first: what is left in the copy is given
// back to it.
func (p *Passed) PassOn(ctx context.Context, came *http.Request) *http.Request {
	if came.Trailer == nil && came.ContentLength < 0 {
		came.Trailer = http.Header{} // which net/http fills at the end of the body
	}
	p.came, p.path, p.rawPath = came, came.URL.Path, came.URL.RawPath
	return came.WithContext(ctx)
}

// Hijacked notes that the connection was taken over. If that is to speak HTTP/2 (h2c),
// the request itself and others, perhaps of other users, are served with contexts made
// from this one: there is no Scope in it any more.
func (p *Passed) Hijacked() {
	if p != nil && upgradesToHTTP2(p.came.Header) {
		klime.Skip(&p.Scope)
		p.left.Store(true)
	}
}

// upgradesToHTTP2 goes by what RFC 7540, 3.2 asks of such a request.
func upgradesToHTTP2(header http.Header) bool {
	if first(header, "Http2-Settings") == "" {
		return false
	}
	for _, line := range header["Upgrade"] {
		for protocol := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(protocol), "h2c") {
				return true
			}
		}
	}
	return false
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
	if p.left.Load() {
		return p.came.Context().Value(key)
	}
	return p.Scope.Value(key)
}

// AsItCame is a request that was passed on, with the host and the path that it came
// with: what handlers have changed for one further on, as proxies do, was not asked for.
func AsItCame(r *http.Request) *http.Request {
	p, ok := r.Context().Value(passedKey{}).(*Passed)
	if !ok || r.Host == p.came.Host && r.URL == p.came.URL && r.URL.Path == p.path && r.URL.RawPath == p.rawPath {
		return r
	}
	asked, location := *r, *p.came.URL
	location.Path, location.RawPath = p.path, p.rawPath
	asked.Host, asked.URL = p.came.Host, &location
	return &asked
}

// GiveBack shows what the handlers have left in the request that was passed on to
// the one that came: the pattern that a ServeMux has matched, for metrics and
// traces, and parsed forms, whose files net/http removes.
func GiveBack(came, passed *http.Request) {
	if passed.Pattern != "" {
		came.Pattern = passed.Pattern
	}
	if came.MultipartForm == nil {
		came.MultipartForm = passed.MultipartForm
	}
	if came.Form == nil {
		came.Form, came.PostForm = passed.Form, passed.PostForm
	}
}

package klime

import (
	"net/http"
	"strings"
	"sync"
)

// request is what is known about a request. All its scopes share that of the root; each
// Scope has room for one, so it is small. Its mu guards it, and the fields of scopes that
// say so.
type request struct {
	knowledge
	remarks

	mu         sync.Mutex
	incoming   *http.Request // nil if not known, or once the request is over
	innermost  *Scope        // the innermost open scope, of siblings the last; nil once the request is over
	properties []property
	fallback   telemetry // used if the request did not begin under a span: see noteSpan and noteTraceparent
}

// remarks are the part of a request that says how to record the request: what the
// app has asked for, and what inner middlewares have seen.
type remarks struct {
	event             string // the event's name, by SetEvent or an inner middleware's rules
	route             *route // as the innermost middleware that saw the path below knows it; nil if it does not
	path              string
	matched           bool // an inner router has found a route, perhaps under another path
	named             bool // an inner middleware's rules name it, even if it has failed
	skip              bool
	reused            bool // the framework has given its request to another one meanwhile
	silent            bool
	optedOut          bool // the caller does not want to be tracked, and the middleware honors that
	canonicalRedirect bool // an inner middleware saw a redirect to another form of the path
	unmatched         bool // an inner router is known to have found no route
}

// isOpen reports whether the request is still being served.
func (r *request) isOpen() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.innermost != nil
}

// noteInner takes in what an inner middleware has seen, and what its rules say.
func (r *remarks) noteInner(x *Exchange, rt *route, rule ruling) {
	// A route seen behind a stripped prefix is only a part of the whole; one that ends in *
	// may be that of a mux further out.
	if r.route == nil || r.path != x.Path || rt.isWithin(r.route) {
		r.path = strings.Clone(x.Path)
		if r.route = rt; rt.text == "" {
			r.route = nil
		}
	}
	r.matched = r.matched || !rt.catchAll || rt.text != "" && rule.name != ""
	r.unmatched = r.unmatched || x.Unmatched && rt.text == ""
	r.named = r.named || rule.name != ""
	if r.event == "" && x.succeeded() {
		r.event = rule.name
	}
	r.skip = r.skip || rule.skip
	r.canonicalRedirect = r.canonicalRedirect || isCanonicalRedirect(x) // compares with the path as this middleware sees it
}

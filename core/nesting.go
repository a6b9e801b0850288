package klime

import (
	"cmp"
	"context"
	"net/http"
	"reflect"
)

// Several middlewares may see one request, and a handler may make further requests
// while it serves one. Each middleware begins a Scope, which may know others:
//
//	around     the Scope in whose open request, or in whose NewContext, it was begun, whether
//	           it has joined that or not. It may belong to another client, or to the request
//	           whose handler makes this one.
//	outer      the Scope that it has joined: the same request, as seen by a middleware of
//	           the same client further out.
//	root       the outermost of these, which holds what they share.
//	enclosing  the Scope, of the same client, of the request whose handler makes this one.

// hiddenScope stands in a context for the Scope of the enclosing request, in one that is
// ignored. What is said in that one must not reach the Scope, but requests that it makes
// itself have it around them, and its silence holds. Without a scope, nothing does.
type hiddenScope struct{ scope *Scope }

// innermostIn returns the innermost Scope in ctx, nil if there is none.
func innermostIn(ctx context.Context) (s *Scope, isHidden bool) {
	if ctx == nil {
		return nil, false
	}
	switch found := ctx.Value(scopeKey{}).(type) {
	case *Scope:
		return found, false
	case hiddenScope:
		return found.scope, true
	}
	s, _ = ctx.Value(ScopeKey).(*Scope)
	return s, false
}

// WithoutEnclosing is for requests that [Tracker.Ignores] leaves out. If the app has made
// this one while it serves another, with the context ctx of that one, then what functions
// such as [Track] are told in it would count for the other. WithoutEnclosing returns a
// context to pass on in place of ctx, in which they do nothing; so it does if the server
// runs in the context of a [Client.NewContext]. Otherwise it returns nil: the request is
// then passed on untouched. incoming is as for [Tracker.BeginIn]. If the request of ctx is
// over, this one is taken for another.
func (*Tracker) WithoutEnclosing(ctx context.Context, incoming *http.Request) context.Context {
	innermost := ScopeFrom(ctx)
	if innermost.isOfServer(ctx) { // nor is its silence that of the request
		return context.WithValue(ctx, scopeKey{}, hiddenScope{})
	}
	open := innermost
	for open != nil && !open.request().isOpen() {
		open = open.around
	}
	if innermost == nil || open != nil && !open.request().isOther(incoming) {
		return nil
	}
	return withoutScope(ctx)
}

// withoutScope hides the Scope in ctx, if there is one.
func withoutScope(ctx context.Context) context.Context {
	if s := ScopeFrom(ctx); s != nil {
		return context.WithValue(ctx, scopeKey{}, hiddenScope{s})
	}
	return ctx
}

// outer is the Scope that s has joined, nil for the root: the nearest around s that
// belongs to the same request.
func (s *Scope) outer() *Scope {
	if s == s.root {
		return nil
	}
	outer := s.around
	for outer.root != s.root {
		outer = outer.around
	}
	return outer
}

// Joined is for adapters of frameworks whose handlers return errors. It reports whether
// a middleware of the same client further out observes the same request. That one turns
// errors into answers; this one must return them as they are, to the middlewares between
// the two.
func (s *Scope) Joined() bool { return s != nil && s != s.root }

// isWithin reports whether s is outer, or has joined it directly or through others.
func (s *Scope) isWithin(outer *Scope) bool {
	for s != nil && s != outer {
		s = s.outer()
	}
	return s != nil
}

// joinAround sets the Scope around s. If s sees the same request, it joins the nearest
// Scope of the same client; a Scope without a client joins any.
func (s *Scope) joinAround(incoming *http.Request) (joined bool) {
	noClient := s.tracker.client == nil
	innermost, _ := innermostIn(s.parent)
	if innermost.isOfServer(s.parent) {
		innermost = nil
	}
	s.nested = innermost != nil
	var work *Scope // of a NewContext, in which this request is made unless it was passed on
	for outer := innermost; outer != nil; outer = outer.around {
		if outer.isWork() && work == nil {
			work = outer
		}
		if !outer.request().isOpen() {
			continue
		}
		if s.around == nil {
			s.around = outer
			if !noClient && outer.request().isOther(incoming) {
				s.around, s.subrequest = cmp.Or(work, outer), true
				return false
			}
		}
		if (noClient || outer.client() == s.tracker.client) && outer.join(s, incoming) {
			outer.noteSpan(s.parent)
			s.tracker.hintInside(s.root.tracker)
			return true
		}
		if outer.subrequest {
			return false // scopes further out belong to another request
		}
	}
	if s.around == nil && work != nil {
		s.around, s.subrequest = work, true
	}
	return false
}

// isOfServer reports whether s is work in whose context a server runs, such as by
// BaseContext, and the request of ctx came over a connection. It is not made in the work then.
func (s *Scope) isOfServer(ctx context.Context) bool {
	return s != nil && s.isWork() && s.parent.Value(http.LocalAddrContextKey) == nil && ctx.Value(http.LocalAddrContextKey) != nil
}

// join makes inner join s, unless the request of s is over.
func (s *Scope) join(inner *Scope, incoming *http.Request) bool {
	r := s.request()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.innermost == nil {
		return false
	}
	inner.root, r.innermost = s.root, inner
	if r.incoming == nil {
		r.incoming = incoming
	}
	s.root.noteOptions(inner.tracker)
	return true
}

// isOther reports whether incoming is not this request. If either is not known, it is
// taken for the same.
func (r *request) isOther(incoming *http.Request) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if incoming == nil || r.incoming == nil {
		return false
	}
	switch passedOn := shareHeader(r.incoming.Header, incoming.Header); {
	case incoming.RequestURI == "": // read from no connection: the app has made it, or it was passed on
		return !passedOn
	case passedOn: // middlewares in between may have changed the RequestURI
		return false
	default:
		return r.incoming.RequestURI != incoming.RequestURI
	}
}

// shareHeader reports whether two headers are the same map. A request that is passed
// on keeps its map, unless it is copied with Clone.
func shareHeader(one, other http.Header) bool {
	return one != nil && reflect.ValueOf(one).Pointer() == reflect.ValueOf(other).Pointer()
}

// findings is what scopes knew when they ended.
type findings struct {
	resolved identity // from their resolvers
	stored   identity // from these or, where those of a scope have no ID, from its context values
}

// leave ends a scope that has joined another. The outer scopes keep what only this one
// can find out, and what the rules of its middleware say.
func (s *Scope) leave(x *Exchange, rt *route, rule ruling) {
	own := &findings{resolved: s.resolve()}
	own.stored = own.resolved // for what that lacks
	own.stored.fillIn(s.parent, s)
	own.stored.fillIn(x.Values, s)
	s.fillStored(&own.stored)
	if x.turnsAway() { // checked here, as an outer middleware may change the status
		own.resolved.group, own.stored.group = "", ""
	}
	r := s.request()
	r.mu.Lock()
	r.ended++
	s.handUp(own)
	r.noteInner(x, rt, rule)
	if r.innermost == s { // else the request is over, or another scope is open
		r.innermost = s.outer()
	}
	r.mu.Unlock()
	s.loan.end()
}

// handUp gives what s and ended scopes within it have found to the nearest outer scope
// that is still open. The request's lock must be held.
func (s *Scope) handUp(own *findings) {
	s.left = true
	s.keepFound(own)
	open := s.outer()
	for open.left {
		open = open.outer()
	}
	open.keepFound(s.found)
}

// keepFound adds to what ended scopes have found: what came before it is preferred. Scopes of a
// request may share it. The request's lock must be held.
func (s *Scope) keepFound(found *findings) {
	if s.found == nil {
		s.found = found
		return
	}
	s.found.resolved.fill(found.resolved)
	s.found.stored.fill(found.stored)
}

// findings is what ended scopes have left to s.
func (s *Scope) findings() (found findings) {
	s.update(func(*request) {
		if s.found != nil {
			found = *s.found
		}
	})
	return found
}

// ofClient returns the nearest Scope, from s outward, that belongs to c or has no
// client. What another client's Scope knows is meant for another account.
func (s *Scope) ofClient(c *Client) *Scope {
	for ; s != nil; s = s.around {
		if owner := s.client(); owner == c || owner == nil {
			return s
		}
	}
	return nil
}

// scopeOf returns c's own Scope of the request that ctx belongs to, nil if there is
// none, and whether the request is silent. To a nil Client every request is.
func (c *Client) scopeOf(ctx context.Context) (own *Scope, silent bool) {
	if c == nil {
		return nil, true
	}
	innermost, isHidden := innermostIn(ctx)
	if !isHidden {
		own = innermost.ofClient(c)
	}
	return own, innermost.isSilentTo(c)
}

// enclosing is the client's own Scope of the request whose handler makes that of s, or
// nil.
func (s *Scope) enclosing() *Scope {
	return s.root.around.ofClient(s.root.tracker.client)
}

// inheritFrom takes over what also holds for a request that is made within the one of
// outer.
func (s *Scope) inheritFrom(outer *Scope) {
	if outer == nil {
		return
	}
	ours, theirs := s.request(), outer.request()
	theirs.mu.Lock()
	defer theirs.mu.Unlock()
	ours.members = theirs.members
	ours.requireMembership = ours.requireMembership || theirs.requireMembership
	ours.fallback = theirs.fallback
	ours.fallback.span.inside = false // a span or header of this request is nearer
}

// Outside is for adapters of frameworks in which all handlers of a request share one
// context, ctx. Handlers outside of the middleware go on with it, and would find s in
// it after s has ended. If a Scope that s has not joined is around s, such as that of
// another client's middleware, Outside returns ctx with that Scope in place of s, to be
// set after [Tracker.Observe]; otherwise nil.
func (s *Scope) Outside(ctx context.Context) context.Context {
	if s == nil || s.around == nil || s.around.root == s.root {
		return nil
	}
	return context.WithValue(orBackground(ctx), scopeKey{}, s.around)
}

// isSilentTo reports whether nothing of c is sent from the request of s: the app has called
// [Silence] in it, or in one within which it was made, even if that is over; or a middleware
// has [HonorOptOut], of c itself or, if c has none there, of any client.
func (s *Scope) isSilentTo(c *Client) bool {
	var isObserved, ours, others bool // by a middleware of c; opted out for c, for others
	for ; s != nil; s = s.inParent() {
		said := s.remarks()
		switch {
		case said.silent:
			return true
		case s.client() == c && !s.isWork():
			isObserved, ours = true, ours || said.optedOut
		default:
			others = others || said.optedOut
		}
	}
	return ours || others && !isObserved
}

// inParent is the Scope within which s was begun, even if its request is over, or nil.
func (s *Scope) inParent() *Scope {
	if !s.nested {
		return nil
	}
	if s.isWork() && s.around != nil {
		return s.around // the framework may reuse the parent
	}
	outer, _ := innermostIn(s.parent)
	return outer
}

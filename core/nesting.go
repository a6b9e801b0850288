package klime

import (
	"context"
	"net/http"
	"reflect"
	"strings"
)

// Several middlewares may see one request, and a handler may make further requests
// while it serves one. Each middleware begins a Scope, which may know two others:
//
//	outer   the Scope that it has joined: the same request, as seen by a middleware of
//	        the same client further out. The outermost, called the root, holds the
//	        request's state.
//	around  the Scope in whose open request it was begun, whether it has joined that or
//	        not. It may belong to another client, or to the request whose handler makes
//	        this one.

// root is the outermost scope of the request.
func (s *Scope) root() *Scope {
	for s.outer != nil {
		s = s.outer
	}
	return s
}

// isWithin reports whether s is outer, or has joined it directly or through others.
func (s *Scope) isWithin(outer *Scope) bool {
	for s != nil && s != outer {
		s = s.outer
	}
	return s != nil
}

// isOpen reports whether the request of s is still being served.
func (s *Scope) isOpen() bool {
	root := s.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	return root.innermost != nil
}

// isOtherRequest reports whether incoming is not the request of s. If either is not
// known, it is taken for the same.
func (s *Scope) isOtherRequest(incoming *http.Request) bool {
	root := s.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	if incoming == nil || root.incoming == nil {
		return false
	}
	switch passedOn := shareHeader(root.incoming.Header, incoming.Header); {
	case incoming.RequestURI == "": // read from no connection: the app has made it, or it was passed on
		return !passedOn
	case passedOn: // middlewares in between may have changed the RequestURI
		return false
	default:
		return root.incoming.RequestURI != incoming.RequestURI
	}
}

// shareHeader reports whether two headers are the same map. A request that is passed
// on keeps its map, unless it is copied with Clone.
func shareHeader(one, other http.Header) bool {
	return one != nil && reflect.ValueOf(one).Pointer() == reflect.ValueOf(other).Pointer()
}

// joinAround sets the Scope around s. If s sees the same request, it joins the nearest
// Scope of the same client; a Scope without a client joins any.
func (s *Scope) joinAround(incoming *http.Request) (joined bool) {
	noClient := s.tracker.client == nil
	for outer := ScopeFrom(s.parent); outer != nil; outer = outer.around {
		if !outer.isOpen() {
			continue
		}
		if s.around == nil {
			s.around = outer
			s.state.subrequest = !noClient && outer.isOtherRequest(incoming)
		}
		if s.state.subrequest {
			return false
		}
		if (noClient || outer.client() == s.tracker.client) && outer.join(s, incoming) {
			outer.noteSpan(s.parent)
			return true
		}
		if outer.state.subrequest {
			return false // scopes further out belong to another request
		}
	}
	return false
}

// join makes inner join s, unless the request of s is over.
func (s *Scope) join(inner *Scope, incoming *http.Request) bool {
	root := s.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	if root.innermost == nil {
		return false
	}
	inner.outer, root.innermost = s, inner
	if root.incoming == nil {
		root.incoming = incoming
	}
	root.state.linkRequired = root.state.linkRequired || inner.tracker.requireMembership
	return true
}

// leave ends a scope that has joined another. The outer scopes keep what only this one
// can find out, and what the rules of its middleware say.
func (s *Scope) leave(x *Exchange, rt *route, rule ruling) {
	resolved, stored := s.resolve(), identityIn(x.Values, s.client().interner())
	fill(&stored, s.stored())
	if turnsAway(x.Status) { // checked here, as an outer middleware may change the status
		resolved.group, stored.group = "", ""
	}
	root := s.root()
	root.mu.Lock()
	s.handUp(resolved, stored)
	root.state.add(x, rt, rule)
	if root.innermost == s { // else the request is over, or another scope is open
		root.innermost = s.outer
	}
	root.mu.Unlock()
	s.request.end()
}

// handUp gives what s knows, and what ended scopes have left to it, to the nearest
// outer scope that is still open. The root's lock must be held.
func (s *Scope) handUp(resolved, stored identity) {
	root := s.root()
	root.state.ended++
	s.state.ended++
	open := s.outer
	for open != root && open.state.ended > 0 {
		open = open.outer
	}
	if inner := s.state.inner; inner != nil {
		open.state.addEnded(inner.resolved, inner.stored)
	}
	open.state.addEnded(resolved, stored)
}

// add takes in what an inner middleware has seen, and what its rules say.
func (r *remarks) add(x *Exchange, rt *route, rule ruling) {
	if r.route == nil || r.path != x.Path { // a route seen behind a stripped prefix is only a part of the whole
		r.path = strings.Clone(x.Path)
		if r.route = rt; rt.text == "" {
			r.route = nil
		}
	}
	r.matched = r.matched || !rt.catchAll || rt.text != "" && rule.name != ""
	r.unmatched = r.unmatched || x.Unmatched && rt.text == ""
	if r.event == "" && x.Status < http.StatusBadRequest && !x.unanswered() {
		r.event = rule.name
	}
	r.skip = r.skip || rule.skip
	r.canonicalRedirect = r.canonicalRedirect || isCanonicalRedirect(x) // compares with the path as this middleware sees it
}

// endedWithin is what ended scopes have left to s.
func (s *Scope) endedWithin() endedScopes {
	root := s.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	if s.state.inner == nil {
		return endedScopes{}
	}
	return *s.state.inner
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

// enclosing is the client's own Scope of the request within which that of s was made,
// or nil.
func (s *Scope) enclosing() *Scope {
	root := s.root()
	return root.around.ofClient(root.tracker.client)
}

// inheritFrom takes over what also holds for a request that is made within the one of
// outer.
func (s *Scope) inheritFrom(outer *Scope) {
	if outer == nil {
		return
	}
	root := outer.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	theirs := &root.state
	s.state.members = theirs.members
	s.state.linkRequired = s.state.linkRequired || theirs.linkRequired
	s.state.optedOut = theirs.optedOut
	s.state.fallback = theirs.fallback
}

// Outside is for adapters of frameworks in which all handlers of a request share one
// context, ctx. Handlers outside of the middleware go on with it, and would find s in
// it after s has ended. If a Scope that s has not joined is around s, such as that of
// another client's middleware, Outside returns ctx with that Scope in place of s, to be
// set after [Tracker.Observe]; otherwise nil.
func (s *Scope) Outside(ctx context.Context) context.Context {
	if s == nil || s.around == nil || s.around.root() == s.root() {
		return nil
	}
	return context.WithValue(orBackground(ctx), scopeKey{}, s.around)
}

// isSilentAround reports whether the app has silenced the request of a Scope around s.
func (s *Scope) isSilentAround() bool {
	for outer := s.around; outer != nil; outer = outer.around {
		if outer.remarks().silent {
			return true
		}
	}
	return false
}

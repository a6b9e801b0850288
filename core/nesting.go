package klime

import (
	"context"
	"net/http"
	"reflect"
	"strings"
)

// Several middlewares may see one request, and one request may be made within another.
// Each begins a Scope, and a Scope knows two others:
//
//	outer   the Scope it has joined: the same request, seen by a middleware of the same
//	        client further out. The outermost, the root, holds the request's state.
//	around  the Scope in whose open request it was begun, joined or not: also that of
//	        another client, or of the request that makes this one.

// root is the outermost scope of the request.
func (s *Scope) root() *Scope {
	for s.outer != nil {
		s = s.outer
	}
	return s
}

// isWithin reports whether s is outer, or has joined it, be it by others.
func (s *Scope) isWithin(outer *Scope) bool {
	for s != nil && s != outer {
		s = s.outer
	}
	return s != nil
}

// isOpen reports whether the request of s goes on.
func (s *Scope) isOpen() bool {
	root := s.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	return root.innermost != nil
}

// isOfAnother reports whether came is another request than that of s, as far as both
// are known.
func (s *Scope) isOfAnother(came *http.Request) bool {
	root := s.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	if came == nil || root.came == nil {
		return false
	}
	switch passedOn := sameHeader(root.came.Header, came.Header); {
	case came.RequestURI == "": // the app has made it
		return !passedOn
	case passedOn: // what is in between may have rewritten it
		return false
	default:
		return root.came.RequestURI != came.RequestURI
	}
}

// sameHeader reports whether two requests share their header: one that is passed on
// does, unless it is a Clone.
func sameHeader(one, other http.Header) bool {
	return one != nil && reflect.ValueOf(one).Pointer() == reflect.ValueOf(other).Pointer()
}

// joinAround finds the Scope around s, and joins the nearest that is of the same client
// and the same request, if there is one.
func (s *Scope) joinAround(came *http.Request) (joined bool) {
	nobodys := s.tracker.client == nil
	for outer := ScopeFrom(s.parent); outer != nil; outer = outer.around {
		if !outer.isOpen() {
			continue
		}
		if s.around == nil {
			s.around = outer
			s.state.apart = !nobodys && outer.isOfAnother(came)
		}
		if s.state.apart {
			return false
		}
		if (nobodys || outer.client() == s.tracker.client) && outer.join(s, came) {
			outer.learn(s.parent)
			return true
		}
		if outer.state.apart {
			return false // what is further out is of another request
		}
	}
	return false
}

// join makes inner, of the request that came, a part of s, unless that of s is over.
func (s *Scope) join(inner *Scope, came *http.Request) bool {
	root := s.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	if root.innermost == nil {
		return false
	}
	inner.outer, root.innermost = s, inner
	if root.came == nil {
		root.came = came
	}
	root.state.linkRequired = root.state.linkRequired || inner.tracker.requireMembership
	return true
}

// leave ends a scope that has joined another: what it alone can find is kept, and
// what the rules of its middleware say.
func (s *Scope) leave(x *Exchange, on *route, rule ruling) {
	found, held := s.resolve(), identityIn(x.Values, s.client().interner())
	fill(&held, s.stored())
	if turnsAway(x.Status) { // something in between may answer otherwise
		found.group, held.group = "", ""
	}
	root := s.root()
	root.mu.Lock()
	s.bequeath(found, held)
	root.state.add(x, on, rule)
	if root.innermost == s { // else the request is over, or an inner one still open
		root.innermost = s.outer
	}
	root.mu.Unlock()
	s.request.end()
}

// bequeath leaves what s knows, and what was left to it, to the next further out that is
// still open. The root's lock is held.
func (s *Scope) bequeath(found, held identity) {
	root := s.root()
	root.state.closed++
	s.state.closed++
	heir := s.outer
	for heir != root && heir.state.closed > 0 {
		heir = heir.outer
	}
	if within := s.state.legacy; within != nil {
		heir.state.inherit(within.found, within.held)
	}
	heir.state.inherit(found, held)
}

// add takes in what an inner middleware has seen, and what its rules say.
func (r *remarks) add(x *Exchange, on *route, rule ruling) {
	if r.route == nil || r.path != x.Path { // behind a prefix that was stripped, a route is not the whole one
		r.path = strings.Clone(x.Path)
		if r.route = on; on.text == "" {
			r.route = nil
		}
	}
	r.matched = r.matched || !on.manyFold || on.text != "" && rule.name != ""
	r.unmatched = r.unmatched || x.Unmatched && on.text == ""
	if r.event == "" && x.Status < http.StatusBadRequest && !x.unanswered() {
		r.event = rule.name
	}
	r.skip = r.skip || rule.skip
	r.respelled = r.respelled || respells(x) // which goes by the path as this one sees it
}

// left is what scopes knew that have ended within s.
func (s *Scope) left() closedScopes {
	root := s.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	if s.state.legacy == nil {
		return closedScopes{}
	}
	return *s.state.legacy
}

// of is the innermost Scope of c's, from s outward. What another client's knows is of
// another account, and not for c; one without a client is anybody's.
func (s *Scope) of(c *Client) *Scope {
	for ; s != nil; s = s.around {
		if owner := s.client(); owner == c || owner == nil {
			return s
		}
	}
	return nil
}

// enclosing is the client's own Scope of the request in which that of s was made, nil
// if s is of none such.
func (s *Scope) enclosing() *Scope {
	root := s.root()
	return root.around.of(root.tracker.client)
}

// inherit takes over what holds in a request that is made within that of outer.
func (s *Scope) inherit(outer *Scope) {
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
	s.state.met = theirs.met
}

// Outside is for adapters of a framework that has one context for all its handlers. What
// stands outside of the middleware goes on with ctx, that of the handlers, and finds s
// there. If another Scope is around s that s has not joined, such as that of another
// client's middleware, Outside returns ctx with that one in place of s, to be put back
// after [Tracker.Observe]; else nil.
func (s *Scope) Outside(ctx context.Context) context.Context {
	if s == nil || s.around == nil || s.around.root() == s.root() {
		return nil
	}
	return context.WithValue(orBackground(ctx), scopeKey{}, s.around)
}

// isSilentAround reports whether the app has said so to a Scope further out.
func (s *Scope) isSilentAround() bool {
	for outer := s.around; outer != nil; outer = outer.around {
		if outer.remarks().silent {
			return true
		}
	}
	return false
}

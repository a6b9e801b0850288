package klime

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Scope is whose request this is: what the app said of it, and how to find out
// the rest. It is itself the context of the request, over the one that was
// there before. All its methods are safe for concurrent use, and on nil.
//
// A Scope is never reused, so that a context made from it may outlive the
// request: events tracked with it later still belong to the right user.
type Scope struct {
	parent  context.Context
	tracker *Tracker
	around  *Scope // in whose open request this one was begun, of whichever client; nil for none
	outer   *Scope // that this one has joined; nil for the outermost, which holds the state

	came *http.Request // of the outermost, until it is over; nil if not known

	request   loan       // of the framework's request
	mu        sync.Mutex // guards all below, which is of use in the outermost scope only
	innermost *Scope     // of those that are still open, or of several such the last one
	state     state
}

// state is what is known of a request. There is one in each request, so it is small.
type state struct {
	knowledge
	remarks

	properties []property
	met        telemetry // the first that the app's calls have shown, or that the request came with
}

// remarks are the part of it that says what becomes of the request.
type remarks struct {
	event     string // its name, by the app
	route     *route // as the innermost middleware saw it that knows the path; nil if none knows one
	path      string // to which that belongs
	matched   bool   // an inner router has found a route, also if it goes by another path
	skip      bool
	silent    bool
	optedOut  bool // the client wants no tracking, and the middleware honors that
	metInside bool // state.met is of the app's calls
	apart     bool // it was made by the app within the request around it; set once
	respelled bool // an inner middleware saw the client sent to another form of the path
	unmatched bool // an inner middleware knows that the router has found nothing
}

// knowledge is the part of it that says whose request it is.
type knowledge struct {
	said         identity // by the app: SetUser, SetGroup, and the user of Link
	members      membership
	hasUser      bool          // said.user counts even if it is empty
	hasGrp       bool          // said.group counts even if it is empty
	linkRequired bool          // by the option RequireMembership
	closed       int32         // how many scopes of the request have ended; of a Scope that has joined, whether it has
	legacy       *closedScopes // of each Scope, also of one that has joined; nil while none has left anything
}

// closedScopes is what scopes knew that have joined another, and ended before it.
type closedScopes struct {
	found identity // by their resolvers
	held  identity // in their context values
}

// inherit adds to what closed scopes knew. Who reads it meanwhile has the old one.
func (k *knowledge) inherit(found, held identity) {
	legacy := new(closedScopes)
	if k.legacy != nil {
		*legacy = *k.legacy
	}
	fill(&legacy.found, found)
	fill(&legacy.held, held)
	k.legacy = legacy
}

// property is an encoded property.
type property struct {
	key   string
	value []byte
}

// maxProperties bounds how many properties the app adds to a request's event.
const maxProperties = 100

// maxPropertyBytes bounds the properties that the app adds to a request's
// event, so that one too many of them does not make the event too large.
const maxPropertyBytes = maxEventBytes - 16*1024

// setProperty sets a property, and reports whether there was room for it.
func (s *state) setProperty(key string, value []byte) bool {
	size, at := len(key)+len(value), len(s.properties)
	for i, p := range s.properties {
		if p.key == key {
			at = i
		} else {
			size += len(p.key) + len(p.value)
		}
	}
	switch {
	case size > maxPropertyBytes, at == maxProperties:
		return false
	case at < len(s.properties):
		s.properties[at].value = value
	default:
		s.properties = append(s.properties, property{key, value})
	}
	return true
}

// scopeKey finds the Scope in a context.
type scopeKey struct{}

// ScopeKey is the plain string key under which adapters whose context holds
// only string keys keep the Scope. It is of use to adapters alone.
const ScopeKey = "github.com/klimeapp/klime-go/scope"

// ScopeFrom returns the Scope of the request that ctx belongs to, nil if there
// is none.
func ScopeFrom(ctx context.Context) *Scope {
	if ctx == nil {
		return nil
	}
	if s, ok := ctx.Value(scopeKey{}).(*Scope); ok {
		return s
	}
	s, _ := ctx.Value(ScopeKey).(*Scope)
	return s
}

// scopeOf is [ScopeFrom] for what the app calls: the Scope learns from ctx.
func scopeOf(ctx context.Context) *Scope {
	s := ScopeFrom(ctx)
	s.learn(ctx)
	return s
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

// Deadline implements [context.Context].
func (s *Scope) Deadline() (time.Time, bool) { return s.context().Deadline() }

// Done implements [context.Context].
func (s *Scope) Done() <-chan struct{} { return s.context().Done() }

// Err implements [context.Context].
func (s *Scope) Err() error { return s.context().Err() }

// Value implements [context.Context].
func (s *Scope) Value(key any) any {
	if _, ok := key.(scopeKey); ok && s != nil {
		return s
	}
	return s.context().Value(key)
}

func (s *Scope) context() context.Context {
	if s == nil {
		return context.Background()
	}
	return s.parent
}

// Bind tells the Scope the framework's own request, which resolvers are asked
// with until [Tracker.Observe], and where that keeps the values of handlers, nil
// if nowhere else than in the Scope's parent. Both are used from any goroutine
// that tracks: values must be safe for concurrent use.
func (s *Scope) Bind(native any, values interface{ Value(key any) any }) {
	if s != nil {
		s.request.bind(native, values)
	}
}

// ReadHeader tells the Scope the headers of the request, before the handler: some
// options decide by them. Get is asked with names in their canonical form, as
// net/http has it, and is not kept.
func (s *Scope) ReadHeader(get func(name string) string) {
	if s == nil {
		return
	}
	if s.tracker.honorOptOut && (get("Sec-Gpc") == "1" || get("Dnt") == "1") {
		s.update(func(known *state) { known.optedOut = true })
	}
	if header := get("Traceparent"); header != "" {
		s.cameWith(header)
	}
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

// annotateSaid writes on ctx's span what the app has said.
func (s *Scope) annotateSaid(ctx context.Context) {
	if s != nil && s.root().tracker.annotateSpan {
		root := s.root()
		root.mu.Lock()
		id, _ := root.state.spoken()
		root.mu.Unlock()
		if !s.isSilent() {
			s.annotate(ctx, id)
		}
	}
}

// UserID returns whose event it would be now, "" if nobody is known.
func (s *Scope) UserID() string { return s.identify(s, nil).user }

// GroupID returns in which group an event would be now, "" if none is known.
func (s *Scope) GroupID() string { return s.identify(s, nil).group }

// root is the outermost scope of the request.
func (s *Scope) root() *Scope {
	for s.outer != nil {
		s = s.outer
	}
	return s
}

// update changes the request's state, if there is a request.
func (s *Scope) update(change func(*state)) {
	if s == nil {
		return
	}
	root := s.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	change(&root.state)
}

// remarks returns what is said of the request so far.
func (s *Scope) remarks() remarks {
	root := s.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	return root.state.remarks
}

// isSilent reports whether nothing is sent of the request, by the app's word, which
// holds for every client, or by what the middleware honors.
func (s *Scope) isSilent() bool {
	if s == nil {
		return false
	}
	known := s.remarks()
	return known.silent || known.optedOut || s.root().isSilentAround()
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

func (s *Scope) client() *Client {
	if s == nil {
		return nil
	}
	return s.root().tracker.client
}

// identify finds out whose event it is. The first that answers: what the app
// said, the resolvers from the innermost to the outermost, the plain values of
// ctx, those at the end of the request, if it has ended, those of the
// framework's requests, and the request within which it was made.
func (s *Scope) identify(ctx, end valuer) identity {
	if s == nil {
		return identity{}
	}
	root := s.root()
	known := &root.state.knowledge
	for {
		root.mu.Lock()
		said, complete := known.spoken()
		if complete {
			said = known.judge(said)
			root.mu.Unlock()
			return said
		}
		innermost, closed, hasUser := root.innermost, known.closed, known.hasUser
		root.mu.Unlock()

		if !innermost.isWithin(s) { // the request is over, or others go on beside s
			innermost = s
		}
		id := innermost.find(ctx, end, closed > 0)
		if enclosing := s.enclosing(); enclosing != nil && !id.complete() {
			if hasUser {
				id.user = said.user
			}
			fillAround(&id, hasUser, enclosing.identify(enclosing, nil))
		}

		root.mu.Lock()
		if known.closed != closed {
			// A scope has ended meanwhile and may have had no answer. What it knew
			// is kept by now.
			root.mu.Unlock()
			continue
		}
		if known.hasUser {
			id.user = known.said.user
		}
		if known.hasGrp {
			id.group, id.claim = known.said.group, false
		}
		id = known.judge(id.trusted(0))
		root.mu.Unlock()
		return id
	}
}

// find asks for what the app has not said by itself, from the innermost s on. Others
// may have ended within.
func (s *Scope) find(ctx, end valuer, ended bool) (id identity) {
	for open := s; open != nil && !id.complete(); open = open.outer {
		if ended {
			fill(&id, open.left().found)
		}
		fill(&id, open.resolve())
	}
	if id.complete() {
		return id
	}
	ids := s.client().interner()
	fill(&id, identityIn(ctx, ids))
	for open := s; ended && open != nil && !id.complete(); open = open.outer {
		fill(&id, open.left().held)
	}
	if !id.complete() && end != ctx {
		fill(&id, identityIn(end, ids))
	}
	for open := s; open != nil && !id.complete(); open = open.outer {
		fill(&id, open.stored())
	}
	return id
}

// fillAround fills in what id lacks with what is known of the request around. A group
// is not taken from another user, nor for nobody, if the app has said so.
func fillAround(id *identity, hasUser bool, around identity) {
	if around.user != "" && around.user != id.user && (hasUser || id.user != "") {
		around.group = ""
	}
	fill(id, around)
}

// isWithin reports whether s is outer, or has joined it, be it by others.
func (s *Scope) isWithin(outer *Scope) bool {
	for s != nil && s != outer {
		s = s.outer
	}
	return s != nil
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

// spoken is whose request it is by the app's own word, and whether that leaves
// nothing to ask for. A Link's group is that of its user, and of nobody else who is
// named later.
func (k *knowledge) spoken() (_ identity, complete bool) {
	id := k.said
	if !k.hasGrp && k.hasUser && id.user == k.members.user {
		id.group = k.members.active
	}
	return id, k.hasUser && (k.hasGrp || id.group != "")
}

// resolve asks this scope's resolvers with its own request.
func (s *Scope) resolve() identity {
	native, _, ok, overdrawn := s.request.borrow()
	if overdrawn {
		s.tracker.hints.circularResolver(s.client())
	}
	if !ok {
		return identity{}
	}
	defer s.request.giveBack()
	return s.tracker.resolve(native)
}

// stored reads the values of this scope's own request.
func (s *Scope) stored() identity {
	_, values, ok, _ := s.request.borrow()
	if !ok {
		return identity{}
	}
	defer s.request.giveBack()
	return identityIn(values, s.client().interner())
}

// keep is a copy of an ID that says something, or else "".
func (s *Scope) keep(id string) string {
	if s == nil || isBlank(id) {
		return ""
	}
	return s.client().interner().keep(id)
}

// SetUser says whose request this is, whatever else would answer. The empty ID
// says that it is nobody's.
func SetUser(ctx context.Context, id string) {
	scope := scopeOf(ctx)
	id = scope.keep(id)
	scope.update(func(s *state) { s.said.user, s.hasUser = id, true })
	scope.annotateSaid(ctx)
}

// SetGroup says which group this request is about: the active one of a user of
// several, or an organisation that calls without a user. The app vouches for
// it. The empty ID says that it is about none.
func SetGroup(ctx context.Context, id string) {
	scope := scopeOf(ctx)
	id = scope.keep(id)
	scope.update(func(s *state) { s.said.group, s.hasGrp = id, true })
	scope.annotateSaid(ctx)
}

// SetEvent names the event of this request, in place of "Page Viewed" or "API
// Called". The name holds for answers below 400. A blank one is none.
func SetEvent(ctx context.Context, name string) {
	if name = strings.Clone(name); isBlank(name) {
		name = ""
	}
	scopeOf(ctx).update(func(s *state) { s.event = name })
}

// SetProperty adds a property to the event of this request. It wins over a
// property of the same name that would be recorded by itself. A request can have
// 100 of them, of 184 KiB together; what is too much, or cannot be sent as JSON, is
// left out, counted and logged. Of what Config.SecretKeys names, the value is
// not sent.
func SetProperty(ctx context.Context, key string, v any) {
	scope := scopeOf(ctx)
	if scope == nil {
		return
	}
	value, err := appendValue(nil, scope.client().revealing(key, v), 0) // now: v may change, or be reused by the framework
	if err != nil {
		scope.client().complain(fmt.Errorf("%w: property %s: %w", ErrNotEncodable, quoted(key), err))
		return
	}
	fits := true
	scope.update(func(s *state) { fits = s.setProperty(strings.Clone(key), value) })
	if !fits {
		scope.client().complain(fmt.Errorf("%w: more than %d properties, or %d bytes of them: %s left out",
			ErrEventTooLarge, maxProperties, maxPropertyBytes, quoted(key)))
	}
}

// Skip drops the automatic event of this request. What the app tracks itself
// is sent.
func Skip(ctx context.Context) {
	ScopeFrom(ctx).update(func(s *state) { s.skip = true })
}

// Silence sends nothing at all from this request from now on, to no account: for
// staff who act as a customer.
func Silence(ctx context.Context) {
	for s := ScopeFrom(ctx); s != nil; s = s.around {
		s.update(func(known *state) { known.silent = true })
		if s.state.apart {
			break
		}
	}
}

// Track is [Client.Track] of the client whose middleware ctx has passed. What
// goes wrong is counted and logged; without a middleware it does nothing.
func Track(ctx context.Context, event string, p Properties, opts ...EventOption) {
	c := ScopeFrom(ctx).client()
	c.complain(c.Track(ctx, event, p, opts...))
}

// Link is [Client.Link] of the client whose middleware ctx has passed. What
// goes wrong is counted and logged; without a middleware it does nothing.
// See there for what it means and how often it may be called.
func Link(ctx context.Context, u User, groups ...Group) {
	scope := ScopeFrom(ctx)
	c := scope.client()
	c.complain(c.link(ctx, scope, scope.isSilent(), u, groups))
}

// LinkFunc is [Link] for middlewares: a User without ID and traits, without
// groups or with such ones alone, is nobody signed in, and a panic of find is no
// answer.
func LinkFunc(ctx context.Context, find func() (User, []Group)) {
	s := ScopeFrom(ctx)
	if s == nil {
		return
	}
	defer func() {
		if recover() != nil {
			s.tracker.hints.resolverPanicked(s.client())
		}
	}()
	u, groups := find()
	says := func(g Group) bool { return g.ID != "" || len(g.Traits) > 0 }
	if u.ID == "" && len(u.Traits) == 0 && !slices.ContainsFunc(groups, says) {
		return
	}
	Link(ctx, u, groups...)
}

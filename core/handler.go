package klime

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

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
	value, err := appendValue(nil, scope.client().redactProperty(key, v), 0) // now: v may change, or be reused by the framework
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

// keep is a copy of an ID that says something, or else "".
func (s *Scope) keep(id string) string {
	if s == nil || isBlank(id) {
		return ""
	}
	return s.client().interner().keep(id)
}

// scopeOf is [ScopeFrom] for what the app calls: the Scope learns from ctx.
func scopeOf(ctx context.Context) *Scope {
	s := ScopeFrom(ctx)
	s.learn(ctx)
	return s
}

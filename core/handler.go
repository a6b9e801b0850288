package klime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// SetUser says whose request this is. It takes precedence over all other sources. The
// empty ID says that the request is nobody's. If the app has already named another user,
// the group that it named for that one no longer counts.
func SetUser(ctx context.Context, id string) {
	scope := scopeWithSpan(ctx)
	id = scope.keep(id, ErrMissingUser)
	scope.update(func(r *request) { r.declareUser(id) })
	scope.annotateDeclared(ctx)
}

// SetGroup says which group this request is about: the active one, for a user of
// several, or an organisation that makes requests without a user. The app vouches for
// it: unlike the answer of a GroupID option, it counts whatever the status of the
// answer, and without a user too. The empty ID says that the request is about no group.
func SetGroup(ctx context.Context, id string) {
	scope := scopeWithSpan(ctx)
	id = scope.keep(id, ErrMissingGroup)
	scope.update(func(r *request) { r.declareGroup(id) })
	scope.annotateDeclared(ctx)
}

// SetEvent names the event of this request, in place of "Page Viewed" or "API
// Called". The name holds for answers below 400, and of gRPC for OK. Of several names the
// last one counts, but a blank one changes nothing.
func SetEvent(ctx context.Context, name string) {
	scope := scopeWithSpan(ctx)
	if !isBlank(name) {
		name = strings.Clone(name)
		scope.update(func(r *request) { r.event = name })
	}
}

// SetProperty adds a property to the event of this request. It replaces an automatic
// property of the same name. A request can have up to 100 of them, up to 152 KiB of JSON
// together. What goes beyond that, or cannot be encoded as JSON, is left out, counted
// and logged. The value of a key that Config.SecretKeys names is not sent.
func SetProperty(ctx context.Context, key string, v any) {
	scope := scopeWithSpan(ctx)
	if scope == nil || scope.isWork() {
		return
	}
	c := scope.client()
	var member []byte
	err := ErrEventTooLarge
	if len(key) <= maxPropertyBytes {
		const usual = 32 // bytes that most values take, with the quotes of the key: more would be moved as they grow
		member = append(appendString(make([]byte, 0, len(key)+usual), key), ':')
		member, err = appendValue(member, c.redactProperty(key, v), 0) // encoded now, as v may change later
	}
	if err == nil {
		scope.update(func(r *request) { err = r.setProperty(key, member) })
	}
	switch {
	case errors.Is(err, ErrEventTooLarge):
		err = fmt.Errorf("%w: more than %d properties, or %d bytes of them: %s left out",
			ErrEventTooLarge, maxProperties, maxPropertyBytes, quoted(key))
	case err != nil:
		err = fmt.Errorf("%w: property %s: %w", ErrNotEncodable, quoted(key), err)
	}
	c.noteInvalid(err, "")
}

// Skip drops the automatic event of this request. Events that the app tracks itself
// are still sent.
func Skip(ctx context.Context) {
	ScopeFrom(ctx).update(func(r *request) { r.skip = true })
}

// Silence stops everything that would be sent from this request from now on, for all
// clients. It is meant for staff who act as a customer. With a context that
// [Client.NewContext] has made, it stops what that work sends. With any other ctx that has
// passed no middleware it does nothing, and what a client's methods are given is sent.
func Silence(ctx context.Context) {
	for s := ScopeFrom(ctx); s != nil; s = s.around {
		s.update(func(r *request) { r.silent = true })
		if s.subrequest {
			break
		}
	}
}

// Track is [Client.Track] of the client whose middleware ctx has passed, or of which ctx is
// a [Client.NewContext]. Errors are counted and logged; for an event of nobody, as on a page
// that needs no sign-in, at most once an hour. With any other ctx it does nothing.
func Track(ctx context.Context, event string, p Properties, opts ...EventOption) {
	scope := ScopeFrom(ctx)
	c := scope.client()
	d := draft{Event: Event{Type: TrackEvent, Event: event, Properties: p}}
	c.noteInvalid(c.takeIn(ctx, scope, scope.Silenced(), &d, opts), event)
}

// Link is [Client.Link] of the client whose middleware ctx has passed. See there for
// what it means and how often it may be called. It also says whose request this is: to
// link somebody else, whom an admin invites, call [Client.Identify] and [Client.Group].
// Errors are counted and logged. Without a middleware, or a [Client.NewContext], it does
// nothing.
func Link(ctx context.Context, u User, groups ...Group) {
	scope := ScopeFrom(ctx)
	c := scope.client()
	c.noteInvalid(c.link(ctx, scope, scope.Silenced(), u, groups), "")
}

// LinkFunc is [Link] for middlewares. If find returns nothing (no ID, and no traits other
// than zero values, for the user and for every group), nobody is signed in and nothing is
// linked. The same holds if find panics, which is counted, and logged once.
func LinkFunc(ctx context.Context, find func() (User, []Group)) {
	s := ScopeFrom(ctx)
	if s == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			s.tracker.funcs.link.panicked(v)
		}
	}()
	u, groups := find()
	isSet := func(g Group) bool { return g.ID != "" || !g.Traits.areZero() }
	if u.ID == "" && u.Traits.areZero() && !slices.ContainsFunc(groups, isSet) {
		s.noteSpan(ctx) // as Link does
		return
	}
	Link(ctx, u, groups...)
}

// annotateDeclared writes on ctx's span what the app has declared.
func (s *Scope) annotateDeclared(ctx context.Context) {
	if s != nil && s.root.tracker.annotateSpan {
		r := s.request()
		r.mu.Lock()
		id, _ := r.declaredIdentity()
		if r.frozen && id.untrusted {
			r.checkMembership(&id)
		}
		r.mu.Unlock()
		if !s.Silenced() {
			s.annotate(ctx, id)
		}
	}
}

// keep returns a copy of an ID. If it is blank, it returns "", and also if it is no ID,
// which it logs.
func (s *Scope) keep(id string, missing error) string {
	switch {
	case s == nil || isBlank(id):
		return ""
	case !isUTF8(id):
		s.client().noteInvalid(noID(missing, id), "")
		return ""
	default:
		return s.client().interner().keep(id)
	}
}

// scopeWithSpan is [ScopeFrom] for functions that the app calls. The Scope takes note of
// the span in ctx.
func scopeWithSpan(ctx context.Context) *Scope {
	s := ScopeFrom(ctx)
	s.noteSpan(ctx)
	return s
}

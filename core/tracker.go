package klime

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// The names of automatic events that the app has not named.
const (
	pageViewed = "Page Viewed"
	apiCalled  = "API Called"
)

// Tracker records the requests of one middleware. An adapter calls Begin
// before the handler, hands the Scope on as the request's context, and calls
// Observe after the handler, also when it panics:
//
//	scope := tracker.Begin(r.Context())
//	scope.Bind(r, nil)
//	defer func() {
//		v := recover()
//		x := exchange(r)
//		x.Recovered(v)
//		tracker.Observe(scope, x)
//		if v != nil {
//			panic(v)
//		}
//	}()
//	next.ServeHTTP(w, r.WithContext(scope))
//
// A Tracker is safe for concurrent use.
type Tracker struct {
	client      *Client
	user, group func(native any) any
	route       func(native any, status int) any
	err         error

	requireMembership bool

	routes routeCache
	hints  hints
}

// NewTracker returns a Tracker. With a nil client it does nothing. An option
// that is wrong is logged and left out: see [Tracker.Err].
func NewTracker(c *Client, opts ...Option) *Tracker {
	t := &Tracker{client: c}
	var errs []error
	for _, o := range opts {
		if o.apply == nil {
			continue // the zero Option
		}
		if err := o.apply(t); err != nil {
			errs = append(errs, err)
		}
	}
	t.err = errors.Join(errs...)
	if t.err != nil && c != nil {
		c.cfg.Logger.Error("klime: a middleware option is wrong and left out", slog.Any("error", t.err))
	}
	return t
}

// Err returns what was wrong with the options, nil if nothing was. It matches
// [ErrInvalidOption].
func (t *Tracker) Err() error { return t.err }

// Begin returns the Scope of a request, over the request's context ctx. Where
// a middleware of the same client has begun one already, the new Scope joins
// it: there is still one event, and the identity found further in is preferred.
// So does the Scope of a middleware without a client.
func (t *Tracker) Begin(ctx context.Context) *Scope {
	if ctx == nil {
		ctx = context.Background()
	}
	s := &Scope{parent: ctx, tracker: t}
	if outer := ScopeFrom(ctx); outer != nil && (t.client == nil || outer.client() == t.client) && outer.join(s) {
		return s
	}
	s.innermost = s
	s.state.members.required = t.requireMembership
	return s
}

// join makes inner a part of s, unless the request of s is over.
func (s *Scope) join(inner *Scope) bool {
	root := s.root()
	root.mu.Lock()
	defer root.mu.Unlock()
	if root.innermost == nil {
		return false
	}
	inner.outer = root.innermost
	root.innermost = inner
	root.state.members.required = root.state.members.required || inner.tracker.requireMembership
	return true
}

// Observe ends a Scope and records its request, if there is something to
// record. The framework's request is not touched afterwards.
func (t *Tracker) Observe(s *Scope, x Exchange) {
	if s == nil {
		return
	}
	s.request.bindLate(x.Native)
	x.Route = t.routeOf(s, &x)
	if late := identityIn(x.Values); late.user != "" || late.group != "" {
		s.update(func(known *state) { known.held = known.held.or(late) })
	}
	if s.outer != nil {
		s.leave(x.Route)
		return
	}
	known, id := s.finish(x.Status)
	if known.silent || known.skip {
		return
	}
	if known.route != "" {
		x.Route = known.route // the innermost middleware is nearest to the handler
	}
	if x.Panicked && !x.Aborted {
		x.Status = http.StatusInternalServerError
	}
	if x.Status == http.StatusNoContent || x.Status == http.StatusNotModified {
		x.ResponseBytes = 0 // whatever the framework has put there is not sent
	}
	kind := classify(&x)
	if kind == KindStream && !x.Panicked {
		x.Aborted = false // that the client goes away is how a stream ends
	}
	name := eventName(kind, known.event, &x)
	if name == "" {
		return
	}
	if x.Route == "" {
		t.hints.noRoute(t.client)
	}
	if t.client != nil && t.client.cfg.Mode == UserMode {
		id.group = ""
	}
	if id.user == "" && id.group == "" {
		t.client.countAnonymous()
		t.hints.anonymous(t.client)
		return
	}
	t.hints.attributed()
	t.client.countVerdict(id.verdict)
	request := requestProperties{exchange: &x, kind: kind, duration: time.Since(x.Start), extra: known.properties}
	t.client.record(s, name, id, &request)
}

// routeOf is the route as the Route option or else the adapter tells.
func (t *Tracker) routeOf(s *Scope, x *Exchange) string {
	if asked := t.askRoute(s, x.Status); asked != "" {
		return t.routes.normalize(asked)
	}
	return t.routes.normalize(x.Route)
}

func (t *Tracker) askRoute(s *Scope, status int) string {
	if t.route == nil {
		return ""
	}
	native, _, ok, _ := s.request.borrow()
	if !ok {
		return ""
	}
	defer s.request.giveBack()
	return t.hear(ask(func(native any) any { return t.route(native, status) }, native))
}

// leave ends a scope that has joined another: what it alone can find is kept.
func (s *Scope) leave(route string) {
	found, held := s.resolve(), s.stored()
	root := s.root()
	root.mu.Lock()
	root.state.closed++
	root.state.found = root.state.found.or(found)
	root.state.held = root.state.held.or(held)
	if root.state.route == "" {
		root.state.route = route
	}
	if root.innermost == s { // else the request is over, or an inner one still open
		root.innermost = s.outer
	}
	root.mu.Unlock()
	s.request.end()
}

// finish ends the outermost scope and fixes whose request it was.
func (s *Scope) finish(status int) (state, identity) {
	id := s.identify(s).trusted(status)
	s.mu.Lock()
	known := s.state
	s.state.closed++
	s.state.said, s.state.hasUser, s.state.hasGrp = id, true, true
	s.state.properties = nil
	s.innermost = nil
	s.mu.Unlock()
	s.request.end()
	return known, id
}

// eventName is the name under which a request is recorded, "" for not at all.
func eventName(kind Kind, named string, x *Exchange) string {
	switch {
	case named != "" && x.Status < http.StatusBadRequest && !x.Panicked:
		return named
	case kind == KindPage:
		return pageViewed
	case kind == KindAPI, kind == KindStream:
		return apiCalled
	default:
		return ""
	}
}

// resolve asks the tracker's resolvers.
func (t *Tracker) resolve(native any) identity {
	return identity{user: t.hear(ask(t.user, native)), group: t.hear(ask(t.group, native)), claim: true}
}

// hear takes an answer, and tells the log what is wrong with it.
func (t *Tracker) hear(a answer) string {
	if a.panicked {
		t.hints.resolverPanicked(t.client)
	}
	if a.foreign {
		t.hints.foreignOption(t.client)
	}
	if a.noID != "" {
		t.hints.noID(t.client, a.noID)
	}
	return a.id
}

// record sends an automatic event.
func (c *Client) record(s *Scope, name string, id identity, request *requestProperties) {
	if c == nil {
		return
	}
	d := draft{request: request}
	d.Type, d.Event.Event, d.UserID, d.GroupID = TrackEvent, name, id.user, id.group
	d.Timestamp = request.exchange.Start
	c.complain(c.send(s, &d, 0))
}

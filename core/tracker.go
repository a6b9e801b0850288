package klime

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"time"
)

// The names of automatic events that the app has not named.
const (
	pageViewed = "Page Viewed"
	apiCalled  = "API Called"
)

// Tracker records the requests of one middleware. An adapter calls Begin or BeginIn
// before the handler, hands the Scope on as the request's context, and calls
// Observe after the handler, also when it panics:
//
//	if tracker.Ignores(r.Method, r.URL.Path, r.Header.Get) {
//		next.ServeHTTP(w, r)
//		return
//	}
//	scope := tracker.BeginIn(new(klime.Scope), r.Context(), r)
//	scope.Bind(r, nil)
//	scope.ReadHeader(r.Header.Get)
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
	user, group resolver
	route       resolver
	err         error

	requireMembership bool
	honorOptOut       bool
	pageName, apiName string
	rules             rules
	capture           []Captured
	sampler           sampler
	baggage           []string // the keys that are sent
	annotateSpan      bool
	rollUpWindow      time.Duration // 0 for none
	rollUp            *rollUp
	classifyWith      func(Exchange, Kind) Kind

	routes *routeTable
	hints  hints
}

// NewTracker returns a Tracker. With a nil client it does nothing. An option
// that is wrong is logged and left out: see [Tracker.Err].
func NewTracker(c *Client, opts ...Option) *Tracker {
	t := &Tracker{client: c, pageName: pageViewed, apiName: apiCalled, routes: newRouteTable()}
	t.rules.health, _ = parsePatterns(defaultHealthRoutes())
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
	if t.rollUpWindow > 0 {
		t.rollUp = c.rollUp(t.rollUpWindow)
	}
	if c != nil {
		c.rules.watch(&t.rules)
	}
	if t.err != nil && c != nil {
		c.cfg.Logger.Error("klime: a middleware option is wrong and left out", slog.Any("error", t.err))
	}
	return t
}

// Err returns what was wrong with the options, nil if nothing was. It matches
// [ErrInvalidOption].
func (t *Tracker) Err() error { return t.err }

// Ignores reports whether a request is known to be nobody's before anything is done
// for it, so that an adapter passes it on as it came, at no cost: what [IgnoreRoutes]
// names, a preflight of CORS, what opens a connection of HTTP/2 in front of a handler
// that takes it over (h2c), and a health check ([HealthRoutes]) by a client that is
// known to do that, unless [NameRoutes] has a name for it. Header tells the request's
// headers, as in [Scope.ReadHeader]; it is not kept.
func (t *Tracker) Ignores(method, path string, header func(name string) string) bool {
	why := t.rules.ignores(method, path, header)
	if why != "" && t.client != nil {
		t.client.explains.ignored(why)
	}
	return why != ""
}

// Begin returns the Scope of a request, over the request's context ctx. Where
// a middleware of the same client has begun one already, the new Scope joins
// it: there is still one event, and the identity found further in is preferred.
// So does the Scope of a middleware without a client. That of another client is
// a Scope of its own: each client records the request, with what its own
// middlewares know, and handlers speak to the innermost, or by a client's methods to
// that client's. What the app requests of itself is told apart by BeginIn alone.
func (t *Tracker) Begin(ctx context.Context) *Scope {
	return t.BeginIn(new(Scope), ctx, nil)
}

// BeginIn is Begin with a zero Scope in memory of the adapter's own, such as a part
// of what it allocates for each request anyway. It must be new for each, too.
//
// Came is the request as it came, of a framework that is built on net/http, or nil. It
// tells apart what the app requests of itself with the context of another request, as
// an endpoint for batches does: its RequestURI is another, or empty, and it does not
// share its header. That is a request of its own, with an event of its own; where its
// user or group is not known, it is that of the other.
func (t *Tracker) BeginIn(s *Scope, ctx context.Context, came *http.Request) *Scope { //nolint:revive // s is where the result goes
	ctx = orBackground(ctx)
	s.parent, s.tracker = ctx, t
	for outer := ScopeFrom(ctx); outer != nil; outer = outer.around {
		if !outer.isOpen() {
			continue
		}
		if s.around == nil {
			s.around = outer
			s.state.apart = t.client != nil && outer.isOfAnother(came)
		}
		if s.state.apart {
			break
		}
		if (t.client == nil || outer.client() == t.client) && outer.join(s, came) {
			outer.learn(ctx)
			return s
		}
		if outer.state.apart {
			break
		}
	}
	s.innermost = s
	s.came = came
	s.state.linkRequired = t.requireMembership
	s.inherit(s.enclosing())
	return s
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

// Observe ends a Scope and records its request, if there is something to
// record. The framework's request is not touched afterwards.
func (t *Tracker) Observe(s *Scope, x Exchange) {
	if s == nil {
		return
	}
	s.request.bind(x.Native, nil) // of an adapter that has not called Bind
	on := t.routeOf(s, &x)
	if s.outer != nil {
		x.Route = on.text
		s.leave(&x, on, t.rules.of(knownMethod(x.Method), on, x.Path))
		return
	}
	known := s.remarks()
	if known.route != nil && known.path == x.Path {
		on = t.routes.of(known.route.text) // the innermost middleware is nearest to the handler
	}
	x.Route = on.text
	x.Unmatched = x.Unmatched || known.unmatched
	x.settle()
	rule := t.rules.of(x.Method, on, x.Path)
	rule.matched = known.matched
	known.respelled = known.respelled || respells(&x)
	known.silent = known.silent || known.optedOut || s.isSilentAround()
	var o outcome
	if skipped := known.skip || known.silent || known.respelled || rule.skip; !skipped {
		if known.event != "" {
			rule.name = known.event
		}
		o.kind = t.classify(&x, rule)
		o.name, o.named = t.eventName(o.kind, rule.name, &x)
	}
	// Who it was is found out also for what the app may track later: what a request
	// that is no event has started belongs to the same user.
	nowhere := x.Route == "" && isUnmatched(&x, rule)
	o.id, o.said, o.extra = s.finish(&x, o.name != "" || !known.silent && !nowhere)
	if !known.silent {
		s.annotate(s.parent, o.id)
	}
	if t.client == nil {
		return
	}
	var f fate
	if o.name != "" {
		f = t.record(s, &x, on, &o)
	} else if t.client.explains != nil {
		f = unrecorded(&x, &known, rule, o.kind)
	}
	if t.client.explains != nil {
		t.client.explains.request(&x, &o, f)
	}
}

// settle makes x what the client has seen.
func (x *Exchange) settle() {
	x.Method = knownMethod(x.Method)
	x.upgraded = x.speaksAnotherProtocol()
	switch {
	case x.Panicked && x.Aborted:
		x.Status = 0 // there is no whole answer
	case x.Panicked:
		x.Status = http.StatusInternalServerError
	}
	headOnly := x.Status == http.StatusNoContent || x.Status == http.StatusNotModified
	if headOnly || x.Method == http.MethodHead {
		x.ResponseBytes = 0 // whatever the framework has put there is not sent
	}
	if headOnly && !x.Panicked {
		x.Aborted = false // who goes away then has had the whole answer
	}
}

// classify tells the kind of a request, as the app sees it.
func (t *Tracker) classify(x *Exchange, rule ruling) Kind {
	kind := classify(x, rule)
	if t.classifyWith != nil {
		kind = t.askKind(x, kind)
	}
	if kind == KindStream && !x.Panicked {
		x.Aborted = false // that the client goes away is how a stream ends
	}
	return kind
}

func (t *Tracker) askKind(x *Exchange, kind Kind) (asked Kind) {
	defer func() {
		if recover() != nil {
			t.hints.resolverPanicked(t.client)
			asked = kind
		}
	}()
	return t.classifyWith(*x, kind)
}

// eventName is the name under which a request is recorded, "" for not at all.
func (t *Tracker) eventName(kind Kind, given string, x *Exchange) (name string, named bool) {
	switch {
	case given != "" && x.Status < http.StatusBadRequest && !x.unanswered() && !isNoiseMethod(x.Method):
		return given, true
	case kind == KindPage:
		return t.pageName, false
	case kind == KindAPI, kind == KindStream:
		return t.apiName, false
	default:
		return "", false
	}
}

// outcome is what a request is recorded as.
type outcome struct {
	name  string // of its event
	named bool   // by the app, for this request or route
	kind  Kind
	id    identity
	said  identity // by the app: for who explains it
	extra []property
}

// record sends or counts a request that is worth an event.
func (t *Tracker) record(s *Scope, x *Exchange, on *route, o *outcome) fate {
	id := o.id
	if t.client.cfg.Mode == UserMode {
		id.group = ""
	}
	if id.user == "" && id.group == "" {
		t.client.countAnonymous()
		t.hints.anonymous(t.client)
		return nobody
	}
	t.hints.attributed()
	if x.Route == "" && x.Status < http.StatusBadRequest { // a middleware that refuses needs no route
		t.hints.noRoute(t.client)
	}
	t.client.countVerdict(id.verdict)
	if id.verdict == notLinked {
		t.hints.withoutLink(t.client)
	}
	now, took := x.ended()
	unnamed := !o.named && o.kind == KindAPI
	if unnamed && t.rollUp != nil && t.rollUp.add(now, id, x, took) {
		return counted
	}
	request := requestProperties{exchange: x, route: on, kind: o.kind, duration: took, extra: o.extra}
	if len(t.capture) > 0 {
		request.captured = t.captureFrom(x)
	}
	d := draft{automatic: true, queued: now, telemetry: s.telemetry(), baggage: t.baggage}
	d.Type, d.Event.Event, d.UserID, d.GroupID, d.Timestamp = TrackEvent, o.name, id.user, id.group, x.Start
	if t.sampler.on && unnamed {
		d.MessageID = newUUID()
		if !t.sampler.takes(ownTrace(d.telemetry.span, x), d.MessageID) {
			return sampled
		}
		request.sampleRate = t.sampler.rate
	}
	err := t.client.sendRequest(s, &d, &request, 0)
	t.client.complain(err)
	return fateOf(&d, err)
}

// ended is when a request has ended, which is now, and how long it took.
func (x *Exchange) ended() (now time.Time, took time.Duration) {
	if x.Start.IsZero() {
		return time.Now(), 0
	}
	took = time.Since(x.Start)
	return x.Start.Add(took), took
}

// routeOf is the route as the Route option or else the adapter tells.
func (t *Tracker) routeOf(s *Scope, x *Exchange) *route {
	if t.route != nil {
		if on := t.routes.of(t.askRoute(s)); on.text != "" {
			return on
		}
	}
	return t.routes.of(x.Route)
}

func (t *Tracker) askRoute(s *Scope) string {
	native, _, ok, _ := s.request.borrow()
	if !ok {
		return ""
	}
	defer s.request.giveBack()
	return t.hear(ask(t.route, native))
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
	if root.state.route == nil || root.state.path != x.Path { // behind a prefix that was stripped, a route is not the whole one
		root.state.path = strings.Clone(x.Path)
		if root.state.route = on; on.text == "" {
			root.state.route = nil
		}
	}
	root.state.matched = root.state.matched || !on.manyFold || on.text != "" && rule.name != ""
	root.state.unmatched = root.state.unmatched || x.Unmatched && on.text == ""
	if root.state.event == "" && x.Status < http.StatusBadRequest && !x.unanswered() {
		root.state.event = rule.name
	}
	root.state.skip = root.state.skip || rule.skip
	root.state.respelled = root.state.respelled || respells(x) // which goes by the path as this one sees it
	if root.innermost == s {                                   // else the request is over, or an inner one still open
		root.innermost = s.outer
	}
	root.mu.Unlock()
	s.request.end()
}

// finish ends the outermost scope and fixes whose request it was. If it is not
// wanted, nobody is asked. It also returns what the app has said of it, and what the
// app has added to the event.
func (s *Scope) finish(x *Exchange, wanted bool) (id, said identity, extra []property) {
	if wanted {
		id = s.identify(s, x.Values).trusted(x.Status)
	}
	s.mu.Lock()
	s.state.closed++
	said, _ = s.state.spoken()
	if wanted {
		s.state.said, s.state.hasUser, s.state.hasGrp = id, true, true
	}
	extra = s.state.properties
	s.state.properties = nil
	s.innermost, s.came = nil, nil
	s.mu.Unlock()
	s.request.end()
	return id, said, extra
}

// resolve asks the tracker's resolvers.
func (t *Tracker) resolve(native any) identity {
	ids := t.client.interner()
	return identity{user: ids.keep(t.hear(ask(t.user, native))), group: ids.keep(t.hear(ask(t.group, native))), claim: true}
}

// hear takes an answer, and tells the log what is wrong with it.
func (t *Tracker) hear(a answer) string {
	switch a.trouble {
	case panicked:
		t.hints.resolverPanicked(t.client)
	case foreign:
		t.hints.foreignOption(t.client)
	case wrongType:
		t.hints.noID(t.client, a.id)
	case noTrouble:
		return a.id
	}
	return ""
}

package klime

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/klimeapp/klime-go/internal/uuid"
)

// The names of automatic events to which the app gives no other name.
const (
	pageViewed = "Page Viewed"
	apiCalled  = "API Called"
)

// Tracker records the requests that pass one middleware. An adapter calls Begin or
// BeginIn before the handler, passes the Scope on as the request's context, and calls
// Observe after the handler, even if that panics:
//
//	if tracker.Ignores(r.Method, r.URL.Path, r.Header.Get) {
//		if ctx := tracker.WithoutEnclosing(r.Context(), r); ctx != nil {
//			r = r.WithContext(ctx)
//		}
//		next.ServeHTTP(w, r)
//		return
//	}
//	scope := tracker.BeginIn(r.Context(), new(klime.Scope), r)
//	scope.Bind(r, nil)
//	scope.ReadHeader(r.Header.Get)
//	defer func() {
//		v := recover()
//		x := exchange(r, w) // w has seen the answer
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
	sampleRate        float64  // of API calls: 0 for none to 1 for all
	baggage           []string // the keys of the members to send
	annotateSpan      bool
	rollUpWindow      time.Duration // 0 for none
	rollUp            *rollUp
	classifyWith      func(Exchange, Kind) Kind

	routes     *routeTable
	setupHints setupHints
	funcs      struct{ user, group, route, kind, link appFunc } // whose panics are counted and logged
}

// NewTracker returns a Tracker. With a nil client it records nothing. An invalid option
// is logged and left out: see [Tracker.Err].
func NewTracker(c *Client, opts ...Option) *Tracker {
	t := &Tracker{client: c, pageName: pageViewed, apiName: apiCalled, sampleRate: 1, routes: newRouteTable()}
	t.rules.health, _ = parseRules("HealthRoutes", defaultHealthRoutes())
	t.funcs.user = appFunc{client: c, name: "UserID"}
	t.funcs.group = appFunc{client: c, name: "GroupID"}
	t.funcs.route = appFunc{client: c, name: "Route"}
	t.funcs.kind = appFunc{client: c, name: "ClassifyWith"}
	t.funcs.link = appFunc{client: c, name: "Link"}
	var errs []error
	for _, o := range opts {
		if o.apply == nil {
			continue // the zero Option
		}
		errs = append(errs, o.apply(t))
	}
	t.err = errors.Join(errs...)
	if c == nil {
		return t
	}
	c.rules.watch(&t.rules)
	if c.inUserMode() {
		t.group = nil // no event has one
	}
	if t.group != nil {
		note(&c.seen.groupOption)
	}
	t.requireMembership = t.requireMembership && !c.inUserMode() // whose events have no group
	if t.rollUpWindow > 0 {
		t.rollUp = c.rollUp(t.rollUpWindow)
	}
	if t.err != nil {
		for line := range strings.Lines(t.err.Error()) { // one for each mistake
			c.cfg.Logger.Error("klime: a middleware option is wrong and left out", slog.String("error", strings.TrimSpace(line)))
		}
	}
	return t
}

// Err returns what was wrong with the options, nil if nothing was. It matches
// [ErrInvalidOption].
func (t *Tracker) Err() error { return t.err }

// Ignores reports whether a request is of no interest, before any work is done for it.
// The adapter then passes it on untouched, at no cost, but for [Tracker.WithoutEnclosing].
// Ignored are:
//
//   - what [IgnoreRoutes] names
//   - a CORS preflight
//   - the request that opens an HTTP/2 connection for a handler that takes it over (h2c)
//   - a health check ([HealthRoutes]) by a caller known to make them, unless
//     [NameRoutes] names it
//
// header returns a header of the request, as in [Scope.ReadHeader]; it is not kept.
func (t *Tracker) Ignores(method, path string, header func(name string) string) bool {
	why := t.rules.ignores(method, path, header)
	if why == "" {
		return false
	}
	note(&t.rules.passed)
	note(&t.rules.routed)
	if t.client != nil {
		t.client.explains.ignored(why)
	}
	return true
}

// Begin returns a new Scope for a request with the context ctx.
//
// If a middleware of the same client has already begun a Scope for this request, the
// new one joins it: there is still one event, and the identity found further in is
// preferred. A Scope without a client joins any other.
//
// A Scope of another client is separate: each client records the request, with what its
// own middlewares know. Functions such as [Track] then use the innermost Scope, and a
// client's methods use that client's.
//
// Only BeginIn can recognise a request that the app makes to itself.
func (t *Tracker) Begin(ctx context.Context) *Scope {
	return t.BeginIn(ctx, new(Scope), nil)
}

// BeginIn is Begin with a zero Scope that the adapter has allocated, for example as a
// field of what it allocates for each request anyway. If it was used for a request
// before, what that request has started may still use it: BeginIn returns a new one then.
//
// incoming is the request as the middleware received it, or nil if the framework is not
// built on net/http. It serves to recognise a request that the app makes to itself with
// the context of another one, as an endpoint for batches does: its RequestURI is
// different or empty, and its header is another map. Such a request has an event of its
// own. If its user or group is not known, it has those of the other request.
func (t *Tracker) BeginIn(ctx context.Context, s *Scope, incoming *http.Request) *Scope {
	if s.tracker != nil {
		s = new(Scope)
	}
	if !t.rules.passed.Load() {
		t.rules.passed.Store(true)
		if t.client != nil {
			t.client.eventHints.noteServed()
		}
	}
	s.parent, s.tracker = orBackground(ctx), t
	if s.joinAround(incoming) {
		return s
	}
	s.root = s
	s.own.innermost, s.own.incoming = s, incoming
	s.noteOptions(t)
	s.own.hasGroup = t.client.inUserMode() // once the app has named the user, nobody is asked
	s.inheritFrom(s.enclosing())
	return s
}

// Observe ends a Scope and records its request, if it is worth recording. The
// framework's request is not used after Observe has returned.
func (t *Tracker) Observe(s *Scope, x Exchange) {
	if s == nil {
		return
	}
	s.loan.bind(x.Native, nil) // for adapters that have not called Bind
	if s.loan.isReused() {
		s.update(func(r *request) { r.reused = true })
	}
	x.settle(s)
	if x.AnsweredOutside && !x.Aborted {
		t.setupHints.answeredOutside(t.client)
	}
	rt := t.routeOf(s, &x)
	if s != s.root {
		x.Route = rt.text
		rule := t.rules.rulingFor(knownMethod(x.Method), rt, x.Path)
		t.noteEnded(&x, rule)
		s.leave(&x, rt, rule)
		return
	}
	t.observeRoot(s, &x, rt)
}

// observeRoot ends the outermost scope of a request, and records the request.
func (t *Tracker) observeRoot(s *Scope, x *Exchange, rt *route) {
	remarks := s.remarks()
	if inner := remarks.route; inner != nil && remarks.path == x.Path && !rt.isWithin(inner) {
		rt = t.routes.lookup(inner.text) // the innermost middleware is nearest to the handler
	}
	x.Route = rt.text
	x.Unmatched, x.matched = x.Unmatched || remarks.unmatched, remarks.matched
	x.normalize()
	rule := t.rules.rulingFor(x.Method, rt, x.Path)
	remarks.canonicalRedirect = remarks.canonicalRedirect || isCanonicalRedirect(x)
	remarks.silent = remarks.silent || remarks.optedOut || s.nested && s.Silenced() // usually there is nothing to ask
	var dec decision
	t.decide(&dec, x, &remarks, rule)

	// Find out whose request it was even if there is no event: what the request has
	// started may track events later, and they belong to the same user.
	unrouted := t.noteEnded(x, rule)
	s.finish(&dec, x, dec.name != "" || !remarks.silent && !unrouted)
	if !remarks.silent {
		s.annotate(s.parent, dec.id)
	}
	if t.client == nil {
		return
	}
	o := dec.why
	if dec.name != "" {
		o = t.record(s, x, rt, &dec)
	}
	t.client.explains.request(x, &dec, o)
}

// noteEnded notes whether a request that has ended was for a route. It comes after the
// ruling, which marks patterns as used.
func (t *Tracker) noteEnded(x *Exchange, rule ruling) (unrouted bool) {
	unrouted = x.Route == "" && isUnmatched(x, rule)
	if unrouted {
		note(&t.rules.unmatched)
	} else {
		note(&t.rules.routed)
	}
	return unrouted
}

// record sends an event for a request, or counts it for a roll-up.
func (t *Tracker) record(s *Scope, x *Exchange, rt *route, dec *decision) outcome {
	id := dec.id
	if t.client.inUserMode() {
		id.group = ""
	}
	if id.user == "" && id.group == "" {
		t.client.anonymous.Add(1)
		if !dec.webhook {
			t.client.seen.ofNobody.Add(1)
			t.setupHints.anonymous(t.client)
		}
		return outcomeNobody
	}
	t.noteAttributed(x, id.checked)
	now := time.Now() // later than Start and took, if functions of the app took long
	unnamed := !dec.named && dec.kind == KindAPI
	if unnamed && t.rollUp != nil {
		switch err := t.rollUp.add(now, id, x); {
		case err == nil:
			return outcomeCounted
		case errors.Is(err, ErrEventTooLarge):
			t.client.noteInvalid(err, dec.name)
			return outcomeOf(&draft{}, err)
		}
	}
	var request requestProperties // field by field: a literal of this size is made elsewhere and copied
	request.exchange, request.route, request.kind, request.extra = x, rt, dec.kind, dec.extra
	if len(t.capture) > 0 {
		request.captured = t.captureFrom(x)
	}
	var d draft
	d.automatic, d.queued, d.telemetry, d.baggage = true, now, dec.fallback, t.baggage
	d.Type, d.Event.Event, d.UserID, d.GroupID, d.Timestamp = TrackEvent, dec.name, id.user, id.group, x.Start
	s.completeTelemetry(&d.telemetry)
	if t.sampleRate < 1 && unnamed && t.rollUp == nil {
		d.MessageID = uuid.New()
		if !inSample(t.sampleRate, ownTrace(&d.telemetry.span, x), d.MessageID) {
			return outcomeSampled
		}
		request.sampleRate = t.sampleRate
	}
	err := t.client.send(s, &d, &request)
	t.client.noteInvalid(err, dec.name)
	return outcomeOf(&d, err)
}

// noteAttributed counts a request with a known user or group, and hints at what is most
// likely wrong with the middleware's setup.
func (t *Tracker) noteAttributed(x *Exchange, checked membershipCheck) {
	t.setupHints.attributed()
	if x.Route == "" && x.Status < http.StatusBadRequest { // a request that was refused may not have reached the router
		t.setupHints.noRoute(t.client)
	}
	t.client.countLeftOut(checked)
	if checked == notLinked {
		t.setupHints.withoutLink(t.client)
	}
}

// routeOf returns the request's route, from the Route option or else from the adapter. A
// route for everything that answers for the home page stands for that.
func (t *Tracker) routeOf(s *Scope, x *Exchange) *route {
	var rt *route
	if t.route != nil {
		rt = t.routes.lookup(t.askRoute(s))
	}
	if rt == nil || rt.text == "" {
		rt = t.routes.lookup(x.Route)
	}
	if rt.text == "/*" && x.Path == "/" && !x.isNotFound() {
		rt = t.routes.lookup("/")
	}
	return rt
}

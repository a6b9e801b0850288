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
	s.parent, s.tracker = orBackground(ctx), t
	if s.joinAround(came) {
		return s
	}
	s.innermost, s.came = s, came
	s.state.linkRequired = t.requireMembership
	s.inherit(s.enclosing())
	return s
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
	o := t.decide(&x, &known, rule)
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

// outcome is what a request is recorded as.
type outcome struct {
	name  string // of its event
	named bool   // by the app, for this request or route
	kind  Kind
	id    identity
	said  identity // by the app: for who explains it
	extra []property
}

// decide is what a request is recorded as, but for whose it is.
func (t *Tracker) decide(x *Exchange, known *remarks, rule ruling) (o outcome) {
	if known.skip || known.silent || known.respelled || rule.skip {
		return o
	}
	if known.event != "" {
		rule.name = known.event
	}
	o.kind = t.classify(x, rule)
	o.name, o.named = t.eventName(o.kind, rule.name, x)
	return o
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
	own := *x // x itself is not kept: it would cost an allocation also where nobody is asked
	shown := own
	shown.Header = func(name string) string { return own.header(http.CanonicalHeaderKey(name)) }
	return t.classifyWith(shown, kind)
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

// routeOf is the route as the Route option or else the adapter tells.
func (t *Tracker) routeOf(s *Scope, x *Exchange) *route {
	if t.route != nil {
		if on := t.routes.of(t.askRoute(s)); on.text != "" {
			return on
		}
	}
	return t.routes.of(x.Route)
}

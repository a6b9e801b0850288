package klime

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Option tunes a middleware. The options of this package work with every framework. The
// zero Option changes nothing. A wrong one is logged and left out. A test can check them
// all, without a client: NewTracker(nil, options...).Err().
type Option struct {
	apply func(*Tracker) error
}

// option returns the Option that sets a resolver of the Tracker.
func (find resolver) option(name string, target func(*Tracker) *resolver) Option {
	return Option{func(t *Tracker) error {
		if find == nil {
			return fmt.Errorf("%w: %s without a function", ErrInvalidOption, name)
		}
		*target(t) = find
		return nil
	}}
}

// ResolveUser says how to find a request's user, given the framework's own request. An
// adapter's UserID option is built on it.
//
// The resolver is called after the handler, and before that for each event that is
// tracked, so let it read what a middleware has found. Where that takes a look-up, call
// [SetUser] once in a middleware instead: when the client has gone away, a look-up with the
// request's context fails. The resolver may be called from several goroutines at once. It
// returns a string, an integer, an encoding.TextMarshaler or a fmt.Stringer. If it returns a
// zero value or panics, nobody is known.
//
// A resolver must not track events, nor ask the Scope for the user or group. It must
// return before the request ends: [Tracker.Observe] waits for it. Up to 10,000 goroutines
// of a request may run it at once; beyond that, nobody is known.
func ResolveUser(resolve func(native any) any) Option {
	return UserFrom(resolve)
}

// UserFrom is [ResolveUser] with a function that takes the framework's request type N,
// for an adapter's UserID option. A string or integer costs no allocation. In another
// framework's middleware it finds nothing, and the log says why.
func UserFrom[N, T any](find func(N) T) Option {
	return resolverOf(find).option("UserID (ResolveUser, UserFrom)", func(t *Tracker) *resolver { return &t.user })
}

// ResolveGroup says how to find a request's group, like [ResolveUser]. The answer is
// only a claim: it counts if the user is known, and the app does not answer 401, 403 or
// 404, or what gRPC has for these. Where the app vouches for a group, use [SetGroup].
func ResolveGroup(resolve func(native any) any) Option {
	return GroupFrom(resolve)
}

// GroupFrom is to [ResolveGroup] what [UserFrom] is to ResolveUser.
func GroupFrom[N, T any](find func(N) T) Option {
	return resolverOf(find).option("GroupID (ResolveGroup, GroupFrom)", func(t *Tracker) *resolver { return &t.group })
}

// RequireMembership gives an event the request's group only if the user was linked to
// that group in the same request, by [Link] or an adapter's Link. It is for apps whose
// active group could be forged by the caller, for example in a header. It needs a Link
// in front of every request.
//
// Otherwise the event belongs to the user alone, and Stats counts it as NotLinked or
// NotMember. Groups given by [InGroup] and [ForGroup] are not checked: the app vouches
// for them. In user mode there is nothing to check.
func RequireMembership() Option {
	return Option{func(t *Tracker) error {
		t.requireMembership = true
		return nil
	}}
}

// RouteFrom says how to find the pattern that a request has matched, given the
// framework's own request. It is for routers whose patterns the adapter does not know, or
// knows less exactly. The function is called after the handler; "" leaves the route to
// the adapter.
func RouteFrom[N any](find func(native N) string) Option {
	var route resolver
	if find != nil {
		route = func(native any) answer {
			request, ok := native.(N)
			if !ok {
				return answer{problem: problemForeign}
			}
			return answer{id: find(request)} // which need not be UTF-8, as an ID must
		}
	}
	return route.option("Route (RouteFrom, Mux)", func(t *Tracker) *resolver { return &t.route })
}

// SkipRoutes drops the automatic events of requests that match one of the patterns, such
// as "/healthz" or "GET /internal/*".
//
// A pattern is a path in any router's dialect, optionally after a method and a space.
// {name} and :name stand for one segment; /* at the end stands for all that follows, even
// nothing. Patterns are compared with the request's route, or if that is not known or
// ends in /*, with its path. A slash at the end of a pattern makes no difference, except
// that "/internal/" also matches net/http's route of that name, which ends in /*, unless
// that has a name of its own. It does not match the routes within it: "/internal/*" does.
// Tracker.Err reports malformed patterns, and the log at Shutdown names patterns that no
// request has matched.
func SkipRoutes(patterns ...string) Option {
	return Option{func(t *Tracker) error {
		parsed, err := parseRules("SkipRoutes", patterns)
		t.rules.skipped = distinct(append(t.rules.skipped, parsed...))
		return err
	}}
}

// IgnoreRoutes passes requests that match one of the patterns on, at no cost, as if the
// middleware were not there. In their handlers, [Track], [Link] and the like do nothing:
// if handlers call these, use [SkipRoutes] instead. If a request passes several
// middlewares, each must be given IgnoreRoutes: one without it records the request.
//
// Patterns are written as for SkipRoutes, but compared with the request's path only:
// "/static/*" stands for a whole folder, "/static/" for its index alone. Paths are compared
// percent-decoded. A pattern may contain a %, but no space, ? or #: write a parameter
// instead, "/my{any}report" for "/my report". Case matters, even if the router ignores it,
// as Fiber's does by default.
func IgnoreRoutes(patterns ...string) Option {
	return Option{func(t *Tracker) error {
		parsed, err := parseRules("IgnoreRoutes", patterns)
		for _, r := range parsed {
			r.ignores = outcomeIgnored + outcome(r.text)
			r.DropSlash() // it makes no difference to a path
		}
		t.rules.ignored = distinct(append(t.rules.ignored, parsed...))
		return err
	}}
}

// NameRoutes names the events of routes, in place of "Page Viewed" and "API Called":
// {"POST /reports": "Report Generated"}. Patterns are written as for [SkipRoutes]. If
// several match, the most specific one counts: segment by segment, a literal goes before
// a parameter, and a parameter before the rest of a path; then a pattern with a method
// goes before one without. Beside "/docs/*", "/docs/" names the index alone. A name
// holds for answers below 400, and of gRPC for OK; failures are API calls. [SetEvent] and
// an adapter's Event take precedence.
func NameRoutes(names map[string]string) Option {
	return Option{func(t *Tracker) error {
		parsed, err := parseRules("NameRoutes", slices.Sorted(maps.Keys(names)))
		alike := map[string][]*rule{} // by shape
		for _, r := range slices.Concat(t.rules.named, parsed) {
			alike[r.Shape()] = append(alike[r.Shape()], r)
		}
		for _, r := range parsed {
			r.name = names[r.text]
			switch same := alike[r.Shape()]; {
			case isBlank(r.name):
				err = errors.Join(err, fmt.Errorf("%w: NameRoutes: pattern %q has no name", ErrInvalidOption, r.text))
			case len(same) == 1:
				t.rules.named = append(t.rules.named, r)
			case r != same[0]: // left out, and so is the other if it is of this option: which one counts nobody could tell
				err = errors.Join(err, fmt.Errorf("%w: NameRoutes: patterns %q and %q mean the same", ErrInvalidOption, same[0].text, r.text))
			}
		}
		slices.SortStableFunc(t.rules.named, bySpecificity)
		separate(t.rules.named)
		return err
	}}
}

// HealthRoutes replaces the patterns of health checks and metrics, whose requests are not
// recorded unless they are named. The defaults are GET of /health, /healthz,
// /healthcheck, /livez, /readyz, /ready, /startupz, /ping, /metrics, /favicon.ico and
// /robots.txt, also if a route such as /{page} takes them. Patterns are written as for
// [SkipRoutes]. Without patterns, all these requests are recorded. If a pattern is
// malformed, the valid ones are added to the defaults.
func HealthRoutes(patterns ...string) Option {
	return Option{func(t *Tracker) error {
		parsed, err := parseRules("HealthRoutes", patterns)
		if err != nil {
			t.rules.health = distinct(append(t.rules.health, parsed...))
			return err
		}
		t.rules.health, t.rules.ownHealth = distinct(parsed), true
		return nil
	}}
}

// DefaultNames replaces the names "Page Viewed" and "API Called", which events have if
// the app gives no other. An empty name changes nothing.
func DefaultNames(page, api string) Option {
	return Option{func(t *Tracker) error {
		if !isBlank(page) {
			t.pageName = page
		}
		if !isBlank(api) {
			t.apiName = api
		}
		return nil
	}}
}

// ClassifyWith changes the [Kind] of requests. The function is given the kind that was
// found, and returns that or another. It must not keep the Exchange, whose Header is
// always set and takes a name in any spelling. If it panics, the kind that was found
// counts.
func ClassifyWith(classify func(Exchange, Kind) Kind) Option {
	return Option{func(t *Tracker) error {
		if classify == nil {
			return fmt.Errorf("%w: ClassifyWith without a function", ErrInvalidOption)
		}
		t.classifyWith = classify
		return nil
	}}
}

// RollUp counts API calls. It sends one "API Usage Recorded" for each combination of
// user, group, method and route in a window of that length, in place of an "API Called"
// for each request. A window is a second to a day long; a minute is a good start. Pages,
// streams and named events are still sent one by one. What [SetProperty] and [Capture]
// add to a request that is counted is not kept.
//
// The counts are sent at the end of each window, by Flush and by Shutdown, and as soon as
// a window has more than 10,000 combinations, or 4 MiB of them; then several events for the
// same window add up. While two windows wait for room in the queue, as in an outage, the
// third goes on beyond its time: its windowSeconds say for how long. Beyond
// 160,000 combinations, or 64 MiB of them, the oldest are dropped, which [Stats] counts.
func RollUp(window time.Duration) Option {
	return Option{func(t *Tracker) error {
		if window < time.Second || window > 24*time.Hour {
			return fmt.Errorf("%w: RollUp of %v, allowed is a second to a day", ErrInvalidOption, window)
		}
		t.rollUpWindow = window
		return nil
	}}
}

// Sample records only a part of the API calls, from 0 for none to 1 for all, with the
// property sampleRate if that is below 1. Pages, streams and named events are not sampled. Nor is anything
// beside [RollUp], which counts all API calls.
//
// If the request's trace began in this server, its trace ID decides, so that the events
// of one trace are recorded together. If there is no trace, or it came with the request,
// chance decides: callers choose their trace IDs. Sample knows that a trace came along by
// the header traceparent; if it came in other headers, by the span of the server's
// instrumentation, whose middleware must then stand in front of this one.
func Sample(rate float64) Option {
	return Option{func(t *Tracker) error {
		if !(rate >= 0 && rate <= 1) { // nor NaN
			return fmt.Errorf("%w: Sample of %v, allowed is 0 to 1", ErrInvalidOption, rate)
		}
		t.sampleRate = rate
		return nil
	}}
}

// Capture records parts of a request that are otherwise left out, as they may identify a
// person: [IP], [UserAgent], [Path], [Referrer].
func Capture(what ...Captured) Option {
	return Option{func(t *Tracker) error {
		for _, c := range what {
			if c < IP || c > Referrer {
				return fmt.Errorf("%w: Capture of %d, allowed are IP, UserAgent, Path and Referrer", ErrInvalidOption, c)
			}
		}
		t.capture = append(t.capture, what...)
		return nil
	}}
}

// HonorOptOut sends nothing at all from a request whose browser asks not to be tracked,
// by Global Privacy Control (Sec-GPC: 1) or Do Not Track (DNT: 1), nor from what it starts.
// It holds for the middleware's own client, and for clients that have no middleware around
// the request, nor around another request within which the app has made it.
func HonorOptOut() Option {
	return Option{func(t *Tracker) error {
		t.honorOptOut = true
		return nil
	}}
}

// Baggage sends the members of OpenTelemetry's baggage with these keys as
// context.baggage of events. They come from the context that an event is made with or, if
// that has none, from the request. Whoever called the app may have set them, so they never
// say whose event it is. Values of more than 256 bytes are left out.
func Baggage(keys ...string) Option {
	return Option{func(t *Tracker) error {
		for _, key := range keys {
			if !slices.Contains(t.baggage, key) {
				t.baggage = append(t.baggage, key)
			}
		}
		return nil
	}}
}

// AnnotateSpan writes whose request it is on the current span, so that traces can be
// found by customer. The attributes are user.id, from OpenTelemetry's semantic
// conventions, and klime.group.id. [Silence] prevents it, but Config.BeforeSend has no
// influence on it. The middleware of the instrumentation should stand in front of this
// one. If it stands further in, the span is annotated only by [SetUser], [SetGroup] and
// [Link], with what the app has declared by then, and by [Track], with all that is known.
func AnnotateSpan() Option {
	return Option{func(t *Tracker) error {
		t.annotateSpan = true
		return nil
	}}
}

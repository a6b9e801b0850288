package klime

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Option tunes a middleware; the same options hold in every framework. The zero
// Option changes nothing.
type Option struct {
	apply func(*Tracker) error
}

// resolver is the Option that sets where to a function of the app.
func (find resolver) option(name string, where func(*Tracker) *resolver) Option {
	return Option{func(t *Tracker) error {
		if find == nil {
			return fmt.Errorf("%w: %s without a function", ErrInvalidOption, name)
		}
		*where(t) = find
		return nil
	}}
}

// ResolveUser says how to find a request's user, given the framework's own
// request. It is what an adapter's UserID option is made of. The resolver is
// asked after the handler, and by events tracked before; it may be called from
// several goroutines. Its answer is a string, an integer, an
// encoding.TextMarshaler or a fmt.Stringer; a zero value, and a panic, mean
// that nobody is known. It must not track events or ask the Scope itself, and
// not outlast the request: [Tracker.Observe] waits for it. Up to 10,000 goroutines
// of a request may wait for it at once; for more nobody is known.
func ResolveUser(resolve func(native any) any) Option {
	return UserFrom(resolve)
}

// UserFrom is [ResolveUser] with a function of the framework's own request type N,
// for an adapter's UserID option: a string or integer costs no allocation. Given
// to another framework's adapter it finds nothing, and the log says why.
func UserFrom[N, T any](find func(N) T) Option {
	return resolverOf(find).option("UserID (ResolveUser, UserFrom)", func(t *Tracker) *resolver { return &t.user })
}

// ResolveGroup says how to find a request's group, like [ResolveUser]. The
// answer is a claim: it counts only together with a known user, and not where
// the app answers 401, 403 or 404. [SetGroup] is the app's own word.
func ResolveGroup(resolve func(native any) any) Option {
	return GroupFrom(resolve)
}

// GroupFrom is to [ResolveGroup] what [UserFrom] is to ResolveUser.
func GroupFrom[N, T any](find func(N) T) Option {
	return resolverOf(find).option("GroupID (ResolveGroup, GroupFrom)", func(t *Tracker) *resolver { return &t.group })
}

// RequireMembership lets an event have the request's group only if the user was
// linked to it in the same request, by [Link] or an adapter's Link: for apps
// where the active group is something that a client could forge, such as a
// header. Otherwise the event is the user's, without a group; Stats counts it as
// NotLinked or NotMember. It needs a Link in front of every request. Groups that
// [InGroup] and [ForGroup] name are the app's word for one event, and not
// judged.
func RequireMembership() Option {
	return Option{func(t *Tracker) error {
		t.requireMembership = true
		return nil
	}}
}

// ResolveRoute says how to find the pattern that a request has matched, given
// the framework's own request, where the adapter does not know it, or knows it
// worse. It is asked after the handler; "" leaves it to the adapter.
func ResolveRoute[N any](find func(native N) string) Option {
	return Option{func(t *Tracker) error {
		if find == nil {
			return fmt.Errorf("%w: ResolveRoute without a function", ErrInvalidOption)
		}
		t.route = func(native any) answer {
			request, ok := native.(N)
			if !ok {
				return answer{trouble: foreign}
			}
			return answer{id: find(request)}
		}
		return nil
	}}
}

// SkipRoutes drops the automatic events of requests that match one of the
// patterns, such as "/healthz" or "GET /internal/*". A pattern is a path in any
// router's dialect: {name} or :name stands for one segment, /* at the end for all
// that follows, also nothing. A method before it, and a space, restrict it.
// Patterns are compared with the request's route, and where that is not known, or
// ends in /*, with its path. Of a pattern that is malformed Tracker.Err tells, and
// of one that was never met the log at Shutdown.
func SkipRoutes(patterns ...string) Option {
	return Option{func(t *Tracker) error {
		parsed, err := parsePatterns(patterns)
		t.rules.skipped = append(t.rules.skipped, parsed...)
		return err
	}}
}

// IgnoreRoutes passes requests that match one of the patterns on as if the
// middleware were not there, at no cost. In their handlers, [Track], [Link] and the
// like do nothing: where these are called, use [SkipRoutes]. Patterns are those of
// SkipRoutes, compared with the request's path: case counts, also where the router
// takes either, as Fiber's does by default.
func IgnoreRoutes(patterns ...string) Option {
	return Option{func(t *Tracker) error {
		parsed, err := parsePatterns(patterns)
		for _, p := range parsed {
			p.ignores = "IgnoreRoutes has " + p.text
		}
		t.rules.ignored = append(t.rules.ignored, parsed...)
		return err
	}}
}

// NameRoutes names the events of routes, in place of "Page Viewed" and "API
// Called": {"POST /reports": "Report Generated"}. Patterns are those of
// [SkipRoutes]. Of several that match, the most specific one counts: segment by
// segment a literal goes before a parameter, and that before the rest of a path;
// then one with a method before one without. A name holds for answers below
// 400; failures are API calls. [SetEvent] and an adapter's Event go before it.
func NameRoutes(names map[string]string) Option {
	return Option{func(t *Tracker) error {
		parsed, err := parsePatterns(slices.Sorted(maps.Keys(names)))
		for _, p := range parsed {
			if p.name = names[p.text]; isBlank(p.name) {
				err = errors.Join(err, fmt.Errorf("%w: pattern %q has no name", ErrInvalidOption, p.text))
				continue
			}
			same := func(q *pattern) bool { return q.shape() == p.shape() }
			if slices.ContainsFunc(t.rules.named, same) {
				err = errors.Join(err, fmt.Errorf("%w: pattern %q is named twice", ErrInvalidOption, p.text))
				continue
			}
			t.rules.named = append(t.rules.named, p)
		}
		slices.SortStableFunc(t.rules.named, moreSpecific)
		return err
	}}
}

// HealthRoutes replaces the patterns of health checks and metrics, whose requests
// are not recorded unless they are named: by default GET of /health, /healthz,
// /healthcheck, /livez, /readyz, /ready, /startupz, /ping, /metrics, /favicon.ico
// and /robots.txt. Patterns are those of [SkipRoutes]; without any, all of that is
// recorded. If one is malformed, the defaults remain beside the others.
func HealthRoutes(patterns ...string) Option {
	return Option{func(t *Tracker) error {
		parsed, err := parsePatterns(patterns)
		if err != nil {
			t.rules.health = append(t.rules.health, parsed...)
			return err
		}
		t.rules.health, t.rules.ownHealth = parsed, true
		return nil
	}}
}

// DefaultNames names the events that have no name of their own, in place of "Page
// Viewed" and "API Called". An empty name changes nothing.
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

// ClassifyWith changes what kind of request something was. It is given what was
// found and may return that; it must not keep the Exchange, whose Header is always
// set and takes any spelling of a name. If it panics, what was found counts.
func ClassifyWith(classify func(Exchange, Kind) Kind) Option {
	return Option{func(t *Tracker) error {
		if classify == nil {
			return fmt.Errorf("%w: ClassifyWith without a function", ErrInvalidOption)
		}
		t.classifyWith = classify
		return nil
	}}
}

// RollUp counts API calls, to send one "API Usage Recorded" for each user, group,
// method and route in a window of that length, in place of an "API Called" each.
// Windows are a second to a day long; a minute is a good start. Pages, streams
// and named events are sent by themselves. What is counted is sent at the end of
// a window, by Flush and by Shutdown, and before that if a window has more than
// 10,000 users, groups, methods and routes; then several events of one window add
// up. Windows that have to wait for room in the queue, as in an outage, become one
// where that has no more than 2,000 of them; of more than 160,000 the oldest are
// dropped, and counted. Of what [SetProperty] and [Capture] add, nothing is kept.
func RollUp(window time.Duration) Option {
	return Option{func(t *Tracker) error {
		if window < time.Second || window > 24*time.Hour {
			return fmt.Errorf("%w: RollUp of %v, allowed is a second to a day", ErrInvalidOption, window)
		}
		t.rollUpWindow = window
		return nil
	}}
}

// Sample records only a part of the API calls, from 0 for none to 1 for all, with
// the property sampleRate. The trace decides if it began here, so that events of
// one trace are recorded together; of a trace that the request came with, which is
// the client's choice, chance decides: that is known by the header traceparent, and
// for headers of other kinds by the span of the server's instrumentation, which
// stands in front of this middleware. Pages, streams, named events and what
// [RollUp] counts are not sampled.
func Sample(rate float64) Option {
	return Option{func(t *Tracker) error {
		if !(rate >= 0 && rate <= 1) { // nor NaN
			return fmt.Errorf("%w: Sample of %v, allowed is 0 to 1", ErrInvalidOption, rate)
		}
		t.sampler = sampler{on: rate < 1, rate: rate}
		return nil
	}}
}

// Capture records what is left out otherwise, as it may tell who somebody is:
// [IP], [UserAgent], [Path], [Referrer].
func Capture(what ...Captured) Option {
	return Option{func(t *Tracker) error {
		for _, c := range what {
			if c < IP || c > Referrer {
				return fmt.Errorf("%w: Capture of %d", ErrInvalidOption, c)
			}
		}
		t.capture = append(t.capture, what...)
		return nil
	}}
}

// HonorOptOut sends nothing at all from a request whose client asks not to be
// tracked: by Global Privacy Control (Sec-GPC: 1) or Do Not Track (DNT: 1). It holds for
// the middleware's own client, and for one that has no middleware around the call.
func HonorOptOut() Option {
	return Option{func(t *Tracker) error {
		t.honorOptOut = true
		return nil
	}}
}

// Baggage sends these members of OpenTelemetry's baggage as context.baggage: of the
// context that an event is made with, or else of its request. They are the word of
// whoever called, and never say whose event it is. Values of more than 256 bytes are
// left out.
func Baggage(keys ...string) Option {
	return Option{func(t *Tracker) error {
		t.baggage = append(t.baggage, keys...)
		return nil
	}}
}

// AnnotateSpan writes whose request it is on the span that is current, so that a
// trace can be found by its customer: user.id, as OpenTelemetry's semantic
// conventions have it, and klime.group.id. That goes past Config.BeforeSend, but
// not past [Silence]. The
// middleware of the instrumentation goes before this one; where it is further
// in, the span is annotated by [SetUser], [SetGroup], [Link] and [Track].
func AnnotateSpan() Option {
	return Option{func(t *Tracker) error {
		t.annotateSpan = true
		return nil
	}}
}

package klime

import (
	"errors"
	"net/http"
)

// decision is what a request is recorded as.
type decision struct {
	name      string  // of the event; "" if there is none
	why       outcome // why there is none
	named     bool    // the app has chosen the name, for this request or route
	kind      Kind
	id        identity
	declared  identity // what the app has said, for the explainer
	undecided bool     // the app has linked several groups and has not said which is the active one, for the explainer
	extra     []property
	fallback  telemetry
	webhook   bool // see noteWebhook
}

// outcome is what became of a request or an event, in words.
type outcome string

const (
	outcomeQueued       outcome = "queued"
	outcomeCounted      outcome = "counted for " + apiUsageRecorded
	outcomeSampled      outcome = "not sent: left out by Sample"
	outcomeFiltered     outcome = "not sent: BeforeSend dropped it"
	outcomeNobody       outcome = "not sent: neither user nor group is known (UserID option, SetUser, Link, or the context value userId)"
	outcomeSilenced     outcome = "not sent: the request is silenced (Silence, or HonorOptOut)"
	outcomeCanonical    outcome = "not sent: a redirect to another form of the path"
	outcomeSkippedByApp outcome = "not sent: skipped (Skip)"
	outcomeSkippedRoute outcome = "not sent: skipped (SkipRoutes)"
	outcomeOutlived     outcome = "not sent: the handler has outlived its request"
	outcomeAsksAbout    outcome = "not sent: the method asks about something"
	outcomePartOfPage   outcome = "not sent: part of a page, such as a style sheet or an image"
	outcomeHealthCheck  outcome = "not sent: a health check (HealthRoutes)"
	outcomeNoRoute      outcome = "not sent: no route has the path"
	outcomeCatchAll     outcome = "not sent: 404 or 405 of a route that ends in * (name the route to record it)"
	outcomeRedirected   outcome = "not sent: a redirect"
	outcomePrefetched   outcome = "not sent: a prefetch"
	outcomeProbed       outcome = "not sent: the caller probes whether the app is alive"
	outcomeRuledOut     outcome = "not sent: ClassifyWith takes it for an asset or noise"

	// Of requests that are passed on untouched.
	outcomeIgnored   outcome = "not sent: IgnoreRoutes has " // and the pattern
	outcomePreflight outcome = "not sent: a preflight of CORS"
	outcomeH2C       outcome = "not sent: a connection of HTTP/2 (h2c), whose requests are found further in"
)

// outcomeOf returns the outcome of an event from the result of queuing it.
func outcomeOf(d *draft, err error) outcome {
	switch {
	case d.filtered:
		return outcomeFiltered
	case err == nil, errors.Is(err, ErrNotDurable):
		return outcomeQueued
	}
	for _, known := range [...]error{ErrQueueFull, ErrSpoolFull, ErrEventTooLarge, ErrNotEncodable} {
		if errors.Is(err, known) { // without the details, which differ each time or quote Klime
			return outcome("not sent: " + known.Error())
		}
	}
	return outcome("not sent: " + err.Error())
}

// decide sets the part of a decision that does not depend on whose request it is.
func (t *Tracker) decide(dec *decision, x *Exchange, remarks *remarks, rule ruling) {
	if dec.why = leftOut(remarks, rule); dec.why != "" {
		return
	}
	if remarks.event != "" {
		rule.name = remarks.event
	}
	dec.kind, dec.why = t.kindOf(x, rule, rule.name != "" || remarks.named)
	dec.name, dec.named = t.eventName(dec.kind, rule.name, x)
}

// leftOut says why a request has no event whatever it was, "" if it may have one.
func leftOut(remarks *remarks, rule ruling) outcome {
	switch {
	case remarks.silent:
		return outcomeSilenced
	case remarks.skip:
		return outcomeSkippedByApp
	case remarks.reused:
		return outcomeOutlived
	case rule.skip:
		return outcomeSkippedRoute
	case remarks.canonicalRedirect:
		return outcomeCanonical
	default:
		return ""
	}
}

// kindOf returns the kind of a request, and why it is not recorded if it is not.
// [ClassifyWith] has the last word.
func (t *Tracker) kindOf(x *Exchange, rule ruling, named bool) (Kind, outcome) {
	kind, why := classify(x, rule, named)
	if t.classifyWith != nil {
		if asked := t.askKind(x, kind); asked != kind {
			kind, why = asked, outcomeRuledOut
		}
	}
	if kind == KindStream && !x.Panicked {
		x.Aborted = false // a stream normally ends by the caller going away
	}
	return kind, why
}

func (t *Tracker) askKind(x *Exchange, kind Kind) (asked Kind) {
	defer func() {
		if v := recover(); v != nil {
			t.funcs.kind.panicked(v)
			asked = kind
		}
	}()
	own := *x // x itself is not kept: it would cost an allocation also where nobody is asked
	shown := own
	shown.Header = func(name string) string { return own.header(http.CanonicalHeaderKey(name)) }
	return t.classifyWith(shown, kind)
}

// eventName is the name under which a request is recorded, "" if it is not. given is
// the name that the app has chosen for the request or its route.
func (t *Tracker) eventName(kind Kind, given string, x *Exchange) (name string, named bool) {
	switch {
	case given != "" && x.succeeded() && !isNoiseMethod(x.Method):
		return given, true
	case kind == KindPage:
		return t.pageName, false
	case kind == KindAPI, kind == KindStream:
		return t.apiName, false
	default:
		return "", false
	}
}

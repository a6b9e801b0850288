package klime

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"strconv"
	"sync"
)

// explainer logs, at debug level, what became of requests and events, and why: for each
// route and event, each outcome once. A nil explainer is switched off.
type explainer struct {
	logger *slog.Logger

	seed maphash.Seed
	mu   sync.Mutex
	told map[uint64]struct{} // hashes: lines may be long
}

// maxExplained is how many lines an explainer logs and remembers. After that it is
// silent.
const maxExplained = 2000

// newExplainer returns nil if the logger discards the debug level.
func newExplainer(cfg *Config) *explainer {
	if !cfg.Logger.Enabled(context.Background(), slog.LevelDebug) {
		return nil
	}
	return &explainer{logger: cfg.Logger, seed: maphash.MakeSeed(), told: map[uint64]struct{}{}}
}

// once logs a line, unless it has logged the same before.
func (e *explainer) once(what string, attrs ...slog.Attr) {
	var h maphash.Hash
	h.SetSeed(e.seed)
	_, _ = h.WriteString(what)
	for _, a := range attrs {
		_ = h.WriteByte(0)
		_, _ = h.WriteString(a.Value.String())
	}
	key := h.Sum64()
	e.mu.Lock()
	_, known := e.told[key]
	known = known || len(e.told) >= maxExplained
	if !known {
		e.told[key] = struct{}{}
	}
	e.mu.Unlock()
	if !known {
		e.logger.LogAttrs(context.Background(), slog.LevelDebug, "klime: "+what, attrs...)
	}
}

// fate is what became of a request or an event, in words.
type fate string

const (
	queued       fate = "queued"
	counted      fate = "counted for " + apiUsageRecorded
	sampled      fate = "not sent: left out by Sample"
	filtered     fate = "not sent: BeforeSend dropped it"
	nobody       fate = "not sent: neither user nor group is known (UserID option, SetUser, Link, or the context value userId)"
	silenced     fate = "not sent: the request is silenced (Silence, or HonorOptOut)"
	canonical    fate = "not sent: a redirect to another form of the path"
	skippedByApp fate = "not sent: skipped (Skip)"
	skippedRoute fate = "not sent: skipped (SkipRoutes)"
	outlived     fate = "not sent: the handler has outlived its request"
	asksAbout    fate = "not sent: the method asks about something"
	partOfPage   fate = "not sent: part of a page, such as a style sheet or an image"
	healthCheck  fate = "not sent: a health check (HealthRoutes)"
	noRoute      fate = "not sent: no route has the path"
	redirected   fate = "not sent: a redirect"
	prefetched   fate = "not sent: a prefetch"
	probed       fate = "not sent: the client probes whether the app is alive"
	ruledOut     fate = "not sent: ClassifyWith takes it for an asset or noise"
)

// fateOf returns the fate of an event from the result of queuing it.
func fateOf(d *draft, err error) fate {
	switch {
	case d.filtered:
		return filtered
	case err == nil, errors.Is(err, ErrNotDurable):
		return queued
	}
	for _, known := range [...]error{ErrQueueFull, ErrSpoolFull, ErrEventTooLarge, ErrNotEncodable} {
		if errors.Is(err, known) { // without the details, which differ each time or quote Klime
			return fate("not sent: " + known.Error())
		}
	}
	return fate("not sent: " + err.Error())
}

// request logs what became of a request.
func (e *explainer) request(x *Exchange, o *outcome, f fate) {
	if e == nil {
		return
	}
	kind, event := "", o.name
	if event != "" {
		kind = o.kind.String()
	}
	e.once("a request", slog.String("method", x.Method), slog.String("route", x.Route), slog.String("answer", answerClass(x)),
		slog.String("kind", kind), slog.String("event", shortened(event)),
		slog.String("user", o.source(o.id.user, o.declared.user, member)),
		slog.String("group", o.groupSource()), slog.String("outcome", string(f)))
}

// notKnown is the source of an ID that is missing.
const notKnown = "not known"

// source says where an ID comes from. Declared is what the app has said it is.
func (o *outcome) source(id, declared string, checked membershipCheck) string {
	switch {
	case id == "" && checked != member:
		return "left out by RequireMembership"
	case id == "" && o.name == "":
		return "" // there is no event to attribute
	case id == "":
		return notKnown
	case id == declared:
		return "by SetUser, SetGroup or Link"
	default:
		return "by an option or a context value"
	}
}

// groupSource is source for the group.
func (o *outcome) groupSource() string {
	source := o.source(o.id.group, o.declared.group, o.id.checked)
	if source == notKnown && o.undecided {
		return "several are linked, and none is the active one (SetGroup, GroupID)"
	}
	return source
}

// answerClass returns the class of the status, so that a route is not explained once for
// every status.
func answerClass(x *Exchange) string {
	switch {
	case x.Panicked:
		return "panic"
	case x.Status == 0:
		return "none"
	default:
		return strconv.Itoa(x.Status/100) + "xx"
	}
}

// ignored logs why a request was passed on untouched.
func (e *explainer) ignored(why string) {
	if e != nil {
		e.once("requests are passed on untouched", slog.String("outcome", "not sent: "+why))
	}
}

// event logs what became of an event that the app has tracked itself.
func (e *explainer) event(d *draft, f fate) {
	if e == nil || d.automatic {
		return
	}
	e.once("an event", slog.String("type", d.Type.String()), slog.String("event", shortened(d.Event.Event)),
		slog.Bool("user", d.UserID != ""), slog.Bool("group", d.GroupID != ""), slog.String("outcome", string(f)))
}

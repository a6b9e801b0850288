package klime

import (
	"context"
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

// request logs what became of a request.
func (e *explainer) request(x *Exchange, dec *decision, o outcome) {
	if e == nil {
		return
	}
	kind, event := "", dec.name
	if event != "" {
		kind = dec.kind.String()
	}
	e.once("a request", slog.String("method", x.Method), slog.String("route", x.Route), slog.String("answer", answerClass(x)),
		slog.String("kind", kind), slog.String("event", shortened(event)),
		slog.String("user", dec.source(dec.id.user, dec.declared.user, member)),
		slog.String("group", dec.groupSource()), slog.String("outcome", string(o)))
}

// notKnown is the source of an ID that is missing.
const notKnown = "not known"

// source says where an ID comes from. declared is what the app has said it is.
func (dec *decision) source(id, declared string, checked membershipCheck) string {
	switch {
	case id == "" && checked != member:
		return "left out by RequireMembership"
	case id == "" && dec.name == "":
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
func (dec *decision) groupSource() string {
	source := dec.source(dec.id.group, dec.declared.group, dec.id.checked)
	if source == notKnown && dec.undecided {
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
func (e *explainer) ignored(why outcome) {
	if e != nil {
		e.once("requests are passed on untouched", slog.String("outcome", string(why)))
	}
}

// event logs what became of an event that the app has tracked itself.
func (e *explainer) event(d *draft, o outcome) {
	if e == nil || d.automatic {
		return
	}
	e.once("an event", slog.String("type", d.Type.String()), slog.String("event", shortened(d.Event.Event)),
		slog.Bool("user", d.UserID != ""), slog.Bool("group", d.GroupID != ""), slog.String("outcome", string(o)))
}
